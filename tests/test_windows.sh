#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make windows` built in BUILD, run by Wine: the tests of the library, the
# DLL and its import library, and the command.
#   test_windows.sh BUILD [TEST...]     only these of the library's tests
set -u
build=$1
shift
wine=${WINE:-wine}
command -v "$wine" >/dev/null || {
  echo "windows: skipped, for want of $wine"
  exit 0
}
export WINEDEBUG=-all WINEPREFIX="$PWD/$build/wine"
status=0
fail() {
  echo "FAILED  windows: $*"
  status=1
}
mkdir -p build/tmp

# ---- The library's tests -----------------------------------------------------

[ $# -gt 0 ] || set -- $(basename -s .exe "$build"/tests/test_*.exe)
passed=0
for name; do
  if "$wine" "$build/tests/$name.exe" >"$build/tests/$name.log" 2>&1; then
    passed=$((passed + 1))
  else
    fail "$name"
    tail -n 10 "$build/tests/$name.log"
  fi
done
echo "windows: $passed of $# test programs passed"

# ---- The DLL -----------------------------------------------------------------

compiler=${CC:-x86_64-w64-mingw32-gcc}
dump=${compiler%gcc}objdump
dll=$(echo "$build"/libimgrec-*.dll)
"$dump" -p "$dll" | sed -n 's/.*\] \(imgrec_[a-z0-9_]*\)$/\1/p' | sort -u |
  cmp - tests/abi/symbols.txt || fail "exports of $dll"
others=$("$dump" -p "$dll" | sed -n 's/.*DLL Name: //p' | sort | tr '\n' ' ')
[ "$others" = "KERNEL32.dll msvcrt.dll " ] || fail "$dll needs $others"
# See mk/windows.mk: not one move may count on the stack's alignment.
[ "$("$dump" -d "$dll" | grep -c 'vmovap\|vmovdqa\|vmovnt')" = 0 ] ||
  fail "moves in $dll that need alignment"
cp "$dll" "$build/tests"
if "$wine" "$build/tests/program.exe" >"$build/tests/program.log" 2>&1; then
  echo "windows: a program with the DLL: same bytes by 1 to 5 threads"
else
  fail program
  cat "$build/tests/program.log"
fi
exit $status
