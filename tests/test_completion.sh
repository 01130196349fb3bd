#!/bin/sh
# SPDX-License-Identifier: MIT
# What bash, zsh and fish complete is what the command's --help says: all of the
# commands, and all options of each.  From the root of the repository:
#   sh tests/test_completion.sh BUILD_DIR
set -u

build=${1:-build}
tmp=$(pwd)/build/tmp/completion
PATH=$(cd "$build" && pwd):$PATH
completion=$(pwd)/src/completion
passed=0
failed=0
skipped=0

# same NAME FILE: FILE has the lines of $tmp/expected, in any order
same() {
  sort "$2" >"$2.sorted"
  if cmp -s "$2.sorted" "$tmp/expected"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $1"
    diff "$2.sorted" "$tmp/expected" | sed 's/^/  /' | head
  fi
}

# Each of these prints what is offered behind "imgrec WORD...", the last of
# which is being typed.
by_bash() {
  bash -c '. "$0/imgrec.bash"; COMP_WORDS=(imgrec "$@"); COMP_CWORD=$#
    _imgrec imgrec; printf "%s\n" "${COMPREPLY[@]}"' "$completion" "$@"
}

# With stand-ins for what only a line editor has.
by_zsh() {
  zsh -f -c '_describe() { print -l -- ${${(P)2}%%:*}; }; _files() { }
    complete() { local -a words=(imgrec "$@"); local CURRENT=$#words
      . $0/_imgrec; }
    setopt no_function_argzero; complete "$@"' "$completion" "$@"
}

by_fish() {
  fish --no-config -c "source $completion/imgrec.fish
    complete -C 'imgrec $*'" | cut -f 1
}

test_shell() {
  command -v "$1" >/dev/null || {
    skipped=$((skipped + 1))
    echo "skipped: no $1"
    return
  }
  imgrec --help | sed -n 's/^  \([a-z][a-z-]\{2,\}\) .*/\1/p' >"$tmp/commands"
  sort "$tmp/commands" >"$tmp/expected"
  "by_$1" '' | grep '^[a-z]' >"$tmp/offered"
  same "$1: commands" "$tmp/offered"
  while read -r command; do
    imgrec "$command" --help | sed '1,/^options:/d' | grep '^  -' |
      sed 's/^[^-]*\(-., \)*\(--[a-z0-9-]*\).*/\2/' | sort >"$tmp/expected"
    "by_$1" "$command" -- >"$tmp/offered"
    same "$1: options of $command" "$tmp/offered"
  done <"$tmp/commands"
}

rm -rf "$tmp"
mkdir -p "$tmp"
for shell in bash zsh fish; do
  test_shell $shell
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
