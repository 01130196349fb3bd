#!/bin/sh
# SPDX-License-Identifier: MIT
# End-to-end tests of the `imgrec` command, from the root of the repository:
#   sh tests/test_cli.sh BUILD_DIR
set -u

build=${1:-build}
imgrec=$build/imgrec
digits=examples/data/digits
tmp=build/tmp/cli
out=$tmp/out
err=$tmp/err
passed=0
failed=0
# All that there are, and the tests of this file.
commands=$("$imgrec" --help | sed -n 's/^  \([a-z][a-z-]\{2,\}\) .*/\1/p')
suites=$(sed -n 's/^test_\([a-z_]*\)() {.*/\1/p' "$0")

pass() { passed=$((passed + 1)); }

flunk() {
  failed=$((failed + 1))
  echo "FAIL $*"
  sed 's/^/  stdout: /' "$out" | head -n 5
  sed 's/^/  stderr: /' "$err" | head -n 5
}

# check NAME COMMAND...: the command succeeds
check() {
  title=$1
  shift
  if "$@"; then pass; else flunk "$title"; fi
}

# expect CODE ARGUMENTS...: runs imgrec into $out and $err
expect() {
  want=$1
  shift
  "$imgrec" "$@" >"$out" 2>"$err"
  got=$?
  if [ "$got" -eq "$want" ]; then
    pass
  else
    flunk "exit code $got, not $want: imgrec $*"
  fi
}

says() { check "stdout lacks: $1" grep -q -e "$1" "$out"; }
complains() { check "stderr lacks: $1" grep -q -e "$1" "$err"; }
silent() { check "something on stderr" test ! -s "$err"; }
same() { check "$1 and $2 differ" cmp -s "$1" "$2"; }
# count N PATTERN: stdout has it N times
count() {
  check "$2 is not there $1 times" \
    test "$(grep -o -e "$2" "$out" | wc -l)" -eq "$1"
}
ends_with() { check "the last line lacks: $1" last_line_has "$1"; }
last_line_has() { tail -n 1 "$out" | grep -q -e "$1"; }

# Each line of $out is a JSON value of its own; only where Python is.
valid_json() {
  command -v python3 >/dev/null || return 0
  check "not JSON" python3 -c '
import json, sys
def refuse(constant):
    raise ValueError(constant)
for line in open(sys.argv[1], encoding="utf-8"):
    json.loads(line, parse_constant=refuse)' "$out"
}

# ---- Help, version, usage ---------------------------------------------------

test_help() {
  for word in --help -h; do
    expect 0 "$word"
    says 'example: imgrec train'
    silent
  done
  expect 0 --version
  says '^imgrec [0-9]*\.[0-9]*\.[0-9]*$'
  for command in $commands; do
    expect 0 "$command" --help
    says "^usage: imgrec $command "
    says "^example: imgrec $command "
    count 0 '.\{81\}'
    cp "$out" "$tmp/help"
    expect 0 "$command" -h
    same "$out" "$tmp/help"
  done
}

# The long and short options in what is on standard input, one a line.
options_in() {
  grep -oE '(^|[^-a-z])--?[a-z][a-z-]*' | grep -oE -e '--?[a-z].*' | sort -u
}

test_man_page() {
  for command in $commands; do
    "$imgrec" "$command" --help | sed '1,/^options:/d' |
      sed -n 's/^  \(-.\{20\}\).*/\1/p' | options_in >"$out"
    sed -n "/^\.SS imgrec $command\$/,/^\.S[SH] /p" docs/imgrec.1 |
      sed -n '/^\.TP/{n;p;}' | sed 's/\\-/-/g; s/\\f.//g' | options_in >"$err"
    check "no options found: $command" test -s "$out"
    check "man page and --help differ: $command" cmp -s "$out" "$err"
  done
}

test_usage() {
  expect 2
  complains 'command is missing'
  expect 2 tarin
  complains "'tarin' is no command"
  expect 2 train
  complains 'give one DATA'
  expect 2 train a b -o m
  complains 'give one DATA, not 2'
  expect 2 train "$digits"
  complains '-o MODEL is missing'
  expect 2 train "$digits" -o m --no-such
  complains 'there is no option --no-such'
  expect 2 train "$digits" -x
  complains 'there is no option -x'
  expect 2 train "$digits" -o
  complains 'option -o needs a value'
  expect 2 train "$digits" -o m --json=1
  complains 'option --json=1 takes no value'
  expect 2 train "$digits" -o m --preset tiny --arch x
  complains 'exclude each other'
  expect 2 train "$digits" -o m --preset no-such
  complains "there is no preset 'no-such'; there are .*tiny"
  expect 2 eval m
  expect 2 predict m
  expect 2 predict m i --show --json
  expect 2 info
  expect 2 info m --preset tiny
  expect 2 info m --size 8x8
  expect 2 info --preset tiny --channels 2
  expect 2 check
  expect 2 check a b
  complains 'give one DATA, not 2'
  expect 2 sample "$digits"
  complains '-o DIR is missing'
  expect 2 preview "$digits"
  complains '-o FILE is missing'
  expect 2 train "$digits" -o m --augment flop
  complains "augment: there is no 'flop'; there are none, light, strong"
  expect 2 preview "$digits" -o m --augment auto,flip
  complains "augment: there is no 'auto'"
  expect 2 train "$digits" -o m --augment flip=2
  complains 'flip must be 0 to 1'
  expect 2 bench
  complains 'give one of MODEL, --preset NAME and --arch FILE'
  expect 2 bench m --preset tiny
  expect 2 bench m --classes 3
  expect 2 bench --preset no-such
  complains "there is no preset 'no-such'"
  expect 2 bench --preset tiny --runs 3 --seconds 1
  complains '--runs and --seconds exclude each other'
}

# OPTION VALUE...: each value is refused with a sentence naming both.
refuses() {
  refused_by "train $digits -o $tmp/none" "$@"
}

# COMMAND OPTION VALUE...
refused_by() {
  command=$1 option=$2
  shift 2
  for value in "$@"; do
    # shellcheck disable=SC2086
    expect 2 $command "$option=$value"
    check "$option=$value: $(head -n 1 "$err")" \
      grep -q -F -e "$option: '$value' is not " "$err"
  done
}

