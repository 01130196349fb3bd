#!/bin/sh
# SPDX-License-Identifier: MIT
# The public header by itself, in every standard that it promises, by each
# compiler that is there.
status=0

check() {
  compiler=$1 language=$2 standard=$3
  echo '#include <imgrec/imgrec.h>' |
    "$compiler" -std="$standard" -pedantic-errors -Wall -Wextra -Werror \
      -Iinclude -fsyntax-only -x "$language" - ||
    { echo "imgrec.h: $compiler -std=$standard" >&2; status=1; }
}

for compiler in gcc clang; do
  command -v "$compiler" >/dev/null || continue
  for standard in c89 c99 c11 c17 c2x; do
    check "$compiler" c "$standard"
  done
done
for compiler in g++ clang++; do
  command -v "$compiler" >/dev/null || continue
  for standard in c++98 c++11 c++14 c++17 c++20 c++2b; do
    check "$compiler" c++ "$standard"
  done
done
echo '#include <imgrec/imgrec.h>' |
  gcc -std=c11 -Wpadded -Werror -Iinclude -fsyntax-only -x c - || status=1
exit $status
