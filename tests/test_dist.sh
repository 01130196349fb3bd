#!/bin/sh
# SPDX-License-Identifier: MIT
# The tarball of the sources: the same bytes from two checkouts with other times
# and permissions, and enough to build, test and install from.  From the root of
# the repository:
#   sh tests/test_dist.sh BUILD_DIR
set -u

how=${2:-}
tmp=$(pwd)/build/tmp/dist
. tests/checks.sh

pack() { make -s -C "$1" dist BUILD="$2"; }

# As another person has it: other folder, umask, times, time zone, language.
pack_elsewhere() {
  (umask 077 && git clone -q . "$tmp/clone" &&
    find "$tmp/clone" -name '*.c' -exec touch -d 2001-01-01 {} + &&
    TZ=Asia/Tokyo LC_ALL=C.UTF-8 pack "$tmp/clone" "$tmp/clone/build")
}

without_git() {
  (cd "$tmp" && tar -xzf "$tarball" && cd "$folder" &&
    "$@")
}

# All recipes, for what they name must be there.
dry() { make -n all units check install lint amalgamation BUILD=built; }

rm -rf "$tmp"
mkdir -p "$tmp/once"
check "make dist" pack . "$tmp/once"
tarball=$(echo "$tmp"/once/imgrec-*.tar.gz)
folder=$(basename "$tarball" .tar.gz)
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
  echo "not compared: there are changes that are not committed"
else
  check "make dist elsewhere" pack_elsewhere
  check "the same bytes" cmp "$tarball" "$tmp/clone/build/$folder.tar.gz"
fi
check "permissions" sh -c "! tar -tvzf '$tarball' |
  grep -v '^-r[-w][-x]r-[-x]r-[-x] 0/0'"
check "all files" test "$(tar -tzf "$tarball" | wc -l)" -eq \
  "$(git ls-files | wc -l)"
check "recipes" without_git dry
if [ "$how" = build ]; then
  check "it builds" without_git make -s build/imgrec CFLAGS=-O1
  check "the command runs" "$tmp/$folder/build/imgrec" --version
fi
report
