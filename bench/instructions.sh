#!/bin/sh
# SPDX-License-Identifier: MIT
# Counts the instructions of the pieces of work of bench_count, and compares
# them with the stored ones.
#   instructions.sh check PROGRAM CC     1: more than 5 % above, or not counted
#   instructions.sh update PROGRAM CC    writes bench/instructions.txt anew
#   instructions.sh compare STORED NEW   two files of counts, as check does
# Counts depend on the compiler: with another one there is nothing to compare.
set -u

stored=bench/instructions.txt
allowed=5 # per cent

say() { echo "bench-check: $*"; }

# NAME: prints how many instructions counted() takes for it
count() {
  rm -f "$tmp/callgrind.out"
  if valgrind --tool=callgrind --toggle-collect=counted \
    --callgrind-out-file="$tmp/callgrind.out" "$program" "$1" \
    >"$tmp/log" 2>&1; then
    instructions=$(sed -n 's/^summary: *//p' "$tmp/callgrind.out")
    [ "${instructions:-0}" -gt 0 ] && echo "$instructions" && return
  fi
  say "'$1' could not be counted:" >&2
  tail -n 5 "$tmp/log" >&2
  return 1
}

count_all() {
  echo "# Instructions of one call of each kernel (AVX2 table), and of one step"
  echo "# of small networks on one thread, batch 4, as callgrind counts them."
  echo "# They depend on the compiler.  Written by: make bench-check UPDATE=1"
  echo "# compiler: $compiler"
  while read -r name; do
    instructions=$(count "$name") || return 1
    printf '%12d  %s\n' "$instructions" "$name"
  done <"$tmp/names"
}

# STORED NEW: a table, and whether all is well
compare() {
  awk -v allowed="$allowed" '
    /^#/ || NF < 2 { next }
    { name = $0; sub(/^ *[0-9]+ +/, "", name) }
    FILENAME == ARGV[1] { stored[name] = $1; next }
    !(name in stored) {
      printf "%-24s %12s %12d  not stored\n", name, "-", $1; bad = 1; next
    }
    {
      change = 100 * ($1 / stored[name] - 1)
      verdict = ""
      if (change > allowed) {
        verdict = "  TOO MANY"
        bad = 1
      } else if (change < -allowed)
        verdict = "  fewer: worth storing"
      printf "%-24s %12d %12d %+6.1f %%%s\n", name, stored[name], $1, \
        change, verdict
      seen++
    }
    END { exit bad || seen == 0 }' "$1" "$2"
}

command=${1:?usage: instructions.sh check|update|compare ...}
if [ "$command" = compare ]; then
  compare "$2" "$3"
  exit
fi
program=$2
# "cc" and "gcc" are one; CC may be of several words
# shellcheck disable=SC2086
compiler=$($3 --version | sed -n '1s/^[^ ]*cc /gcc /; 1p')
[ -n "$compiler" ] || exit 1
tmp=build/tmp/instructions
mkdir -p "$tmp"
if ! command -v valgrind >/dev/null; then
  say "valgrind is missing" >&2
  exit 1
fi
if [ "$command" = check ] && ! grep -qxF "# compiler: $compiler" "$stored"; then
  say "the counts are of another compiler than $compiler: nothing is compared"
  exit 0
fi
"$program" >"$tmp/names" || exit 1
"$program" "$(head -n 1 "$tmp/names")"
if [ $? -eq 2 ]; then
  say "this CPU has no AVX2, which the counts are of: nothing is compared"
  exit 0
fi
count_all >"$tmp/counts" || exit 1
if [ "$command" = update ]; then
  cp "$tmp/counts" "$stored" && cat "$stored"
  exit
fi
printf '%-24s %12s %12s\n' work stored now
compare "$stored" "$tmp/counts" && exit 0
say "more than $allowed % above $stored, or not stored; where that is meant," \
  "'make bench-check UPDATE=1' stores the counts" >&2
exit 1
