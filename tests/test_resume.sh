#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs that are stopped in every way and taken up again, from the root of the
# repository:
#   sh tests/test_resume.sh BUILD_DIR
set -u

build=${1:-build}
imgrec=$build/imgrec
digits=examples/data/digits
tmp=build/tmp/resume
# A network with all that has state: dropout, batch norm, moments, averages,
# augmented images, a schedule; --no-check as other tests look at the data.
recipe='--epochs 4 --seed 7 --optimizer adamw --ema 0.98 --schedule cosine
  --augment light --no-check --threads 1 --checkpoint-minutes 0.00001'

# shellcheck source=tests/command.sh
. tests/command.sh

# begin FOLDER OPTIONS...: a new run
begin() {
  folder=$1
  shift
  # shellcheck disable=SC2086
  "$imgrec" train "$digits" $recipe --arch "$tmp/net.arch" --run "$folder" \
    "$@" >"$out" 2>"$err"
}

# The same in the background, as $pid.
start() {
  folder=$1
  # shellcheck disable=SC2086
  "$imgrec" train "$digits" $recipe --arch "$tmp/net.arch" --run "$folder" \
    >"$out" 2>"$err" &
  pid=$!
}

# The files of a run are those of the one that was never stopped, and its log
# has each epoch once.
same_as_undisturbed() {
  for file in best.safetensors last.safetensors; do
    check "$1/$file is another" cmp -s "$tmp/whole/$file" "$1/$file"
  done
  sed -n 's/^{"event":"epoch","epoch":\([0-9]*\),.*/\1/p' "$1/log.jsonl" \
    >"$tmp/epochs"
  check "$1: epochs $(tr '\n' ' ' <"$tmp/epochs")" \
    test "$(tr '\n' ' ' <"$tmp/epochs")" = '1 2 3 4 '
  check "$1: files are left over" test -z "$(find "$1" -name '*tmp*')"
}

# Waits until the log of a run in the background has a pattern, or it ends.
wait_for() {
  while kill -0 "$2" 2>/dev/null && ! grep -q -e "$3" "$1/log.jsonl" \
    2>/dev/null; do
    sleep 0.02
  done
}

test_whole() {
  began=$(date +%s%3N)
  begin "$tmp/whole" -o "$tmp/whole.imgrec"
  check "a run failed" test $? -eq 0
  whole_ms=$(($(date +%s%3N) - began))
  check "another model by -o" cmp -s "$tmp/whole.imgrec" \
    "$tmp/whole/best.safetensors"
  for file in config.txt log.jsonl last.safetensors report.html; do
    check "no $file" test -s "$tmp/whole/$file"
  done
  same_as_undisturbed "$tmp/whole"
  check "the log does not end in done" \
    grep -q '^{"event":"done","epochs":4' "$tmp/whole/log.jsonl"
  for line in '--epochs = 4' '--ema = 0.98' "data = $(pwd)/$digits" \
    'architecture:' 'dropout 0.2'; do
    check "config.txt lacks $line" grep -q -x -F -e "$line" \
      "$tmp/whole/config.txt"
  done
  expect 0 train --resume "$tmp/whole"
  says 'is finished'
  expect 0 train --resume "$tmp/whole" --json
  says '^{"event":"finished"'
  expect 0 eval "$tmp/whole/last.safetensors" "$digits"
  if grep -q imgrec.train "$tmp/whole/best.safetensors"; then
    check "a model with the state of training" false
  fi
}

test_interrupted() {
  start "$tmp/signal"
  wait_for "$tmp/signal" $pid '"epoch":2'
  kill -INT $pid
  wait $pid
  code=$?
  check "exit code $code after SIGINT" test $code -eq 130
  complains "imgrec train --resume $tmp/signal"
  check "not logged" grep -q '^{"event":"interrupted"' "$tmp/signal/log.jsonl"
  expect 0 train --resume "$tmp/signal" --threads 3 --isa scalar --json
  same_as_undisturbed "$tmp/signal"
}

# end_by_kill TENTHS: kills $pid after that part of three fifths of the time that
# a whole run takes, and counts it where that came before its end
end_by_kill() {
  ms=$((whole_ms * $1 * 6 / 100))
  sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  [ $? -eq 137 ] && kills=$((kills + 1))
}

# The step is finished, and the shell told by which signal.
test_terminated() {
  start "$tmp/term"
  wait_for "$tmp/term" $pid '"event":"start"'
  kill -TERM $pid
  wait $pid
  code=$?
  check "exit code $code after SIGTERM" test $code -eq 143
  complains "imgrec train --resume $tmp/term"
  expect 0 train --resume "$tmp/term"
  same_as_undisturbed "$tmp/term"
}

# What was good before the loss was no longer a number is kept.
test_diverged() {
  printf 'input 8 8 1\nflatten\ndense 32\ndense 32\ndense 10\nsoftmax\n' \
    >"$tmp/linear.arch"
  expect 1 train "$digits" --arch "$tmp/linear.arch" --run "$tmp/nan" \
    --no-check --epochs 20 --optimizer sgd --lr 3 --schedule one-cycle \
    --warmup-epochs 20 --augment none
  complains 'no longer finite in epoch 2; try a smaller learning rate'
  complains 'best weights before that have been saved'
  check "not logged" grep -q '^{"event":"diverged","epochs_done":1' \
    "$tmp/nan/log.jsonl"
  expect 0 eval "$tmp/nan/best.safetensors" "$digits"
}