test_values() {
  refuses --epochs 0 -1 x 1.5 '' ' 3' 3x 99999999999999999999
  refuses --batch 0 65537 many
  refuses --lr 0 -1 nan inf x '' 1e9
  refuses --val-split 1 -0.1 nan half
  refuses --size 32 32x x32 0x8 8x8x8 -8x8 99999x8
  refuses --cache -1 x '' 2XB 2GBB 1e99 inf
  refuses --seed -1 x 18446744073709551616
  refuses --threads 0 257 two
  refuses --optimizer adamax ADAM ''
  refuses --weight-decay -1 nan x ''
  refuses --label-smoothing 1 -0.1 x
  refuses --clip-norm -1 inf x
  refuses --schedule linear ''
  refuses --warmup-epochs -1 x
  refuses --step-epochs -1 x
  refuses --step-factor 0 1 x
  refuses --final-factor 1 -1
  refuses --ema 1 -0.5
  refuses --patience 0 -1 x
  refuses --balance even ''
  refuses --freeze ''
  refuses --layer-decay 0 1 x
  refuses --isa sse avx
  refuses --resize zoom
  refuses --preset ''
  refused_by 'bench --preset tiny' --runs 0 -1 x '' 100001
  refused_by 'bench --preset tiny' --seconds 0 -1 nan x '' 86400
  refused_by 'bench --preset tiny' --batch 0 65537 x
  refused_by 'bench --preset tiny' --size 32 0x8 8x
  check "a model was written" test ! -e "$tmp/none"
}

# ---- Training, evaluation ---------------------------------------------------

# The network of the later tests; -o and more follow.
train_digits() {
  expect 0 train "$digits" --epochs 8 --lr 0.003 --seed 1 "$@"
}

test_train() {
  train_digits -o "$tmp/first.imgrec"
  silent
  says '^data: .*1500'
  says '^network: preset tiny (chosen'
  says '^epoch 8/8: loss .*validation loss .* images/s'
  says '^test: loss .*accuracy'
  train_digits --json --threads 1 -o "$tmp/digits.imgrec"
  silent
  valid_json
  same "$tmp/digits.imgrec" "$tmp/first.imgrec"
  count 8 '"event":"epoch"'
  says '"event":"epoch","epoch":8,"epochs":8,"train_loss":'
  ends_with '^{"event":"done","epochs":8,'
  accuracy=$(sed -n 's/.*"test_accuracy":\([0-9.]*\).*/\1/p' "$out")
  check "test accuracy $accuracy" awk "BEGIN { exit !(${accuracy:-0} > 0.85) }"
  find "$tmp" -name '*imgrec*' >"$out"
  count 2 imgrec
}

test_train_options() {
  expect 0 train "$digits" --epochs 1 --val-split 0 --optimizer sgd --lr 0.05 \
    --size 12x10 --isa scalar --json -o "$tmp/other.imgrec"
  valid_json
  says '"input":\[12,10,1\]'
  says '"event":"done".*"val_loss":null,"val_accuracy":null'
  expect 0 train "$digits" --epochs 1 --init "$tmp/digits.imgrec" --json \
    -o "$tmp/other.imgrec"
  loss=$(sed -n 's/.*"epoch":1,.*"train_loss":\([0-9.e-]*\).*/\1/p' "$out")
  check "--init: loss $loss" awk "BEGIN { exit !(${loss:-9} < 0.7) }"
  expect 0 train "$digits" --epochs 1 --val "$digits" --test "$digits" --json \
    --no-check -o "$tmp/other.imgrec"
  says '"train_images":1500,"val_images":[0-9]*,"test_images":297'
}

# NAME OPTIONS...: one epoch with them, which makes another model than the last
recipe() {
  name=$1
  shift
  expect 0 train "$digits" --epochs 2 --preset tiny --json "$@" \
    -o "$tmp/recipe.imgrec"
  sum=$(cksum <"$tmp/recipe.imgrec")
  check "$name changes nothing" test "$sum" != "$last_sum"
  last_sum=$sum
}

test_train_recipes() {
  last_sum=
  recipe chosen
  says '"balance":"none"'
  says '"learning_rate":0.000'
  recipe adam --optimizer adam
  says '"learning_rate":0.001'
  recipe adamw --optimizer adamw
  recipe decay --optimizer adamw --weight-decay 0.1
  recipe decay-all --optimizer adamw --weight-decay 0.1 --decay-all
  recipe sgd --optimizer sgd --lr 0.05
  recipe nesterov --optimizer sgd --lr 0.05 --nesterov
  recipe sgd-decay --optimizer sgd --lr 0.05 --nesterov --weight-decay 0.001
  recipe smoothing --label-smoothing 0.1
  recipe clipping --clip-norm 0.1
  recipe step --schedule step --step-epochs 1 --step-factor 0.25
  count 2 '"learning_rate":0.00[0-9]*'
  says '"epoch":2,.*"learning_rate":0.00025'
  recipe cosine --schedule cosine
  recipe warm --schedule cosine --warmup-epochs 1 --final-factor 0.5
  recipe cycle --schedule one-cycle
  recipe ema --ema 0.9
  recipe layers --layer-decay 0.5
  recipe weights --balance weights
  says '"balance":"weights"'
  recipe sampler --balance sampler
  says '"balance":"sampler"'
  expect 2 train "$digits" --nesterov -o "$tmp/none"
  complains '--nesterov is for --optimizer sgd'
  expect 2 train "$digits" --step-epochs 1 -o "$tmp/none"
  complains 'are for --schedule step'
  expect 2 train "$digits" --final-factor 0.5 -o "$tmp/none"
  complains 'is for --schedule cosine or one-cycle'
  expect 2 train "$digits" --epochs 3 --warmup-epochs 4 -o "$tmp/none"
  complains 'more than the 3 epochs'
  expect 2 train "$digits" --warmup-epochs 101 --run "$tmp/none"
  complains '--warmup-epochs: 101 is more than the [0-9]* epochs'
  check "a run was begun" test ! -e "$tmp/none"
}

# At a rate that is far too high nothing gets better for long.
test_patience() {
  expect 0 train "$digits" --lr 0.3 --epochs 60 --patience 2 \
    -o "$tmp/patient.imgrec"
  says '^stopped early: no better epoch than [0-9]* in 2$'
  expect 0 train "$digits" --lr 0.3 --epochs 60 --patience 2 --json \
    -o "$tmp/patient.imgrec"
  says '"event":"done",.*"stopped_early":1'
  expect 2 train "$digits" --val-split 0 --patience 2 --run "$tmp/none"
  complains '--patience: there are no images to validate on'
}

test_freeze() {
  printf 'input 8 8 1\nconv2d 4 kernel=3\nconv2d 4 kernel=3\nflatten\n' \
    >"$tmp/three_layers.arch"
  printf 'dense 10\nsoftmax\n' >>"$tmp/three_layers.arch"
  expect 0 train "$digits" --epochs 1 --init "$tmp/digits.imgrec" \
    --freeze conv -o "$tmp/frozen.imgrec"
  says "^frozen: [0-9]* layers* 'conv\.\.\.'"
  expect 0 train "$digits" --epochs 1 --freeze conv1.,fc --json \
    --arch "$tmp/three_layers.arch" -o "$tmp/frozen.imgrec"
  expect 1 train "$digits" --freeze none -o "$tmp/none"
  complains "--freeze: no layer with weights begins with 'none'"
  expect 1 train "$digits" --freeze conv,fc -o "$tmp/none"
  complains 'all its layers are frozen'
}

