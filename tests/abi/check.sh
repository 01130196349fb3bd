#!/bin/sh
# SPDX-License-Identifier: MIT
# The binary interface against what tests/abi/ keeps of it (docs/abi.md):
#   check.sh LIBRARY SONAME FOLDER [strict]
# FOLDER is for files on the way.  Without abidiff that comparison steps aside,
# with `strict` it fails.  INCLUDE and MAP are where the interface is, by
# default include and lib/imgrec.map.
library=$1 soname=$2 folder=$3 strict=$4
include=${INCLUDE:-include} map=${MAP:-lib/imgrec.map}
here=$(dirname "$0")
status=0
mkdir -p "$folder"

fail() {
  echo "abi: $*" >&2
  status=1
}

# same A B SENTENCE: files of one name a line
same() {
  diff "$1" "$2" >"$folder/difference" && return
  fail "$3"
  grep '^[<>]' "$folder/difference" >&2
}

mapped() { sed -n 's/^ *\(imgrec_[a-z0-9_]*\);.*/\1/p' "$map" | sort; }
exported() {
  nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' |
    sed 's/@.*//' | sort
}

# ---- Names -------------------------------------------------------------------

mapped >"$folder/mapped"
exported >"$folder/exported"
"${PYTHON:-python3}" "$here/interface.py" functions "$include" \
  >"$folder/declared"
same "$folder/declared" "$here/symbols.txt" \
  "imgrec.h (<) and tests/abi/symbols.txt (>) differ"
same "$folder/mapped" "$here/symbols.txt" \
  "$map (<) and tests/abi/symbols.txt (>) differ"
same "$folder/exported" "$here/symbols.txt" \
  "what the library exports (<) and tests/abi/symbols.txt (>) differ"
readelf -d "$library" | grep -q "SONAME.*\[$soname\]" ||
  fail "the library's SONAME is not $soname"

# ---- Imports -----------------------------------------------------------------

allowed() { sed '/^#/d; /^$/d' "$here/imports.txt" | sort -u; }
imported() {
  nm -D --undefined-only "$library" | awk '{ print $2 }' |
    sed 's/@.*//; s/^__\(.*\)_chk$/\1/' | sort -u
}

allowed >"$folder/allowed"
imported >"$folder/imported"
comm -13 "$folder/allowed" "$folder/imported" >"$folder/others"
[ -s "$folder/others" ] &&
  fail "imported, but not in imports.txt:" $(cat "$folder/others")

# ---- Layout ------------------------------------------------------------------

"${CC:-cc}" -std=c11 -fsyntax-only -I"$include" "$here/layout.c" ||
  fail "the layout of structs is not that of tests/abi/layout.h"

# ---- The last release --------------------------------------------------------

# Structs may grow at their end: without what was appended they are the same.
compare() {
  "${PYTHON:-python3}" "$here/interface.py" released "$include" \
    "$folder/released" "$here/libimgrec.abi" &&
    sh "$here/dump.sh" "$folder/released" "$map" "$soname" "$folder" \
      >"$folder/now.abi" || return 1
  abidiff "$here/libimgrec.abi" "$folder/now.abi" >"$folder/changes"
  abidiff --no-added-syms "$here/libimgrec.abi" "$folder/now.abi" \
    >"$folder/breaks"
}

if command -v abidiff >/dev/null && command -v abidw >/dev/null; then
  if compare; then
    sed -n "s/^ *\[A\] '\(.*\)'.*/abi: since the last release: \1/p" \
      "$folder/changes"
  else
    fail "not compatible with the last release"
    cat "$folder/breaks" >&2
  fi
elif [ "$strict" = strict ]; then
  fail "abidiff is missing: it is in the package abigail-tools"
else
  echo "abi: not compared with the last release, for want of abigail-tools"
fi
exit $status
