#!/bin/sh
# SPDX-License-Identifier: MIT
# The binary interface that a header declares, as abidw writes it, to stdout:
#   dump.sh INCLUDE MAP SONAME FOLDER
# of a library whose functions are empty: types and functions are those of the
# header, whatever flags the library itself was built with.
include=$1 map=$2 soname=$3 folder=$4
here=$(dirname "$0")
mkdir -p "$folder" &&
  "${PYTHON:-python3}" "$here/interface.py" stubs "$include" \
    >"$folder/stubs.c" &&
  "${CC:-cc}" -std=c11 -g -fPIC -shared -I"$include" -Wl,-soname,"$soname" \
    -Wl,--version-script="$map" -o "$folder/libstubs.so" "$folder/stubs.c" &&
  abidw --no-show-locs --no-comp-dir-path --no-corpus-path --no-elf-needed \
    --no-parameter-names --no-write-default-sizes --drop-undefined-syms \
    --exported-interfaces-only "$folder/libstubs.so"