# What knows ten digits learns to tell two of them apart.
test_init() {
  rm -rf "$tmp/two" "$tmp/pngs"
  "$imgrec" sample "$digits" -n 300 --part train -o "$tmp/pngs" >"$out" \
    2>"$err"
  mkdir -p "$tmp/two/three" "$tmp/two/eight"
  find "$tmp/pngs" -name '*-3.png' -exec mv {} "$tmp/two/three" ';'
  find "$tmp/pngs" -name '*-8.png' -exec mv {} "$tmp/two/eight" ';'
  expect 0 train "$tmp/two" --init "$tmp/digits.imgrec" --epochs 2 \
    -o "$tmp/two.imgrec"
  says "^init: the head 'fc[0-9]*' begins anew for 2 classes, all other weights"
  says '^network: that of .*/digits.imgrec, input 8 x 8 x 1'
  expect 0 train "$tmp/two" --init "$tmp/digits.imgrec" --epochs 1 \
    --preset tiny --json -o "$tmp/two.imgrec"
  expect 0 train "$tmp/two" --init "$tmp/digits.imgrec" --epochs 1 \
    --resize pad --freeze conv -o "$tmp/two.imgrec"
  expect 0 info "$tmp/two.imgrec"
  says 'eight'
  says 'padded'
  expect 0 train "$digits" --init "$tmp/digits.imgrec" --epochs 1 \
    -o "$tmp/two.imgrec"
  says '^init: all weights are those of .*/digits.imgrec$'
  expect 2 train "$tmp/two" --init "$tmp/digits.imgrec" --size 16x16 \
    -o "$tmp/none"
  complains 'the input is that of the model of --init'
  expect 1 train "$tmp/two" --init "$tmp/digits.imgrec" --preset lenet5 \
    --size 28x28 -o "$tmp/none"
  complains 'the weights do not fit the network'
}

test_lr_find() {
  expect 0 lr-find "$digits" -o "$tmp/lr.svg"
  says '^tried [0-9]* rates from 1e-06 to '
  says '^suggested: --optimizer adam --lr [0-9.e-]* --schedule cosine$'
  says '^wrote .*/lr.svg$'
  check "no picture" grep -q 'Suggested learning rate' "$tmp/lr.svg"
  command -v python3 >/dev/null &&
    check "not XML" python3 -c 'import sys, xml.dom.minidom as m
m.parse(sys.argv[1])' "$tmp/lr.svg"
  expect 0 lr-find "$digits" --json --threads 1 --optimizer adamw --preset tiny \
    --steps 50 -o "$tmp/lr.svg"
  valid_json
  says '^{"suggestion":[0-9.e-]*,"optimizer":"adamw","schedule":null,"weight_d'
  says '"label_smoothing":0,"rates":\['
  expect 0 lr-find "$digits" --init "$tmp/digits.imgrec" --freeze conv \
    -o "$tmp/lr.svg"
  says '^init: all weights'
  expect 2 lr-find "$digits"
  complains '-o FILE is missing'
  expect 2 lr-find
  complains 'give one DATA'
  expect 1 lr-find "$tmp/nowhere" -o "$tmp/lr.svg"
  expect 1 lr-find "$digits" -o "$tmp/no/such/lr.svg"
  complains 'cannot write .*/no/such/lr.svg'
  refused_by "lr-find $digits -o $tmp/none" --steps 9 x 100001
}

# Classes 0 and 1 of the digits, 1 being small.
test_uneven() {
  rm -rf "$tmp/uneven" "$tmp/pngs"
  "$imgrec" sample "$digits" -n 400 --part train -o "$tmp/pngs" >"$out" \
    2>"$err"
  mkdir -p "$tmp/uneven/0" "$tmp/uneven/1"
  find "$tmp/pngs" -name '*-0.png' -exec mv {} "$tmp/uneven/0" ';'
  find "$tmp/pngs" -name '*-1.png' | sort | head -n 9 |
    while read -r file; do mv "$file" "$tmp/uneven/1"; done
  expect 0 train "$tmp/uneven" --epochs 1 -o "$tmp/uneven.imgrec"
  says "^classes are uneven: 8 ('1') to [0-9]* images; each image counts alike"
  expect 0 train "$tmp/uneven" --epochs 1 --balance sampler \
    -o "$tmp/uneven.imgrec"
  says 'images; each class is drawn as often as any other$'
  find "$tmp/uneven/1" -name '*.png' | sort | tail -n 7 |
    while read -r file; do rm "$file"; done
  expect 0 train "$tmp/uneven" --epochs 1 -o "$tmp/uneven.imgrec"
  says 'images; each class weighs as much as any other in the loss$'
  expect 0 train "$tmp/uneven" --epochs 1 --json -o "$tmp/uneven.imgrec"
  says '"smallest_class":[12],"largest_class":[0-9]*,"balance":"weights"'
}

test_train_failures() {
  expect 1 train "$tmp/nowhere" -o "$tmp/none"
  complains 'nowhere'
  expect 1 train "$digits" -o "$tmp/no/such/model"
  complains '/no/such/ is no folder'
  expect 1 train "$digits" -o "$tmp"
  complains 'is a folder'
  mkfifo "$tmp/fifo"
  expect 1 train "$digits" -o "$tmp/fifo"
  check "the pipe was replaced" test -p "$tmp/fifo"
  expect 1 train "$digits" --labels examples/data/README.md -o "$tmp/none"
  complains 'names [0-9]* classes, the data has 10'
  expect 1 train "$digits" --arch "$tmp/nowhere" -o "$tmp/none"
  printf 'input 8 8 1\nflatten\ndense 3\nsoftmax\n' >"$tmp/three.arch"
  expect 1 train "$digits" --arch "$tmp/three.arch" -o "$tmp/none"
  complains 'ends in 3 classes, the data has 10'
  printf 'input 8 8 1\nno_such_layer 3\n' >"$tmp/bad.arch"
  expect 1 train "$digits" --arch "$tmp/bad.arch" -o "$tmp/none"
  complains 'line 2'
  expect 1 train "$digits" --val "$digits" -o "$tmp/none"
  complains 'all 1500 images to validate on are trained on too'
  check "a model was written" test ! -e "$tmp/none"
}

