#!/bin/sh
# SPDX-License-Identifier: MIT
# What the library takes, floor by floor, and whether that is within a limit:
#   size.sh OBJECTS LIBRARY LIMIT
# OBJECTS: the folder of its objects; LIMIT: bytes of the library without symbols.
set -u

objects=${1:?usage: size.sh OBJECTS LIBRARY LIMIT}
library=$2 limit=$3
stripped=$(mktemp) || exit 1
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library" || exit 1

# FLOOR OBJECT...: code and constants, data; then the largest of them
row() {
  floor=$1
  shift
  size "$@" | awk -v floor="$floor" '
    NR > 1 {
      text += $1; data += $2
      n = $NF; sub(/.*\//, "", n); sub(/\.o$/, "", n)
      if ($1 > most) { second = first; most2 = most; first = n; most = $1 }
      else if ($1 > most2) { second = n; most2 = $1 }
    }
    END {
      printf "%-12s %8d %6d  %s %d", floor, text, data, first, most
      if (second) printf ", %s %d", second, most2
      print ""
    }'
}

printf '%-12s %8s %6s  %s\n' floor code data largest
row ground "$objects"/*.o
for folder in "$objects"/*/; do
  name=$(basename "$folder")
  [ "$name" = kernels ] || row "$name" "$folder"*.o
done
for isa in scalar avx2 avx512 avx512vnni neon; do
  set -- "$objects"/kernels/*_"$isa".o
  [ -f "$1" ] && row "$isa" "$@"
done

bytes=$(wc -c <"$stripped")
echo "$(basename "$library"), stripped: $bytes bytes of at most $limit"
[ "$bytes" -le "$limit" ]
