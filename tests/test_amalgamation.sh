#!/bin/sh
# SPDX-License-Identifier: MIT
# dist/imgrec.c, as programs take it in: compiled without a flag by GCC and by
# Clang, it gives the library's bits; beside a copy under a prefix; and by the
# compilers of other machines that are there.
#   test_amalgamation.sh BUILD [quick]
# quick: by GCC alone, barely optimised, the short digests.
set -eu
build=$1 how=${2:-}
folder=$build/amalgamation
make=${MAKE:-make}
status=0
mkdir -p "$folder"
$make -s amalgamation

fail() {
  echo "amalgamation: $*" >&2
  status=1
}

# The names that the object defines for others, but for the interface's.
strays() {
  nm -g --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort |
    comm -3 - tests/abi/symbols.txt
}

# What it takes from others, but for what the library may; the processor's
# features are libgcc's.
imports() {
  sed '/^#/d; /^$/d' tests/abi/imports.txt | sort -u >"$folder/allowed"
  nm -u "$1" | awk '{ print $2 }' | sed 's/^__\(.*\)_chk$/\1/' | sort -u |
    grep -v '^__cpu_\|^_GLOBAL_OFFSET_TABLE_$' | comm -13 "$folder/allowed" -
}

# The test of digests takes the file in place of the library's headers, whose
# guards it has.
digests() { # COMPILER FLAG...
  compiler=$1
  shift
  "$compiler" "$@" -include dist/imgrec.c -Idist -Iinclude -Ilib -Itests \
    -o "$folder/test_digest" tests/test_digest.c -lcmocka -lm -pthread &&
    "$folder/test_digest" $how >"$folder/digests.log" 2>&1 &&
    echo "amalgamation: $* by $compiler: the library's bits" ||
    { tail "$folder/digests.log"; fail "digests by $compiler $*"; }
}

object_of() { # COMPILER FLAG
  object=$folder/imgrec_$1.o
  $1 -Wall -Wextra -Werror "$2" -c dist/imgrec.c -o "$object" ||
    { fail "$1 $2 -c imgrec.c"; return; }
  [ -z "$(strays "$object")" ] || fail "names of $object: $(strays "$object")"
  [ -z "$(imports "$object")" ] ||
    fail "imports of $object: $(imports "$object")"
}

if [ "$how" = quick ]; then
  object_of gcc -O1
  digests gcc -O1
  exit $status
fi

for compiler in gcc clang; do
  command -v $compiler >/dev/null ||
    { fail "$compiler is missing"; continue; }
  object_of $compiler -O2
  digests $compiler -O2
done
# A host's own flags change no bits: gcc would fuse where it may.
digests gcc -O3 -march=native

# ---- Two of them -------------------------------------------------------------

two="$folder/two"
mkdir -p "$two/now/imgrec" "$two/old/imgrec"
cp dist/imgrec.h "$two/now/imgrec"
$make -s amalgamation SYMBOL_PREFIX=old_
sed 's/\(define IMGREC_VERSION_PATCH\) .*/\1 99/' dist/imgrec.h \
  >"$two/old/imgrec/imgrec.h"
cp dist/imgrec.c "$two/old/imgrec"
$make -s amalgamation
gcc -O1 -c "$two/old/imgrec/imgrec.c" -o "$two/imgrec_old.o"
for side in now old; do
  gcc -DSIDE=side_$side -DSIDE_NAME="\"$side.imgrec\"" -I"$two/$side" \
    -c tests/abi/copy.c -o "$two/side_$side.o"
done
gcc -o "$two/copies" tests/abi/copies.c "$two/side_now.o" "$two/side_old.o" \
  "$folder/imgrec_gcc.o" "$two/imgrec_old.o" -lm -pthread
if "$two/copies"; then
  echo "amalgamation: two in one process: both right"
else
  fail "two in one process"
fi

# ---- Other machines ----------------------------------------------------------

other_machine() { # COMPILER RUNNER FLAG...
  compiler=$1 runner=$2
  shift 2
  # shellcheck disable=SC2086
  if ! { echo '#include <stdio.h>'; echo 'int main(void) { return 0; }'; } |
    "$compiler" "$@" -x c -o "$folder/other" - 2>/dev/null ||
    ! $runner "$folder/other" 2>/dev/null; then
    echo "amalgamation: not tried by $compiler $*, which is not here"
    return
  fi
  # shellcheck disable=SC2086
  "$compiler" "$@" -O1 -include dist/imgrec.c -Idist -Iinclude -Ilib -Itests \
    -Itests/without_cmocka -o "$folder/other" tests/test_digest.c -lm \
    -pthread && $runner "$folder/other" quick >"$folder/digests.log" 2>&1 &&
    echo "amalgamation: $* by $compiler: the library's bits" ||
    { tail "$folder/digests.log"; fail "digests by $compiler $*"; }
}

for machine in aarch64 s390x; do
  other_machine $machine-linux-gnu-gcc \
    "qemu-$machine-static -L /usr/$machine-linux-gnu"
done
other_machine gcc-12 env -m32 -msse2 -mfpmath=sse -Wno-psabi -idirafter \
  /usr/include/x86_64-linux-gnu

# Under Windows, with the bits of the library there too.
if command -v x86_64-w64-mingw32-gcc >/dev/null && command -v wine >/dev/null
then
  printf '#include <stb/stb_image.h>\n' | gcc -M -x c - | tr ' ' '\n' |
    sed -n '/stb_image.h$/p' | xargs -I{} ln -sf {} "$folder"
  x86_64-w64-mingw32-gcc -Wall -Wextra -Werror -O2 -I"$folder" -Ilib -Itests \
    -include tests/on_windows/posix.h -include dist/imgrec.c -Idist -Iinclude \
    -Itests/without_cmocka -Itests/on_windows -static \
    -o "$folder/test_digest.exe" tests/test_digest.c -lm &&
    WINEDEBUG=-all WINEPREFIX="$PWD/$folder/wine" \
      wine "$folder/test_digest.exe" quick >"$folder/windows.log" 2>&1 &&
    echo "amalgamation: for Windows: the library's bits" ||
    { tail "$folder/windows.log"; fail "digests under Windows"; }
else
  echo "amalgamation: not compiled for Windows, for want of mingw-w64 or Wine"
fi
exit $status
