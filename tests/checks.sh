# SPDX-License-Identifier: MIT
# Counted checks, for scripts that set $tmp, a folder, and then read this in.

passed=0
failed=0
skipped=0

# check NAME COMMAND...: the command succeeds; else the end of its output is shown
check() {
  title=$1
  shift
  if "$@" >"$tmp/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $title"
    sed 's/^/  /' "$tmp/out" | tail -n 20
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "skipped: $1"
}

# As the last command of a script: its exit code says whether all passed.
report() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
