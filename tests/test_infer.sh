#!/bin/sh
# SPDX-License-Identifier: MIT
# The library that recognises only (PROFILE=infer) beside the whole one:
#   test_infer.sh BUILD LIMIT    BUILD/infer has it; LIMIT: bytes, stripped
# its size, its functions, its needs, its bits, and what a program that wants to
# train is told.
set -u

build=${1:?usage: test_infer.sh BUILD LIMIT} limit=$2
infer=$build/infer
tmp=$build/tmp/infer
cc=${CC:-cc}
rm -rf "$tmp"
mkdir -p "$tmp"
fail() {
  echo "test_infer: $*" >&2
  exit 1
}

library=$(ls "$infer"/libimgrec.so.*.*.*) || fail "no library in $infer"
strip -o "$tmp/stripped" "$library"
bytes=$(wc -c <"$tmp/stripped")
echo "test_infer: $bytes bytes of at most $limit"
[ "$bytes" -le "$limit" ] || fail "larger than $limit bytes"
[ ! -e "$infer/imgrec" ] || fail "the command is there, which trains"

# ---- What it exports --------------------------------------------------------
nm -D --defined-only "$library" | sed -n 's/.* T \(imgrec_[a-z0-9_]*\).*/\1/p' |
  sort >"$tmp/has"
grep -E 'train|fit|dataset|evaluat|augment|_quantize|explain|examin|checkpoint' \
  "$tmp/has" && fail "these are of training"
for name in context_create model_load model_load_memory model_forward \
  model_classify image_load image_decode image_resize preset last_error; do
  grep -qx "imgrec_$name" "$tmp/has" || fail "imgrec_$name is missing"
done
sort tests/abi/symbols.txt | comm -13 - "$tmp/has" | grep . &&
  fail "these are not of the interface"
for need in $(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
  case $need in
    libc.* | libm.* | libpthread.* | libz.* | ld-linux*) ;;
    *) fail "it needs $need" ;;
  esac
done

# ---- Its bits ---------------------------------------------------------------
for which in "$build" "$infer"; do
  # shellcheck disable=SC2086
  $cc -O1 -Iinclude tests/infer/recognise.c -o "$tmp/recognise" \
    "$which/libimgrec.a" ${LIBS:--lm -pthread -lz} &&
    "$tmp/recognise" "$tmp/model.imgrec" >"$tmp/$(basename "$which").out" ||
    fail "recognise with $which"
done
cmp "$tmp/$(basename "$build").out" "$tmp/infer.out" || fail "other bits"
[ "$(wc -l <"$tmp/infer.out")" -ge 3 ] || fail "nothing was recognised"

# ---- A program that trains --------------------------------------------------
cat >"$tmp/train.c" <<'EOF'
#include <imgrec/imgrec.h>
int main(void) { return imgrec_train_step(0, 0, 0, 0); }
EOF
$cc -Iinclude "$tmp/train.c" -o "$tmp/train" "$library" >"$tmp/log" 2>&1 &&
  fail "a program that trains was linked"
grep -q "undefined reference to .imgrec_train_step" "$tmp/log" ||
  fail "linking a program that trains said: $(cat "$tmp/log")"
echo "test_infer: the same bits on $(wc -l <"$tmp/infer.out") networks and sets"