test_labels() {
  printf '%s\n' zero one two three four five six seven eight >"$tmp/names"
  printf '\nn"i\\ne\r\n' >>"$tmp/names"
  expect 0 train "$digits" --epochs 1 --labels "$tmp/names" \
    -o "$tmp/named.imgrec"
  expect 0 info "$tmp/named.imgrec" --json
  valid_json
  says '"labels":\["zero","one",.*,"n\\"i\\\\ne"\]'
  expect 0 eval "$tmp/named.imgrec" "$digits"
  says ' zero$'
  mkdir -p "$tmp/own/cat" "$tmp/own/dog"
  echo 'P2 2 2 255 9 1 2 3' | tee "$tmp/own/cat/1.pgm" >"$tmp/own/dog/1.pgm"
  printf 'x\ny\n' >"$tmp/two_names"
  for command in train sample; do
    expect 2 $command "$tmp/own" --labels "$tmp/two_names" -o "$tmp/none"
    complains "names of their own, such as 'cat'"
  done
}

test_eval() {
  expect 0 eval "$tmp/digits.imgrec" "$digits"
  silent
  says '^test part: '
  says '^297 images, loss'
  says '^rows: true class'
  says '^with 95 % confidence, top-1 is [0-9.]* % to [0-9.]* %$'
  says '^   mean  '
  says '^calibration error [0-9.]* % at temperature'
  expect 0 eval "$tmp/digits.imgrec" "$digits" --json
  valid_json
  says '^{"images":297,"loss":[0-9.e-]*,"top1":[0-9.]*,"top5":[0-9.]*,'
  says '"top1_interval":\[0.[0-9]*,0.[0-9]*\],"macro":{"precision":0.[0-9]*,'
  says '"classes":\[{"label":"0","images":27,"answers":[0-9]*,"right":[0-9]*,'
  sum=$(sed 's/.*"confusion":\(\[\[.*\]\]\)}$/\1/; s/[^0-9]/ /g' "$out" |
    awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s }')
  check "confusion adds up to $sum" test "$sum" = 297
  expect 0 eval "$tmp/digits.imgrec" "$digits" --part train --json
  says '^{"images":1500,'
  expect 0 eval "$tmp/digits.imgrec" "$digits" --part all --json
  says '^{"images":1797,'
  expect 1 eval "$tmp/digits.imgrec" "$digits" --part val
  expect 1 eval "$tmp/nowhere" "$digits"
  complains 'nowhere'
  expect 1 eval docs/imgrec.1 "$digits"
}

# ---- How sure, and where ----------------------------------------------------

