#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers by themselves: in every standard that they promise, by
# each compiler that is there, and with every warning that Clang has; the
# layout of the structs, for other machines too, where no option struct may
# have padding (on 32 bits: where 64-bit numbers are aligned to 4 bytes).
status=0

try() {
  "$@" || { echo "failed: $*" >&2; status=1; }
}

check() {
  compiler=$1 language=$2
  shift 2
  for header in ${headers:-imgrec.h version.h}; do
    printf "#include <imgrec/%s>\nextern int here;\n" $header |
      "$compiler" "$@" -Werror -Iinclude -fsyntax-only -x "$language" - ||
      { echo "failed: $header by $compiler $*" >&2; status=1; }
  done
}

for compiler in gcc clang; do
  command -v "$compiler" >/dev/null || continue
  for standard in c89 c99 c11 c17 c2x; do
    check "$compiler" c -std="$standard" -pedantic-errors -Wall -Wextra
  done
done
for compiler in g++ clang++; do
  command -v "$compiler" >/dev/null || continue
  for standard in c++98 c++11 c++14 c++17 c++20 c++2b; do
    check "$compiler" c++ -std="$standard" -pedantic-errors -Wall -Wextra
    [ "$standard" = c++98 ] && continue
    for exceptions in -fexceptions -fno-exceptions; do
      headers=imgrec.hpp check "$compiler" c++ -std="$standard" $exceptions \
        -fno-rtti -pedantic-errors -Wall -Wextra -Wshadow -Wconversion
    done
  done
done

layout='-std=c11 -Werror -ffreestanding -fsyntax-only -Iinclude
  tests/abi/layout.c'
# shellcheck disable=SC2086
if command -v clang >/dev/null; then
  check clang c -std=c89 -Weverything
  check clang c -std=c2x -Weverything -Wno-pre-c2x-compat
  check clang++ c++ -std=c++98 -Weverything
  check clang++ c++ -std=c++2b -Weverything -Wno-c++98-compat
  for target in x86_64-linux-gnu x86_64-w64-windows-gnu i386-linux-gnu; do
    try clang --target=$target -Weverything -Wno-c++98-compat $layout
  done
  for target in aarch64-linux-gnu s390x-linux-gnu armv7-linux-gnueabihf \
      i686-w64-windows-gnu wasm32; do
    try clang --target=$target $layout
  done
fi
# shellcheck disable=SC2086
if command -v gcc >/dev/null; then
  try gcc -Wpadded $layout
  if [ "$(gcc -dumpmachine)" = x86_64-linux-gnu ]; then
    try gcc -m32 -Wpadded $layout
  fi
fi
exit $status
