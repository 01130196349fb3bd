#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs of older and newer releases with the shared library in BUILD:
#   old_programs.sh BUILD
build=$1
here=$(dirname "$0")
folder=$build/abi/programs
status=0
mkdir -p "$folder"

interface() { "${PYTHON:-python3}" "$here/interface.py" "$@"; }

# try NAME INCLUDE [ARGUMENT]: built against INCLUDE, which must not matter
try() {
  name=$1 include=$2
  shift 2
  "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -D"$name" -I"$include" \
    -o "$folder/$name" "$here/old_program.c" -L"$build" -limgrec \
    -Wl,-rpath,"$(cd "$build" && pwd)" &&
    "$folder/$name" "$folder" "$@" &&
    echo "old programs: $name $* works" ||
    { echo "old programs: $name $* failed" >&2; status=1; }
}

interface shorter include "$folder/shorter" "$here/0.1.0" || exit 1
interface longer include "$folder/longer" || exit 1
try FIRST "$here/0.1.0"
try SHORTER "$folder/shorter"
try SAME include
try LONGER "$folder/longer"
try LONGER "$folder/longer" tail
exit $status
