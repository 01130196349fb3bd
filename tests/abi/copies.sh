#!/bin/sh
# SPDX-License-Identifier: MIT
# The library twice in one process, once under another prefix and as of another
# version, each static and shared:
#   copies.sh BUILD
set -eu
build=$1
here=$(dirname "$0")
folder=$build/abi/copies
cc=${CC:-cc} libs=${LIBS:--lm -pthread}
rm -rf "$folder"
mkdir -p "$folder/changed"

# Version 0.0.9, of which only the file that tells the version is another.
cp -r include "$folder/changed/include"
sed -i 's/\(VERSION_M[AI][JN]OR\) .*/\1 0/; s/\(VERSION_PATCH\) .*/\1 9/' \
  "$folder/changed/include/imgrec/version.h"
cp "$build/libimgrec.a" "$folder/changed"
"$cc" -std=c11 -O2 -fPIC -I"$folder/changed/include" -Ilib -c lib/error.c \
  -o "$folder/changed/error.o"
"${AR:-ar}" r "$folder/changed/libimgrec.a" "$folder/changed/error.o"
sh scripts/prefix.sh old_ "$folder/changed/libimgrec.a" \
  "$folder/changed/include" "$folder"

side() { # NAME INCLUDE
  "$cc" -std=c11 -Wall -Wextra -Werror -DSIDE="side_$1" \
    -DSIDE_NAME="\"$1.imgrec\"" -I"$2" -c "$here/copy.c" -o "$folder/side_$1.o"
}
side now include
side old "$folder/include"

# As it is linked: the library's own names must not meet.
path() { (cd "$1" && pwd); }
for now in static shared; do
  for old in static shared; do
    words="$build/libimgrec.a"
    [ $now = shared ] && words="-L$build -limgrec -Wl,-rpath,$(path "$build")"
    others="$folder/libold_imgrec.a"
    [ $old = shared ] &&
      others="-L$folder -lold_imgrec -Wl,-rpath,$(path "$folder")"
    # shellcheck disable=SC2086
    "$cc" -std=c11 -Wall -Wextra -Werror -o "$folder/${now}_$old" \
      "$here/copies.c" "$folder/side_now.o" "$folder/side_old.o" \
      $words $others $libs
    "$folder/${now}_$old"
    echo "copies: $now, and $old under a prefix: both right"
  done
done

# Nothing of the copy has a name that another might have.
if nm -g --defined-only "$folder/libold_imgrec.a" |
    awk 'NF == 3 { print $3 }' | grep -v '^old_imgrec_'; then
  echo "copies: these names have no prefix" >&2
  exit 1
fi

# Nor has what C++ makes of imgrec.hpp for either.
cxx=${CXX:-c++}
if ! command -v "${cxx%% *}" >/dev/null; then
  echo "skipped: no $cxx"
  exit 0
fi
for side in include "$folder/include"; do
  $cxx -std=c++11 -I"$side" -c tests/wrapper.cpp -o "$folder/wrapper.o"
  nm --defined-only "$folder/wrapper.o" | awk '/throwing_by_/ {
    print $3 }' | sort >"$folder/names"
  test -s "$folder/names"
  mv "$folder/names" "$folder/names_${side%%/*}"
done
both=$(comm -12 "$folder/names_include" "$folder/names_${folder%%/*}")
if [ -n "$both" ]; then
  echo "copies: both have in C++: $both" >&2
  exit 1
fi
echo "copies: in C++ no function of both"
