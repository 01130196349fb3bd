#!/bin/sh
# SPDX-License-Identifier: MIT
# Kills a training run at random moments, takes it up again each time, and
# compares what it ends with to a run that was left alone:
#   sh bench/kill_resume.sh BUILD [KILLS] [DATA [OPTIONS...]]
# 20 kills and MNIST of $IMGREC_DATA by default, or the digits of examples/.
# SEED is of the moments.
set -u

build=${1:-build}
kills=${2:-20}
data=${3:-${IMGREC_DATA:+$IMGREC_DATA/mnist}}
data=${data:-examples/data/digits}
[ $# -gt 3 ] && shift 3 || set -- --epochs 4 --augment light --ema 0.99
imgrec=$build/imgrec
work=$build/tmp/kill_resume
rm -rf "$work"
mkdir -p "$work"

say() { printf '%s\n' "$*"; }

# The same, to the command line, for both.
"$imgrec" train "$data" --seed 1 --run "$work/whole" "$@" >"$work/whole.log" \
  2>&1 || {
  cat "$work/whole.log"
  exit 1
}
seconds=$(sed -n 's/^{"event":"done".*"seconds":\([0-9.]*\).*/\1/p' \
  "$work/whole/log.jsonl")
say "undisturbed: $seconds s of training"

# Moments within what a run takes between two kills if all of them are to hit;
# a checkpoint every 0.12 s, so that it gets on all the same.
moments=$(awk -v seed="${SEED:-1}" -v n="$kills" -v s="$seconds" 'BEGIN {
  srand(seed)
  for (i = 0; i < n; i++) printf "%.2f\n", 0.05 + rand() * 1.5 * s / n
}')
hit=0
for moment in $moments; do
  if [ -e "$work/killed/config.txt" ]; then
    "$imgrec" train --resume "$work/killed" >>"$work/killed.log" 2>&1 &
  else
    "$imgrec" train "$data" --seed 1 --run "$work/killed" \
      --checkpoint-minutes 0.002 "$@" >>"$work/killed.log" 2>&1 &
  fi
  pid=$!
  sleep "$moment"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  [ $? -eq 137 ] && hit=$((hit + 1)) || break
  say "killed after $moment s: $(tail -n 1 "$work/killed/log.jsonl" 2>/dev/null |
    cut -c 1-60)"
done
say "$hit of $kills kills"
"$imgrec" train --resume "$work/killed" >>"$work/killed.log" 2>&1 || {
  tail "$work/killed.log"
  exit 1
}
code=0
for file in best.safetensors last.safetensors; do
  if cmp "$work/whole/$file" "$work/killed/$file"; then
    say "$file: the same bytes"
  else
    code=1
  fi
done
epochs=$(grep -c '"event":"epoch"' "$work/killed/log.jsonl")
say "epochs in the log: $epochs"
[ "$epochs" -eq "$(grep -c '"event":"epoch"' "$work/whole/log.jsonl")" ] ||
  code=1
[ "$hit" -eq "$kills" ] || {
  say "it ended before the last kill; give it more epochs"
  code=1
}
exit $code