# Digits 0 to 7 as a folder of their own: 8 and 9 are unknown to what learns
# from it.
few_digits() {
  rm -rf "$tmp/eight"
  expect 0 sample "$digits" --part train -n 1500 -o "$tmp/all"
  for file in "$tmp"/all/*-[0-7].png; do
    label=${file##*-}
    mkdir -p "$tmp/eight/${label%.png}"
    cp "$file" "$tmp/eight/${label%.png}"
  done
}

test_calibrate() {
  few_digits
  expect 0 train "$tmp/eight" --epochs 6 --seed 1 --reject-rate 0 \
    -o "$tmp/eight.imgrec"
  says '^calibrated on [0-9]* images: temperature [0-9.]*, calibration error '
  count 0 'none of these'
  expect 1 eval "$tmp/eight.imgrec" "$tmp/eight" --unknown "$digits"
  complains 'the model has no reject threshold'
  expect 0 calibrate "$tmp/eight.imgrec" "$tmp/eight" --reject-rate 0.1 \
    -o "$tmp/sure.imgrec"
  says "^'none of these' below [0-9.]* %, which rejects [0-9]"
  expect 0 calibrate "$tmp/eight.imgrec" "$tmp/eight" --reject-rate 0.1 \
    -o "$tmp/again.imgrec" --json --threads 1 --isa scalar
  valid_json
  says '"reject_threshold":0.[0-9]*,"rejected":0.[01]'
  same "$tmp/sure.imgrec" "$tmp/again.imgrec"
  expect 0 eval "$tmp/sure.imgrec" "$tmp/eight" --unknown "$digits"
  says "keeps 9[0-9.]* % of these images"
  says '^of 59 images of classes that it does not know, rejects [0-9]'
  expect 0 eval "$tmp/sure.imgrec" "$tmp/eight" --unknown "$digits" --json
  valid_json
  says '"unknown":{"images":59,"rejected":0.[0-9]*}'
  expect 1 eval "$tmp/sure.imgrec" "$tmp/eight" --unknown "$tmp/eight"
  complains 'has no image of a class that the model does not'
}

test_rejected() {
  expect 0 calibrate "$tmp/eight.imgrec" "$tmp/eight" --reject-rate 0.999 \
    -o "$tmp/shy.imgrec"
  image=$(find "$tmp/all" -name '0001-*.png')
  expect 0 predict "$tmp/shy.imgrec" "$image" --top 1
  says "png: none of these ([0-7] [0-9.]* %)\$"
  expect 0 predict "$tmp/shy.imgrec" "$image" --json
  valid_json
  says ',"rejected":true}$'
  expect 0 predict "$tmp/shy.imgrec" "$image" --show=ascii
  says 'png: none of these'
}

test_calibrate_failures() {
  expect 2 calibrate "$tmp/digits.imgrec" -o x
  expect 2 calibrate "$tmp/digits.imgrec" "$digits"
  complains '-o MODEL is missing'
  expect 2 calibrate "$tmp/digits.imgrec" "$digits" -o x --reject-rate 1
  expect 1 calibrate "$tmp/digits.imgrec" "$digits" --part val -o x
  expect 1 calibrate "$tmp/eight.imgrec" "$digits" -o x
  expect 1 calibrate "$tmp/digits.imgrec" "$digits" -o "$tmp/no/such/x"
}

test_explain() {
  image=$(find "$tmp/all" -name '0001-*.png')
  expect 0 explain "$tmp/digits.imgrec" "$image" -o "$tmp/heat.png"
  says "heat.png: where the model sees '[0-9]' ([0-9.]* %)"
  cp "$tmp/heat.png" "$tmp/first.png"
  expect 0 explain "$tmp/digits.imgrec" "$image" -o "$tmp/heat.png" --json \
    --threads 1 --isa scalar
  valid_json
  same "$tmp/heat.png" "$tmp/first.png"
  says '"label":"[0-9]","class":[0-9],"probability":0.[0-9]*}$'
  expect 0 explain "$tmp/digits.imgrec" "$image" -o "$tmp/heat.png" --class 7
  says "sees '7'"
  expect 0 predict "$tmp/digits.imgrec" "$tmp/heat.png"
  expect 1 explain "$tmp/digits.imgrec" "$image" -o x.png --class cat
  complains "has no class 'cat'"
  expect 1 explain "$tmp/digits.imgrec" docs/imgrec.1 -o x.png
  expect 1 explain "$tmp/digits.imgrec" "$image" -o "$tmp/no/such/x.png"
  expect 2 explain "$tmp/digits.imgrec" "$image"
  expect 2 explain "$tmp/digits.imgrec" -o x.png
}

# ---- Images -----------------------------------------------------------------

test_sample() {
  rm -rf "$tmp/some" "$tmp/again"
  expect 0 sample "$digits" -n 6 --seed 3 -o "$tmp/some"
  count 6 '/000[1-6]-[0-9]\.png$'
  expect 0 sample "$digits" -n 6 --seed 3 -o "$tmp/again"
  check "same seed, other images" diff -r "$tmp/some" "$tmp/again"
  expect 0 sample "$digits" -n 2 --labels "$tmp/names" --part train \
    -o "$tmp/again"
  count 2 '/000[1-2]-[a-z]'
  expect 1 sample "$digits" --part val -o "$tmp/again"
  expect 1 sample "$digits" -o "$tmp/no/such/folder"
  expect 1 sample "$digits" -o "$tmp/digits.imgrec"
}

test_predict() {
  image=$(find "$tmp/some" -name '0001-*.png')
  expect 0 predict "$tmp/digits.imgrec" "$image"
  silent
  says "^$image: [0-9] [0-9.]* %, [0-9] [0-9.]* %, [0-9] [0-9.]* %\$"
  expect 0 predict --top 99 "$tmp/digits.imgrec" "$image" --json
  valid_json
  says "^{\"path\":\"$image\",\"top\":\[{\"label\":"
  count 10 '{"label":"[0-9]","class":[0-9],"probability":[0-9.e-]*}'
  right=0
  for image in "$tmp"/some/*.png; do
    expect 0 predict "$tmp/digits.imgrec" "$image" --top 1
    label=${image##*-}
    grep -q ": ${label%.png} " "$out" && right=$((right + 1))
  done
  check "$right of 6 recognised" test "$right" -ge 4
}

test_predict_failures() {
  image=$(find "$tmp/some" -name '0001-*.png')
  printf 'P6 no picture' >"$tmp/bad.png"
  expect 1 predict "$tmp/digits.imgrec" "$tmp/bad.png" "$image" \
    "$tmp/nowhere" --json
  valid_json
  count 3 '^{"path":'
  count 2 '"error":"'
  complains 'nowhere'
  expect 1 predict "$tmp/nowhere" "$image"
  name=$(printf '%s/\377"\\\tx' "$tmp")
  expect 1 predict "$tmp/digits.imgrec" "$name" --json
  valid_json
}

test_show() {
  image=$(find "$tmp/some" -name '0001-*.png')
  expect 0 predict "$tmp/digits.imgrec" "$image" --show
  count 0 "$(printf '\033')"
  check "not four lines" test "$(wc -l <"$out")" -eq 4
  says '%$'
  expect 0 predict "$tmp/digits.imgrec" "$image" --show=truecolor
  says '38;2;'
  expect 0 predict "$tmp/digits.imgrec" "$image" --show=256
  says '38;5;'
  expect 2 predict "$tmp/digits.imgrec" "$image" --show=sixel
}

# ---- Info -------------------------------------------------------------------

test_info() {
  for preset in nano small base large lenet5 tiny resnet8 resnet18 \
    mobilenet_v2 cifar_fast seed; do
    expect 0 info --preset "$preset"
    says '^total '
    says '^memory for batches of 32'
    says '^input '
    expect 0 info --preset "$preset" --json
    valid_json
  done
  says '"layers":\[{"name":"[^"]*","type":"[^"]*","output":\[[0-9,]*\],"param'
  says '"parameters":[0-9]*,"multiply_adds":[0-9]*},{"name"'
  says '"batch":32,"run_bytes":[0-9]*,"train_bytes":[0-9]*'
  expect 0 info "$tmp/digits.imgrec" --batch 7
  says '^memory for batches of 7'
  says '^10 classes: 0, 1, 2'
  expect 0 info --preset tiny --size 8x8 --channels 1 --text
  cp "$out" "$tmp/tiny.arch"
  expect 0 info --arch "$tmp/tiny.arch" --text
  same "$out" "$tmp/tiny.arch"
  train_digits --arch "$tmp/tiny.arch" -o "$tmp/arch.imgrec"
  same "$tmp/arch.imgrec" "$tmp/digits.imgrec"
  expect 1 info "$tmp/nowhere"
}

# ---- Choosing a network -----------------------------------------------------

test_suggest() {
  expect 0 suggest "$digits" --seconds 1.5 --max-file 10
  silent
  says '^data: .*1350'
  says '^trying 6 networks on 1350 images for about [0-9.]* s, .* 150 others'
  says '^tiny  *8 x 8  *14 k .* [0-9.]* %$'
  says '^base  *8 x 8  *1.5 M  *5.1 M  *5.8 MiB .* [0-9.]* %$'
  says '^large .* over --max-file$'
  says '^choice: [a-z_0-9]* 8 x 8: .*'
  ends_with '^train it: imgrec train .* --preset [a-z_0-9]* --size 8x8 -o MODEL'
  expect 0 suggest "$digits" --seconds 1 --json --size 16x12 --max-memory 1 \
    --threads 1
  valid_json
  count 1 '"event":"start"'
  count 6 '"event":"candidate"'
  says '"input":\[16,12\],"parameters":'
  says '"network":"large".*"over_limit":"--max-memory","epochs":0,"accuracy":null'
  ends_with '^{"event":"choice","network":"[a-z_0-9]*","input":\[16,12\],"acc'
  expect 1 suggest "$digits" --seconds 1 --max-latency-ms 0.0000001
  complains 'none of these networks keeps within the limits'
  expect 2 suggest "$digits" --max-file 0
  expect 2 suggest
  complains 'give one DATA'
  expect 1 suggest "$tmp/nowhere"
  expect 1 suggest "$digits" --val-split 0
  complains 'has no val part, so --val-split must be above 0'
}

# What is said of the file is about what the file is.
test_suggest_file() {
  expect 0 suggest "$digits" --seconds 0.5 --json
  said=$(sed -n 's/.*"tiny".*"file_bytes":\([0-9]*\).*/\1/p' "$out")
  bytes=$(wc -c <"$tmp/digits.imgrec")
  check "file of $bytes bytes, not ${said:-0}" \
    test $((20 * (bytes > said ? bytes - said : said - bytes))) -lt "$bytes"
}

# ---- Quantizing -------------------------------------------------------------

