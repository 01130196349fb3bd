#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make check-wasm` built in BUILD, by node: some of the library's tests,
# digests of training, the interface for JavaScript; and examples/web by
# Chromium.  IMGREC, the command, has trained the model of BUILD/page and is
# compared with.
#   test_wasm.sh BUILD IMGREC
set -u
build=$1
imgrec=$2
node=${NODE:-node}
data=examples/data/digits
status=0
fail() {
  echo "FAILED  wasm: $*"
  status=1
}
command -v "$node" >/dev/null || {
  echo "wasm: skipped, for want of $node"
  exit 0
}
# Emscripten takes node's fetch() for a browser's, where there is one.
run() {
  if "$node" --no-experimental-fetch -e 0 2>/dev/null; then
    "$node" --no-experimental-fetch "$@"
  else
    "$node" "$@"
  fi
}

mkdir -p build/tmp
for test in "$build"/tests/test_*.js; do
  name=$(basename "$test" .js)
  [ "$name" != test_digest ] || continue
  run "$test" >"$build/tests/$name.log" 2>&1 && echo "wasm: $name" || {
    fail "$name"
    tail -c 2000 "$build/tests/$name.log"
  }
done
run "$build/tests/test_digest.js" quick >"$build/digests.new" 2>"$build/log" &&
  sed -n 's/^digest //p' "$build/digests.new" >"$build/digests.txt" &&
  echo "wasm: the digests of all platforms" ||
  { fail "digests"; tail -c 2000 "$build/log"; }

"$imgrec" eval "$build/page/digits.imgrec" $data --json >"$build/eval.json"
"$node" tests/wasm_api.js "$build/imgrec.js" "$build/page/digits.imgrec" \
  "$build/eval.json" "$build/trained.imgrec" || fail "the interface"
"$imgrec" eval "$build/trained.imgrec" $data >"$build/log" ||
  fail "a model saved there is not read here"

if CHROMIUM=$(command -v chromium || command -v chromium-browser); then
  export CHROMIUM
  "$node" tests/web_page.js "$build/page" "$build/page.png" ||
    fail "examples/web"
else
  echo "wasm: examples/web skipped, for want of chromium"
fi
exit $status