# Killed at moments here and there, and again while it goes on.
test_killed() {
  kills=0
  for n in 1 2 3 4 5; do
    run=$tmp/killed$n
    start "$run"
    wait_for "$run" $pid '"event":"start"'
    end_by_kill $((n * 7 % 10))
    for again in 1 2; do
      "$imgrec" train --resume "$run" >"$out" 2>"$err" &
      pid=$!
      end_by_kill $((n * again * 3 % 10))
    done
    expect 0 train --resume "$run"
    same_as_undisturbed "$run"
  done
  check "only $kills of 15 were killed" test $kills -ge 3
}

test_damaged() {
  begin "$tmp/damaged" --epochs 1
  sed -i '/"event":"done"/d' "$tmp/damaged/log.jsonl"
  last=$tmp/damaged/last.safetensors
  cp "$last" "$tmp/good"
  head -c 3000 "$tmp/good" >"$last"
  expect 1 train --resume "$tmp/damaged"
  complains "$last: .*bytes.*best.safetensors has the best weights"
  sed 's/"fit.epoch\\":1/"fit.epoch\\":0/' "$tmp/good" >"$last"
  expect 1 train --resume "$tmp/damaged"
  complains 'the numbers of training do not match their hash'
  cp "$tmp/damaged/best.safetensors" "$last"
  expect 1 train --resume "$tmp/damaged"
  complains 'no checkpoint'
  printf '\n--epochs = many\n' >"$tmp/damaged/config.txt"
  expect 1 train --resume "$tmp/damaged"
  complains "'--epochs' is no option with such a value"
}

test_refused() {
  expect 2 train --resume "$tmp/whole" --epochs 9
  complains '--epochs cannot be given'
  expect 2 train "$digits" --resume "$tmp/whole"
  complains 'knows the data'
  expect 2 train --resume "$tmp/whole" --run "$tmp/none"
  complains 'exclude each other'
  expect 2 train "$digits" -o "$tmp/none" --checkpoint-minutes 1
  complains 'goes with --run'
  expect 1 train --resume "$tmp/nowhere"
  complains 'has no run'
  expect 1 train "$digits" --run "$tmp/whole"
  complains "has a run already: go on with it by --resume $tmp/whole"
  mkdir -p "$tmp/it's"
  cp "$tmp/whole/config.txt" "$tmp/it's"
  expect 1 train "$digits" --run "$tmp/it's"
  complains "by --resume '$tmp/it'.''s', or name"
  expect 1 train "$digits" --run "$tmp/no/such/run" --epochs 1
  complains 'cannot make'
  expect 1 train "$digits" --run "$tmp/net.arch"
  complains 'is no folder'
}

# The images are no longer those of the run.
test_other_data() {
  cp -r "$digits" "$tmp/data"
  "$imgrec" train "$tmp/data" --no-check --epochs 1 --run "$tmp/moved" \
    >"$out" 2>"$err"
  check "a run failed" test $? -eq 0
  sed -i '/"event":"done"/d' "$tmp/moved/log.jsonl"
  cp "$tmp/data/test-labels-idx1-ubyte.gz" "$tmp/labels.gz"
  for part in images-idx3 labels-idx1; do
    cp "$tmp/data/test-$part-ubyte.gz" "$tmp/data/train-$part-ubyte.gz"
  done
  expect 1 train --resume "$tmp/moved"
  complains 'is not as it was when the run was begun'
}

# A folder that vanishes is made anew; nothing that is in memory is lost.
test_vanished() {
  start "$tmp/vanishing"
  wait_for "$tmp/vanishing" $pid '"epoch":1'
  mv "$tmp/vanishing" "$tmp/gone"
  wait $pid
  code=$?
  check "exit code $code" test $code -eq 0
  same_as_undisturbed "$tmp/vanishing"
}

# What could not be written at the end, --resume writes.
test_unfinished() {
  mkdir -p "$tmp/unfinished/report.html/x"
  expect 1 train "$digits" --epochs 2 --preset tiny --run "$tmp/unfinished"
  complains report.html
  rm -r "$tmp/unfinished/report.html"
  expect 0 train --resume "$tmp/unfinished"
  check "no page" test -s "$tmp/unfinished/report.html"
  expect 0 train --resume "$tmp/unfinished"
  says 'is finished'
}

# No room for a checkpoint: said, and training goes on; the limit is on the
# size of a file, larger than the model and smaller than a checkpoint.
test_no_room() {
  (
    trap '' XFSZ
    ulimit -f 600
    begin "$tmp/full"
  )
  code=$?
  check "exit code $code" test $code -eq 0
  complains 'last.safetensors.: larger than the system allows; training goes on'
  check "another model" cmp -s "$tmp/full/best.safetensors" \
    "$tmp/whole/best.safetensors"
}

cat >"$tmp/net.arch" <<END
input 8 8 1
conv2d 8 kernel=3 padding=same bias=false
batch_norm activation=relu
max_pool2d 2
flatten
dropout 0.2
dense 256 activation=relu
dense 10
softmax
END
run_tests whole interrupted terminated diverged killed damaged refused \
  other_data vanished unfinished no_room
