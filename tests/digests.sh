#!/bin/sh
# SPDX-License-Identifier: MIT
# Digests of training on every platform that has been checked in BUILD, side by
# side: a row for each platform and table of kernels, a column for each network,
# in it the first digits of SHA-256 of weights and logits.  Fails where two
# differ.
#   digests.sh BUILD
set -eu
build=$1
here=$("${CC:-cc}" -dumpmachine | sed 's/-.*//')
mkdir -p "$build/$here"
"$build/tests/test_digest" quick >"$build/$here/digests.log"
sed -n 's/^digest //p' "$build/$here/digests.log" >"$build/$here/digests.txt"
for file in "$build"/*/digests.txt; do
  sed "s/^/$(basename "$(dirname "$file")") /" "$file"
done | awk '
  { # PLATFORM TABLE PRESET SIZE ...: WEIGHTS LOGITS
    row = sprintf("%-8s %-7s", $1, $2)
    net = $3 " " $4
    digest = $(NF - 1) $NF
    if (!(row in shown)) { rows[++row_count] = row; shown[row] = "" }
    if (!(net in first)) { nets[++net_count] = net; first[net] = digest }
    if (digest != first[net]) differ++
    shown[row] = shown[row] " " substr($(NF - 1), 1, 5) "." substr($NF, 1, 5)
  }
  END {
    printf "%-16s", ""
    for (i = 1; i <= net_count; i++) {
      split(nets[i], word, " ")
      printf " %-11s", word[1]
    }
    print ""
    for (i = 1; i <= row_count; i++) print rows[i] shown[rows[i]]
    print differ ? differ " DIFFER" : "all equal"
    exit differ > 0
  }'
