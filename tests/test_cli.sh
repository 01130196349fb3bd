#!/bin/sh
# SPDX-License-Identifier: MIT
# End-to-end tests of the `imgrec` command, training in test_training.sh, from
# the root of the repository:
#   sh tests/test_cli.sh BUILD_DIR
set -u

build=${1:-build}
imgrec=$build/imgrec
digits=examples/data/digits
tmp=build/tmp/cli
# shellcheck source=tests/command.sh
. tests/command.sh

# All that there are.
commands=$("$imgrec" --help | sed -n 's/^  \([a-z][a-z-]\{2,\}\) .*/\1/p')

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
  printf '%s\n' zero one two three four five six seven eight nine >"$tmp/names"
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
  printf 'input 8 8 1\nno_such_layer 3\n' >"$tmp/bad.arch"
  expect 1 bench --arch "$tmp/bad.arch"
  complains 'line 2'
  expect 1 bench --preset tiny --size 4x4
  complains 'cannot have inputs of 4 x 4'
}

# ---- Signals, output --------------------------------------------------------

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

# All tests of this file, in its order.
# shellcheck disable=SC2046
run_tests $(sed -n 's/^test_\([a-z_]*\)() {.*/\1/p' "$0")
