#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make windows` built in BUILD, run by Wine: the tests of the library, the
# DLL and its import library, and the command, which is compared with IMGREC.
#   test_windows.sh BUILD IMGREC [TEST...]     only these tests of the library
set -u
build=$1
imgrec=$2
shift 2
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
"$wine" "$build/tests/test_digest.exe" quick 2>"$build/tests/quick.log" |
  tr -d '\r' | sed -n 's/^digest //p' >"$build/digests.txt"

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

# ---- The command -------------------------------------------------------------

work=$build/command
data=examples/data/digits
run() {
  "$wine" "$build/imgrec.exe" "$@" >>"$work/log" 2>&1
}
epochs=12
train() { # IMGREC... -o or --run
  "$@" --preset tiny --epochs $epochs --seed 5 >>"$work/log" 2>&1
}
rm -rf "$work"
mkdir -p "$work"
train "$wine" "$build/imgrec.exe" train $data -o "$work/zähler 数.imgrec" ||
  fail "imgrec.exe train"
train "$imgrec" train $data -o "$work/here.imgrec"
cmp "$work/here.imgrec" "$work/zähler 数.imgrec" ||
  fail "imgrec.exe trains another model"
run sample $data -n 3 --part test -o "$work/bilder ü" || fail "imgrec.exe sample"
run predict "$work/zähler 数.imgrec" "$work/bilder ü/*.png" ||
  fail "imgrec.exe predict"
[ "$(grep -c '^build.*png: [0-9]' "$work/log")" = 3 ] ||
  fail "imgrec.exe predict *.png says nothing of three images"
run eval "$work/zähler 数.imgrec" nowhere && fail "imgrec.exe eval nowhere"
grep -q "cannot open 'nowhere': no such file or folder" "$work/log" ||
  fail "imgrec.exe says not what is not there"
# Killed, and taken up again.  So many epochs last until another process starts.
epochs=1000
train "$imgrec" train $data --run "$work/whole"
"$wine" "$build/imgrec.exe" train $data --run "$work/läuft" --preset tiny \
  --epochs $epochs --seed 5 >>"$work/log" 2>&1 &
for _ in $(seq 200); do
  grep -q '"epoch":3' "$work/läuft/log.jsonl" 2>/dev/null && break
  sleep 0.3
done
run train --resume "$work/läuft" && fail "two processes train in one folder"
kill -9 $!
wait $! 2>/dev/null
run train --resume "$work/läuft" || fail "imgrec.exe train --resume"
cmp "$work/whole/best.safetensors" "$work/läuft/best.safetensors" ||
  fail "a resumed run ends with another model"
[ $status = 0 ] && echo "windows: imgrec.exe: the same models as here"
[ $status = 0 ] || tail -n 20 "$work/log"
exit $status
