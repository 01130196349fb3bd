#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests of what measures speed, from the root of the repository:
#   sh tests/test_bench.sh BUILD_DIR
# Speeds themselves are not tested, nor are counts, which take valgrind.
set -u

build=${1:-build}
tmp=build/tmp/bench
out=$tmp/out
passed=0
failed=0

# check NAME COMMAND...: the command succeeds
check() {
  title=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $title"
    tail -n 5 "$out"
  fi
}

# expect CODE COMMAND...: into $out
expect() {
  want=$1
  shift
  "$@" >"$out" 2>&1
  got=$?
  check "exit code $got, not $want: $*" test "$got" -eq "$want"
}

says() { check "output lacks: $1" grep -q -e "$1" "$out"; }

test_kernels() {
  expect 0 "$build/bench_kernels" '' 0.0001
  rows=$(grep -c -e 'GFLOP/s *same bits$' -e 'GB/s *same bits$' "$out")
  names=$(sed -n '/^const struct kernel_row/,$s/^    {"/&/p' \
    bench/kernel_table.c | wc -l)
  check "$rows rows of $names" test "$rows" -eq "$names" -a "$rows" -gt 40
  expect 0 "$build/bench_kernels" gelu 0.0001
  check "more than gelu" test "$(wc -l <"$out")" -eq 4
  expect 1 "$build/bench_kernels" no-such
  says "no kernel has 'no-such' in its name"
}

test_count() {
  expect 0 "$build/bench_count"
  cp "$out" "$tmp/names"
  check "few works" test "$(wc -l <"$tmp/names")" -gt 10
  "$build/bench_count" adam
  [ $? -eq 2 ] && return # no AVX2
  while read -r name; do
    expect 0 "$build/bench_count" "$name"
    check "no count of $name" grep -q "^ *[0-9]*  $name\$" \
      bench/instructions.txt
  done <"$tmp/names"
  expect 1 "$build/bench_count" no-such
  says "no kernel 'no-such'"
}

# counts A B: two pieces of work
counts() { printf '# compiler: x\n %d  one\n %d  the other\n' "$1" "$2"; }

test_compare() {
  counts 1000 2000 >"$tmp/stored"
  counts 1049 500 >"$tmp/new"
  expect 0 sh bench/instructions.sh compare "$tmp/stored" "$tmp/new"
  says '^one  *1000  *1049  *+4.9 %$'
  says '^the other  *2000  *500  *-75.0 %  fewer'
  counts 1000 2101 >"$tmp/new"
  expect 1 sh bench/instructions.sh compare "$tmp/stored" "$tmp/new"
  says '^the other  *2000  *2101  *+5.0 %  TOO MANY$'
  printf ' 1000  one\n 7  new\n' >"$tmp/new"
  expect 1 sh bench/instructions.sh compare "$tmp/stored" "$tmp/new"
  says '^new .* not stored$'
  : >"$tmp/new"
  expect 1 sh bench/instructions.sh compare "$tmp/stored" "$tmp/new"
}

mkdir -p "$tmp"
: >"$out"
test_kernels
test_count
test_compare
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
