# SPDX-License-Identifier: MIT
# For scripts that try the command: they set $imgrec, $digits and $tmp, a folder
# that is made anew, and read this in.

out=$tmp/out
err=$tmp/err
passed=0
failed=0

pass() { passed=$((passed + 1)); }

flunk() {
  failed=$((failed + 1))
  echo "FAIL $*"
  sed 's/^/  stdout: /' "$out" | head -n 5
  sed 's/^/  stderr: /' "$err" | head -n 5
}

# check NAME COMMAND...: the command succeeds
check() {
  title=$1
  shift
  if "$@"; then pass; else flunk "$title"; fi
}

# expect CODE ARGUMENTS...: runs imgrec into $out and $err
expect() {
  want=$1
  shift
  "$imgrec" "$@" >"$out" 2>"$err"
  got=$?
  if [ "$got" -eq "$want" ]; then
    pass
  else
    flunk "exit code $got, not $want: imgrec $*"
  fi
}

says() { check "stdout lacks: $1" grep -q -e "$1" "$out"; }
complains() { check "stderr lacks: $1" grep -q -e "$1" "$err"; }
silent() { check "something on stderr" test ! -s "$err"; }
same() { check "$1 and $2 differ" cmp -s "$1" "$2"; }
# count N PATTERN: stdout has it N times
count() {
  check "$2 is not there $1 times" \
    test "$(grep -o -e "$2" "$out" | wc -l)" -eq "$1"
}
ends_with() { check "the last line lacks: $1" last_line_has "$1"; }
last_line_has() { tail -n 1 "$out" | grep -q -e "$1"; }

# Each line of $out is a JSON value of its own; only where Python is.
valid_json() {
  command -v python3 >/dev/null || return 0
  check "not JSON" python3 -c '
import json, sys
def refuse(constant):
    raise ValueError(constant)
for line in open(sys.argv[1], encoding="utf-8"):
    json.loads(line, parse_constant=refuse)' "$out"
}

# OPTION VALUE...: each value is refused with a sentence naming both.
refuses() {
  refused_by "train $digits -o $tmp/none" "$@"
}

# COMMAND OPTION VALUE...
refused_by() {
  command=$1 option=$2
  shift 2
  for value in "$@"; do
    # shellcheck disable=SC2086
    expect 2 $command "$option=$value"
    check "$option=$value: $(head -n 1 "$err")" \
      grep -q -F -e "$option: '$value' is not " "$err"
  done
}

# The network of the later tests; -o and more follow.
train_digits() {
  expect 0 train "$digits" --epochs 8 --lr 0.003 --seed 1 "$@"
}

# NAME...: runs test_NAME each and prints how it went; the last command.
run_tests() {
  for test in "$@"; do
    "test_$test"
  done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

mkdir -p "$tmp"
rm -rf "${tmp:?}"/*
"$imgrec" --version >"$out" || exit 1
: >"$out"
: >"$err"
