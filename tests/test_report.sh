#!/bin/sh
# SPDX-License-Identifier: MIT
# The page of `imgrec report`: complete, self-contained, safe against any class
# name, and rendered by Chromium where that is installed:
#   sh tests/test_report.sh BUILD_DIR
set -u

build=${1:-build}
imgrec=$build/imgrec
digits=examples/data/digits
tmp=build/tmp/report
failed=0
passed=0

check() {
  title=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAIL $title"
  fi
}

run() {
  check "exit code of: imgrec $*" "$imgrec" "$@" >"$tmp/out" 2>"$tmp/err"
}
has() { check "$page lacks: $1" grep -q -e "$1" "$page"; }
lacks() { check "$page has: $1" test "$(grep -c -e "$1" "$page")" -eq 0; }

# The accuracy with its interval, which tells of how many images, is the same.
figures() { grep -o '<title>accuracy [^<]*' "$1"; }
same_figures() {
  [ -n "$(figures "$1")" ] && [ "$(figures "$1")" = "$(figures "$page")" ]
}

# Tags closed in order, ids unique, links within the page, nothing fetched.
well_formed() {
  command -v python3 >/dev/null || return 0
  check "$page is not well-formed" python3 - "$page" <<'PYTHON'
import html.parser, sys
VOID = {"meta", "img", "br"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.bad = [], set(), [], []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("script", "link", "iframe", "object", "embed"):
            self.bad.append(f"<{tag}>")
        for name, value in attrs.items():
            if name.startswith("on"):
                self.bad.append(f"{tag} {name}")
            if name == "src" and not value.startswith("data:image/"):
                self.bad.append(f"{tag} src={value[:40]}")
            if name == "href":
                self.links.append(value)
        if tag == "img" and not attrs.get("alt"):
            self.bad.append("img without alt")
        if "id" in attrs:
            if attrs["id"] in self.ids:
                self.bad.append("id " + attrs["id"] + " twice")
            self.ids.add(attrs["id"])
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(f"</{tag}> at {self.getpos()}")
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.bad += page.open
page.bad += [l for l in page.links if l[0] != "#" or l[1:] not in page.ids]
print("\n".join(page.bad), end="")
sys.exit(bool(page.bad))
PYTHON
}

# An empty page is a few kilobytes of PNG, whatever its size.
picture_of() {
  rm -f "$tmp/page.png"
  sandbox=
  test "$(id -u)" = 0 && sandbox=--no-sandbox
  # shellcheck disable=SC2086
  timeout 300 "$browser" --headless $sandbox --disable-gpu \
    --no-first-run --disable-background-networking --hide-scrollbars --user-data-dir="$tmp/profile" \
    --window-size="$1" --screenshot="$tmp/page.png" \
    "file://$PWD/$page" >"$tmp/browser.log" 2>&1
  test -s "$tmp/page.png" && test "$(wc -c <"$tmp/page.png")" -gt 60000
}

rendered() {
  browser=$(command -v chromium || command -v chromium-browser ||
    command -v google-chrome) || {
    echo "skipped: no chromium here to render $page"
    return 0
  }
  check "$page is not rendered" picture_of 1280,3000
  check "$page is not rendered for a phone" picture_of 500,3000
}

rm -rf "${tmp:?}"
mkdir -p "$tmp/run"

# ---- A run with all there is -------------------------------------------------

"$imgrec" train "$digits" --epochs 3 --seed 5 --val-split 0.25 \
  --run "$tmp/run" -o "$tmp/run/m.imgrec" >/dev/null || exit 1
echo '# <&>' >>"$tmp/run/config.txt"
cp "$tmp/run/report.html" "$tmp/own.html"
"$imgrec" sample "$digits" -n 1 -o "$tmp/some" >/dev/null
cp "$tmp"/some/*.png "$tmp/run/preview.png"
page=$tmp/run/report.html
run report "$tmp/run/m.imgrec" "$digits" --run "$tmp/run" --test "$digits" \
  -o "$page"
check "other numbers than those of the run" same_figures "$tmp/own.html"
check "the number is said" grep -q ' % of 376 validation images are right' \
  "$tmp/out"
lacks 'learned from</b>'
for id in curves confusion classes mistakes unsure heat calibration filters \
  preview data network repeat; do
  has "<section id=\"$id\""
done
has 'Accuracy on the test part'
has '# &lt;&amp;&gt;'
has "<pre>imgrec train $digits .*--seed 5 "
has '<h3>Loss</h3>'
has 'what speaks for'
has "default-src 'none'"
lacks 'https\?://'
lacks 'nan\b'
well_formed
rendered
cp "$page" "$tmp/first.html"
run report "$tmp/run/m.imgrec" "$digits" --run "$tmp/run" \
  --test "$digits" -o "$page" --threads 1 --isa scalar
check "another page from the same" cmp -s "$page" "$tmp/first.html"
check "something is left over" test ! -e "$page.tmp"
run report "$tmp/run/m.imgrec" "$digits" --run "$tmp/run" --seed 6 -o "$page"
has 'learned from</b>'
check "other images are not said" grep -q 'validated on other images' "$tmp/err"

# ---- Copies: what the run left out, a page leaves out ------------------------

mkdir -p "$tmp/copies/a" "$tmp/copies/b"
"$imgrec" sample "$digits" -n 40 --part train -o "$tmp/few" >/dev/null
i=0
for file in "$tmp"/few/*.png; do
  i=$((i + 1))
  folder=$tmp/copies/$([ $((i % 2)) = 0 ] && echo a || echo b)
  cp "$file" "$folder/$i.png"
  [ $i -gt 30 ] || cp "$file" "$folder/$i-again.png"
done
"$imgrec" train "$tmp/copies" --epochs 2 --val-split 0.3 --augment none \
  --run "$tmp/copied" >"$tmp/out" || exit 1
page=$tmp/copied.html
run report "$tmp/copied/best.safetensors" "$tmp/copies" --run "$tmp/copied" \
  -o "$page"
check "other numbers than those of the run" \
  same_figures "$tmp/copied/report.html"
check "what is left out is not said" grep -q '^left out: ' "$tmp/out"
lacks 'learned from</b>'

# ---- Names from outside ------------------------------------------------------

evil='<script>alert(1)</script>&"'\''x'
for i in 0 1 2 3; do
  mkdir -p "$tmp/evil/b$i" "$tmp/evil/$(echo "$evil" | tr / _)"
done
"$imgrec" sample "$digits" -n 60 --part train -o "$tmp/some" >/dev/null
i=0
for file in "$tmp"/some/*.png; do
  i=$((i + 1))
  case $((i % 5)) in
  4) cp "$file" "$tmp/evil/$(echo "$evil" | tr / _)/$i\"<b>.png" ;;
  *) cp "$file" "$tmp/evil/b$((i % 5))/$i.png" ;;
  esac
done
"$imgrec" train "$tmp/evil" --epochs 1 -o "$tmp/evil.imgrec" >/dev/null
page=$tmp/evil.html
run report "$tmp/evil.imgrec" "$tmp/evil" -o "$page"
has '&lt;script&gt;alert(1)&lt;_script&gt;&amp;&quot;&#39;x'
lacks '<script'
lacks 'id="curves"'
well_formed

# ---- Many classes ------------------------------------------------------------

printf 'path,label\n' >"$tmp/many.csv"
i=0
for file in "$tmp"/some/*.png; do
  i=$((i + 1))
  printf '%s,class %d\n' "some/$(basename "$file")" $((i % 30)) \
    >>"$tmp/many.csv"
done
"$imgrec" train "$tmp/many.csv" --epochs 1 -o "$tmp/many.imgrec" >/dev/null
page=$tmp/many.html
run report "$tmp/many.imgrec" "$tmp/many.csv" -o "$page"
has 'stand side by side'
has 'class 29'
well_formed
rendered

# ---- A model of bytes has no maps --------------------------------------------

"$imgrec" quantize "$tmp/run/m.imgrec" "$digits" -o "$tmp/int8.imgrec" \
  >/dev/null
page=$tmp/int8.html
run report "$tmp/int8.imgrec" "$digits" -o "$page"
has 'This network gives no such map'
well_formed

# ---- What is refused ---------------------------------------------------------

refused() {
  want=$1
  shift
  "$imgrec" report "$@" >"$tmp/out" 2>"$tmp/err"
  got=$?
  check "exit code $got, not $want: $*" test "$got" -eq "$want"
  check "no sentence: $*" test -s "$tmp/err"
}
refused 2 "$tmp/run/m.imgrec" "$digits"
refused 2 "$tmp/run/m.imgrec" -o "$tmp/x.html"
refused 1 "$tmp/nowhere" "$digits" -o "$tmp/x.html"
refused 1 "$tmp/run/m.imgrec" "$tmp/nowhere" -o "$tmp/x.html"
refused 1 "$tmp/run/m.imgrec" "$digits" -o "$tmp/no/such/x.html"
refused 1 "$tmp/run/m.imgrec" "$digits" --log docs/imgrec.1 -o "$tmp/x.html"
refused 1 "$tmp/run/m.imgrec" "$digits" --run "$tmp" -o "$tmp/x.html"
check "a page although it was refused" test ! -e "$tmp/x.html"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
