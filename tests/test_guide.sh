#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the commands of docs/guide/, chapter by chapter, in one folder that has
# digits/, from the root of the repository:
#   sh tests/test_guide.sh BUILD_DIR
# A command is a line of a fenced block whose language is sh.
set -u

build=$(cd "${1:-build}" && pwd)
guide=$(pwd)/docs/guide
tmp=build/tmp/guide
passed=0
failed=0

rm -rf "$tmp"
mkdir -p "$tmp"
cp -r examples/data/digits "$tmp/digits"
cd "$tmp" || exit 1
PATH=$build:$PATH

for page in "$guide/README.md" "$guide"/[0-9]*.md; do
  sed -n '/^```sh$/,/^```$/{/^```/!p;}' "$page" >commands
  while IFS= read -r line; do
    if sh -c "$line" >out 2>&1 </dev/null; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "FAIL $(basename "$page"): $line"
      sed 's/^/  /' out | head -n 5
    fi
  done <commands
done

# The numbers that the text promises.
says() {
  if imgrec eval digits.imgrec digits/ --json | grep -q "$1"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL the digits are not learned as well as the guide says"
  fi
}
says '"images":297,.*"top1":0\.9'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 15 ]