# top-1 of model $1 as --json has it
top1() {
  expect 0 eval "$1" "$digits" --json
  sed -n 's/.*"top1":\([0-9.]*\).*/\1/p' "$out"
}

test_quantize() {
  expect 0 quantize "$tmp/digits.imgrec" "$digits" -o "$tmp/int8.imgrec"
  silent
  says 'int8.imgrec: int8 weights in [0-9]* layers, [0-9]* bytes instead of'
  before=$(top1 "$tmp/digits.imgrec")
  after=$(top1 "$tmp/int8.imgrec")
  check "top-1 $before became $after" \
    awk "BEGIN { exit !(${before:-9} - ${after:-0} < 0.015) }"
  expect 0 quantize "$tmp/digits.imgrec" "$digits" --json --threads 1 \
    --isa scalar -o "$tmp/again.imgrec"
  valid_json
  says '^{"output":".*","weights":"int8","layers":[0-9]*,"bytes_before":'
  same "$tmp/int8.imgrec" "$tmp/again.imgrec"
  expect 0 quantize "$tmp/digits.imgrec" "$digits" --part test --images 20 \
    --range minmax -o "$tmp/again.imgrec"
  check "calibration data make no difference" \
    test "$(cmp "$tmp/int8.imgrec" "$tmp/again.imgrec")" != ''
  expect 0 info "$tmp/int8.imgrec"
  says '^weights: int8$'
  count 0 'to train'
  expect 0 info "$tmp/int8.imgrec" --json
  valid_json
  says '"multiply_adds":[0-9]*,"weights":"int8"}'
  image=$(find "$tmp/some" -name '0001-*.png')
  expect 0 predict "$tmp/int8.imgrec" "$image"
  expect 1 train "$digits" --init "$tmp/int8.imgrec" -o "$tmp/none"
  complains 'weights are int8 cannot be trained on'
  expect 1 quantize "$tmp/int8.imgrec" "$digits" -o "$tmp/none"
  complains 'are int8, which cannot be quantized again'
}

test_quantize_halves() {
  for type in f16 bf16; do
    expect 0 quantize "$tmp/digits.imgrec" --weights $type \
      -o "$tmp/$type.imgrec"
    says " $type weights in "
    expect 0 info "$tmp/$type.imgrec"
    says "^weights: $type\$"
    expect 0 eval "$tmp/$type.imgrec" "$digits"
    expect 0 train "$digits" --epochs 1 --init "$tmp/$type.imgrec" \
      -o "$tmp/other.imgrec"
    expect 0 quantize "$tmp/$type.imgrec" "$digits" -o "$tmp/other.imgrec"
  done
}

test_quantize_failures() {
  expect 2 quantize "$tmp/digits.imgrec" -o "$tmp/none"
  complains 'give a MODEL and a DATA'
  expect 2 quantize "$tmp/digits.imgrec" "$digits" --weights f16 -o "$tmp/none"
  complains 'only --weights int8 takes DATA'
  expect 2 quantize "$tmp/digits.imgrec" "$digits"
  complains '-o MODEL is missing'
  expect 2 quantize "$tmp/digits.imgrec" "$digits" -o "$tmp/none" --weights f64
  expect 2 quantize "$tmp/digits.imgrec" "$digits" -o "$tmp/none" --images 0
  expect 2 quantize "$tmp/digits.imgrec" "$digits" -o "$tmp/none" --range all
  expect 1 quantize "$tmp/nowhere" "$digits" -o "$tmp/none"
  expect 1 quantize "$tmp/digits.imgrec" "$tmp/nowhere" -o "$tmp/none"
  complains 'nowhere'
  expect 1 quantize "$tmp/digits.imgrec" "$digits" --part val -o "$tmp/none"
  check "a model was written" test ! -e "$tmp/none"
}

# ---- Bench ------------------------------------------------------------------

# number KEY: its value in the JSON of $out
number() {
  sed -n "s/.*\"$1\":\([0-9.e+-]*\)[,}].*/\1/p" "$out"
}

# holds EXPRESSION: of awk, over the numbers of the JSON that it names
holds() {
  values=
  for key in median_ms p95_ms min_ms images_per_second gflops peak_gflops \
    bandwidth_gbs model_memory_bytes max_rss_bytes; do
    value=$(number "$key")
    values="$values $key=${value:-0};"
  done
  check "not so: $1" awk "BEGIN { $values exit !($1) }"
}

test_bench() {
  expect 0 bench --preset tiny --size 8x8 --channels 1 --runs 20 --batch 4
  silent
  says '^tiny, 8 x 8 x 1, forward, batch 4, threads [0-9]*, [a-z0-9]*$'
  says '^time:    median [0-9.]* ms, p95 [0-9.]* ms, min [0-9.]* ms; 20 runs$'
  says '^speed:   [0-9.]* images/s, [0-9.]* GFLOP/s, [0-9]* % of the peak$'
  says '^memory:  [0-9.]* MiB planned, at most [0-9.]* MiB in use$'
  says '^machine: [0-9.]* GFLOP/s, reads [0-9.]* GB/s, threads [0-9]*$'
  check "lines" test "$(wc -l <"$out")" -eq 5
  expect 0 bench "$tmp/digits.imgrec" --runs 21 --batch 4 --json --threads 1 \
    --isa scalar
  valid_json
  says "^{\"model\":\"$tmp/digits.imgrec\",\"arch\":\"input 8 8 1.nconv2d"
  says '"mode":"forward","batch":4,"threads":1,"isa":"scalar","runs":21,'
  says '"update_ms":null,"rest_ms":null,"layers":\[\]}$'
  holds 'min_ms > 0 && min_ms <= median_ms && median_ms <= p95_ms'
  holds 'images_per_second > 3.99e3 / median_ms'
  holds 'images_per_second < 4.01e3 / median_ms'
  holds 'peak_gflops > 0.1 && bandwidth_gbs > 0.1'
  holds 'model_memory_bytes > 1e4 && max_rss_bytes > model_memory_bytes'
}

# conv2d 2 of 3x3 on 6x6: 36 * 9 * 2 multiply-adds; dense: 72 * 5.
test_bench_counts() {
  printf 'input 6 6 1\nrelu\nconv2d 2 kernel=3 padding=same\nflatten\n' \
    >"$tmp/count.arch"
  printf 'dense 5\nsoftmax\n' >>"$tmp/count.arch"
  expect 0 bench --arch "$tmp/count.arch" --batch 10 --json --runs 9
  holds "gflops * median_ms * 1e6 > 2 * 10 * (648 + 360) * 0.999"
  holds "gflops * median_ms * 1e6 < 2 * 10 * (648 + 360) * 1.001"
  expect 0 bench --arch "$tmp/count.arch" --batch 10 --json --runs 9 --train
  says '"mode":"train"'
  holds "gflops * median_ms * 1e6 > 2 * 10 * (648 * 2 + 360 * 3) * 0.999"
  holds "gflops * median_ms * 1e6 < 2 * 10 * (648 * 2 + 360 * 3) * 1.001"
}

