#!/bin/sh
# SPDX-License-Identifier: MIT
# The library built for another machine or C library: tests of what differs
# between them, and the digests of training (test_digest quick).
#   test_platform.sh NAME BUILD
# It is built in BUILD/NAME, whose digests.txt digests.sh shows.
set -eu
name=${1:?usage: test_platform.sh NAME BUILD}
build=$2/$name
runner=
flags=-O2

case $name in
i386)
  package=gcc-12-multilib
  compiler='gcc-12 -m32'
  # Headers of the kernel are where those of 64 bits look for them.
  flags='-O2 -Wno-psabi -idirafter /usr/include/x86_64-linux-gnu'
  ;;
musl)
  package=musl-tools
  compiler=musl-gcc
  # for stb and jsmn
  flags='-O1 -idirafter /usr/include'
  ;;
aarch64 | s390x)
  package="gcc-$name-linux-gnu, libc6-dev-cross of it, qemu-user-static"
  compiler=$name-linux-gnu-gcc
  runner="qemu-$name-static -L /usr/$name-linux-gnu"
  [ "$name" = aarch64 ] || flags=-O1 # takes a fourth of the time
  ;;
x86-old)
  package=qemu-user-static
  compiler=cc
  runner='qemu-x86_64-static -cpu Opteron_G1'
  ;;
*)
  echo "test_platform.sh: no platform '$name'" >&2
  exit 2
  ;;
esac
for tool in ${compiler%% *} ${runner%% *}; do
  command -v "$tool" >/dev/null ||
    { echo "$name: $tool is missing (Debian: $package)" >&2; exit 1; }
done

# Kernels; random numbers; files of all kinds, read and written; threads.
tests='cpu context thread kernels gemm_tmpl qgemm_tmpl random_tmpl
  winograd_tmpl rng decimal sha256 half png jpeg bmp pnm idx cifar csv resize
  safetensors model_file weights checkpoint state quantized golden'
if [ "$name" = musl ]; then # the processor has been tested
  tests='context thread decimal png idx csv model_file checkpoint state'
fi
if [ "$name" = i386 ]; then # sizes of 32 bits
  tests="$tests arch alloc error json_syntax tensor"
fi
if [ "$name" = x86-old ]; then
  tests=context
  build=$2
  mkdir -p "$build/$name"
else
  targets=
  for test in $tests digest; do
    targets="$targets $build/tests/test_$test"
  done
  # shellcheck disable=SC2086
  ${MAKE:-make} -s BUILD="$build" CC="$compiler" CFLAGS="-Werror $flags" \
    AR=ar WITH_ZLIB=0 WITH_CMOCKA=0 "$build/imgrec" $targets
fi

only=
for test in $tests; do
  only="$only test_$test"
done
RUNNER=$runner ONLY=$only sh tests/run.sh "$build" units
# shellcheck disable=SC2086
$runner "$build/tests/test_digest" quick >"$2/$name/digests.log"
sed -n 's/^digest //p' "$2/$name/digests.log" >"$2/$name/digests.txt"
echo "$name: $(wc -l <"$2/$name/digests.txt") digests as in tests/golden"
