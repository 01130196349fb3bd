#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make demo` runs: trains on real images, saves, measures, and recognises
# some images that the network has not seen.  Usage: sh scripts/demo.sh BUILD_DIR
set -eu

imgrec=${1:-build}/imgrec
work=${1:-build}/demo
data=/usr/share/datasets/fashion-mnist
labels=examples/data/fashion-labels.txt
preset=lenet5
epochs=4
need=0.88 # of the test images must be recognised

if [ ! -e "$data/train-images-idx3-ubyte.gz" ]; then
  echo "Fashion-MNIST (Debian package dataset-fashion-mnist) is not here:" \
    "taking the digits of examples/data instead."
  data=examples/data/digits
  labels=
  preset=tiny
  epochs=20
fi

run() {
  echo "\$ imgrec $*"
  "$imgrec" "$@"
  echo
}

rm -rf "$work"
mkdir -p "$work"
run train "$data" ${labels:+--labels "$labels"} --preset "$preset" \
  --epochs "$epochs" --batch 64 --lr 0.002 -o "$work/demo.imgrec"

run sample "$data" ${labels:+--labels "$labels"} --part test -n 5 \
  -o "$work/images"
echo "The file names say what it is, the lines below what the model says:"
run predict "$work/demo.imgrec" "$work"/images/*.png --show

top1=$("$imgrec" eval "$work/demo.imgrec" "$data" --part test --json |
  sed 's/.*"top1":\([0-9.e-]*\).*/\1/')
echo "test accuracy: $top1 (at least $need is right)"
awk "BEGIN { exit !($top1 >= $need) }"