test_bench_layers() {
  expect 0 bench --arch "$tmp/count.arch" --layers --seconds 0.01
  says '^layer  *type  *fwd ms  *GFLOP/s'
  says '^conv1  *conv2d  *[0-9.]*  *[0-9.]*  *[0-9]* .*[a-z]: [a-z0-9]'
  says '^fc1  *dense .*gemm: '
  says '^between layers  *[0-9.]*$'
  count 0 '^update'
  expect 0 bench --arch "$tmp/count.arch" --layers --train --runs 5
  says '^layer  *type  *fwd ms  *bwd ms  *GFLOP/s'
  says '^softmax1 .*with the loss$'
  says '^update  *[0-9.]*$'
  expect 0 bench --arch "$tmp/count.arch" --layers --train --runs 5 --json
  valid_json
  count 6 '"algorithm":'
  says '"name":"fc1","type":"dense","output":\[1,1,5\],"parameters":365,'
  says '"multiply_adds":360,"forward_ms":[0-9.e-]*,"forward_gflops":[0-9.e-]*,'
  says '"name":"softmax1".*"forward_ms":null,.*"algorithm":null,"reason":null'
  says '"loss_ms":[0-9.e-]*,"update_ms":[0-9.e-]*,"rest_ms":[0-9.e-]*,'
}

# What a convolution does along has no time of its own.
test_bench_chains() {
  expect 0 bench --preset tiny --layers --seconds 0.01
  says '^pool1 *max_pool2d[ -]*with conv1$'
  expect 0 bench --preset tiny --layers --seconds 0.01 --json --train
  says '"name":"pool1",.*"forward_ms":null,.*"computed_with":"conv1","algor'
  says '"name":"fc1",.*"forward_ms":[0-9.e-]*,.*"computed_with":null,"algor'
}

test_bench_failures() {
  expect 1 bench "$tmp/nowhere"
  complains 'nowhere'
  expect 1 bench --arch "$tmp/bad.arch"
  complains 'line 2'
  expect 1 bench --preset tiny --size 4x4
  complains 'cannot have inputs of 4 x 4'
}

# ---- Folders, CSV -----------------------------------------------------------

# Moves NNNN-label.png of $1 to $2/label/.
into_classes() {
  for file in "$1"/*.png; do
    label=${file##*-}
    mkdir -p "$2/${label%.png}"
    mv "$file" "$2/${label%.png}/"
  done
}

test_folders() {
  rm -rf "$tmp/folder" "$tmp/pngs"
  "$imgrec" sample "$digits" -n 200 --part train -o "$tmp/pngs" >"$out" 2>"$err"
  into_classes "$tmp/pngs" "$tmp/folder/train"
  "$imgrec" sample "$digits" -n 60 --part test -o "$tmp/pngs" >"$out" 2>"$err"
  into_classes "$tmp/pngs" "$tmp/folder/val"
  printf 'no picture' >"$tmp/folder/train/0/broken.png"
  expect 0 train "$tmp/folder" --epochs 2 --json -o "$tmp/folder.imgrec"
  complains 'skipped: .*broken.png'
  says '"train_images":200,"val_images":60,"test_images":0'
  says '"event":"done".*"test_accuracy":null'
  expect 0 eval "$tmp/folder.imgrec" "$tmp/folder"
  says '^val part: '
  expect 0 eval "$tmp/digits.imgrec" "$tmp/folder/val" --json
  says '^{"images":60,'
  (cd "$tmp/folder/val" && for f in */*.png; do echo "$f,${f%/*}"; done) \
    >"$tmp/folder/val/list.csv"
  expect 0 train "$tmp/folder/val/list.csv" --epochs 1 --val-split 0 --json \
    -o "$tmp/csv.imgrec"
  says '"train_images":60,"val_images":0,"test_images":0'
}

# What is there to validate or test with is not learned from, and one class is
# nothing to tell apart.
test_learned() {
  rm -rf "$tmp/parts"
  mkdir -p "$tmp/parts"
  cp -r "$tmp/folder/val" "$tmp/parts/test"
  cp -r "$tmp/folder/train/0" "$tmp/folder/train/1" "$tmp/parts"
  for command in train lr-find suggest preview check; do
    case $command in
    lr-find | preview) expect 1 $command "$tmp/parts" -o "$tmp/none" ;;
    train) expect 1 train "$tmp/parts" --run "$tmp/none" ;;
    *) expect 1 $command "$tmp/parts" ;;
    esac
    complains "has no part 'train'; it has test"
  done
  expect 0 eval "$tmp/folder.imgrec" "$tmp/parts"
  mkdir -p "$tmp/deep/photos"
  cp -r "$tmp/folder/train/0" "$tmp/folder/train/1" "$tmp/deep/photos"
  expect 1 train "$tmp/deep" --run "$tmp/none"
  complains "has one class, 'photos'"
  expect 1 lr-find "$tmp/deep" -o "$tmp/none"
  expect 1 suggest "$tmp/deep"
  check "a run was begun" test ! -e "$tmp/none"
}

