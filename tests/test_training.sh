#!/bin/sh
# SPDX-License-Identifier: MIT
# Training by the `imgrec` command, what comes before it and what ends it, from
# the root of the repository:
#   sh tests/test_training.sh BUILD_DIR
set -u

build=${1:-build}
imgrec=$build/imgrec
digits=examples/data/digits
tmp=build/tmp/training
# shellcheck source=tests/command.sh
. tests/command.sh

# The model that other tests begin with.
train_digits -o "$tmp/digits.imgrec"

# ---- Options, recipes, what is refused --------------------------------------

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

# ---- Signals ------------------------------------------------------------------

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

# All tests of this file, in its order.
# shellcheck disable=SC2046
run_tests $(sed -n 's/^test_\([a-z_]*\)() {.*/\1/p' "$0")