# Of $tmp/folder: one image of train is in val too, one is in two classes, and
# one file breaks off.
test_check() {
  folder=$tmp/folder
  one=$(ls "$folder"/train/3/*.png | head -n 1)
  two=$(ls "$folder"/train/4/*.png | head -n 1)
  cp "$one" "$folder/val/3/again.png"
  cp "$two" "$folder/train/5/4.png"
  five=$(ls "$folder"/train/5/*.png | head -n 1)
  head -c 100 "$five" >"$folder/train/5/short.png"
  expect 0 check "$folder"
  complains 'skipped: .*5/short.png'
  says '^data: folder per class: 202 '
  says '^  images *201 *61$'
  says '^  unreadable files *2 *0$'
  says '^  twice: exactly *1 *0$'
  says '^  in a part before: exactly *0 *1$'
  says '^  twice, labels differ *1 *0$'
  says '^1 val image is also trained on (1 exactly, 0 nearly)'
  says 'train/5/4.png (5) is exactly .*train/4/.*png (4)$'
  says 'val/3/again.png (3) is exactly .*train/3/.*png (3)$'
  expect 0 check "$folder" --json
  valid_json
  says '^{"event":"data","parts":\[{"part":"train","images":201,"unreadable":2'
  says '"refused_from_validation":1}'
  count 2 '"event":"duplicate","kind":"exact"'
  expect 0 train "$folder" --epochs 2 --cache 1KB -o "$tmp/folder.imgrec"
  says '^1 val image is also trained on .*: left out of validation'
  says '^validation: 60 images of the val part'
  expect 0 train "$folder" --epochs 2 --cache 0 --json -o "$tmp/same.imgrec"
  says '"event":"data".*"refused_from_validation":1'
  says '"val_images":60'
  same "$tmp/folder.imgrec" "$tmp/same.imgrec"
  expect 0 train "$folder" --epochs 1 --no-check --json -o "$tmp/same.imgrec"
  says '"val_images":61'
  expect 0 check "$folder" --val "$folder/train" --test "$digits"
  says '^20[01] val images are also trained on (20[01] exactly, 0 nearly)'
  expect 1 check "$tmp/nowhere"
  complains nowhere
  many_classes
}

# Classes 0 and 1 of the digits; of 0 one file breaks off and two are no images,
# and a third class has none that is read.
damage() {
  rm -rf "$tmp/damaged" "$tmp/pngs"
  "$imgrec" sample "$digits" -n 400 --part train -o "$tmp/pngs" >"$out" \
    2>"$err"
  rm "$tmp"/pngs/*-[2-9].png
  into_classes "$tmp/pngs" "$tmp/damaged"
  find "$tmp/damaged/0" -name '*.png' | sort | head -n 1 |
    while read -r file; do head -c 100 "$file" >"$tmp/damaged/0/short.png"; done
  echo 'no image' >"$tmp/damaged/0/no.png"
  echo 'no image' >"$tmp/damaged/0/no.jpg"
  mkdir "$tmp/damaged/ink"
  printf 'RIFF1234WEBPVP8 ' >"$tmp/damaged/ink/1.webp"
}

# part_sum N: numbers of the Nth part of the event "data", and of "start"
part_sum() {
  python3 -c 'import json, sys
data = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
data = {event["event"]: event for event in data}
part = data["data"]["parts"][int(sys.argv[2])]
print(part["images"], sum(part["classes"].values()),
      data["start"]["%s_images" % part["part"]], part["unreadable"])' \
    "$out" "$1"
}

# Files that cannot be read count once, and in no number of images.
test_damaged() {
  damage
  images=$(find "$tmp/damaged/0" "$tmp/damaged/1" -name '0*.png' | wc -l)
  expect 0 train "$tmp/damaged" --epochs 1 --val-split 0.5 \
    -o "$tmp/damaged.imgrec"
  complains "skipped: .*1.webp': this is a WebP image; only JPEG, PNG, BMP and"
  complains "the class 'ink' has no image here that can be read"
  read -r train val <<EOF
$(sed -n 's/^  images *\([0-9]*\) *\([0-9]*\)$/\1 \2/p' "$out")
EOF
  check "images: $train + $val, not $images" \
    test $((${train:-0} + ${val:-0})) -eq "$images"
  says "^validation: $val images split off"
  bad=$(sed -n 's/^  unreadable files *\([34]\) *\([01]\)$/\1\2/p' "$out")
  check "unreadable: $bad" test "$bad" = 31 -o "$bad" = 40
  says '^  ink *0 *0$'
  command -v python3 >/dev/null || return 0
  expect 0 train "$tmp/damaged" --epochs 1 --val-split 0.5 --json \
    -o "$tmp/damaged.imgrec"
  check "train: $(part_sum 0)" \
    test "$(part_sum 0)" = "$train $train $train ${bad%?}"
  check "val: $(part_sum 1)" test "$(part_sum 1)" = "$val $val $val ${bad#?}"
  find "$tmp/damaged/1" -name '*.png' |
    while read -r file; do head -c 100 "$file" >"$tmp/half" &&
      mv "$tmp/half" "$file"; done
  expect 0 check "$tmp/damaged"
  complains "the class '1' has no image here that can be read"
}

# With many classes they are summed up.
many_classes() {
  for i in $(seq 30); do
    mkdir -p "$tmp/many/class$i"
    printf 'P2 2 2 255 %d 1 2 3\n' "$i" >"$tmp/many/class$i/a.pgm"
  done
  printf 'P2 2 2 255 99 1 2 3\n' >"$tmp/many/class7/b.pgm"
  expect 0 check "$tmp/many"
  says '^  classes *30$'
  says '^  smallest class *1   class1$'
  says '^  largest class *2   class7$'
  count 0 '^  class22 '
}

# ---- Signals, output --------------------------------------------------------

# Starts a long training, waits for its first epoch, ends it with $1.
interrupt() {
  rm -f "$tmp/long.imgrec"
  : >"$out"
  "$imgrec" train "$digits" --epochs 100000 --json -o "$tmp/long.imgrec" \
    >"$out" 2>"$err" &
  pid=$!
  tries=0
  while [ "$tries" -lt 600 ] && ! grep -q '"event":"epoch"' "$out"; do
    sleep 0.2
    tries=$((tries + 1))
  done
  kill "-$1" "$pid"
  wait "$pid"
  code=$?
}

test_signals() {
  interrupt INT
  check "SIGINT: exit code $code" test "$code" = 130
  complains 'interrupted after .* has been saved'
  ends_with '^{"event":"done",'
  valid_json
  expect 0 eval "$tmp/long.imgrec" "$digits"
  interrupt TERM
  check "SIGTERM: exit code $code" test "$code" = 143
}

test_output() {
  "$imgrec" --help >&- 2>"$err"
  check "closed stdout" test $? = 1
  complains 'cannot write to standard output'
  if [ -e /dev/full ]; then
    "$imgrec" info --preset tiny --json >/dev/full 2>"$err"
    check "full disk" test $? = 1
    complains 'cannot write to standard output'
  fi
  ("$imgrec" train "$digits" --epochs 1 -o "$tmp/pipe.imgrec" 2>"$err"
    echo $? >"$tmp/code") | true
  check "reader gone: $(cat "$tmp/code")" test "$(cat "$tmp/code")" = 1
  check "model saved although the reader went" test -s "$tmp/pipe.imgrec"
}

test_terminal() {
  # neither without the program nor where no terminal can be had
  script -qec true /dev/null </dev/null >/dev/null 2>&1 || return 0
  script -qec "$imgrec train $digits --epochs 3 -o $tmp/tty.imgrec" /dev/null \
    </dev/null >"$out" 2>"$err"
  check "exit code on a terminal" test $? = 0
  says 'epoch 1/3 \[[#.]*\] loss .* images/s, .* left'
}

mkdir -p "$tmp"
rm -rf "${tmp:?}"/*
"$imgrec" --version >"$out" || exit 1
: >"$out"
: >"$err"
for suite in $suites; do
  "test_$suite"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
