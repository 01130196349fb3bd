#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages from the tarball of the sources, asks lintian, and
# uses what they install (in a folder, so that no root is needed): the command,
# the library from C and from Python, the manuals.  From the root of the
# repository:
#   sh tests/test_deb.sh BUILD_DIR
set -u

build=${1:-build}
tmp=$(pwd)/build/tmp/deb
root=$tmp/root
digits=$(pwd)/examples/data/digits
. tests/checks.sh

for tool in dh dpkg-buildpackage lintian dh_python3; do
  command -v $tool >/dev/null && continue
  echo "skipped: no $tool (debhelper, dpkg-dev, lintian, dh-python)"
  exit 0
done

build_packages() {
  (cd "$tmp/$folder" &&
    DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" \
      dpkg-buildpackage -us -uc -d)
}

# Who publishes the packages puts an address of theirs into them.
ask_lintian() {
  lintian --fail-on error,warning --allow-root --suppress-tags \
    bogus-mail-host,bogus-mail-host-in-debian-changelog \
    "$tmp"/imgrec_*.changes
}

# Without the scripts, which are for a whole system.
unpack() {
  mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info"
  : >"$root/var/lib/dpkg/status"
  dpkg --root="$root" --force-not-root --force-depends --force-bad-path \
    --log=/dev/null --unpack "$tmp"/*.deb
}

in_root() {
  (cd "$tmp/world" && LD_LIBRARY_PATH=$root/usr/lib/$machine "$@")
}

compile() {
  # shellcheck disable=SC2046 # lists of words
  (
    export PKG_CONFIG_SYSROOT_DIR="$root"
    export PKG_CONFIG_LIBDIR="$root/usr/lib/$machine/pkgconfig"
    cc -o "$tmp/world/recognise" \
      "$root/usr/share/doc/libimgrec-dev/examples/recognise.c" \
      $(pkg-config --cflags --libs imgrec)
  )
}

python_test() {
  in_root env PYTHONPATH="$root/usr/lib/python3/dist-packages" \
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$tmp/$folder/tests/python_package.py" \
    photos.imgrec cat.png
}

rm -rf "$tmp"
mkdir -p "$tmp/world"
machine=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
check "make dist" make -s dist BUILD="$tmp/dist"
folder=$(basename "$tmp"/dist/*.tar.gz .tar.gz)
tar -xzf "$tmp/dist/$folder.tar.gz" -C "$tmp"
check "the changelog's version is not that of version.h" \
  test "imgrec-$(cd "$tmp/$folder" && dpkg-parsechangelog -S Version)" = "$folder"
check "dpkg-buildpackage" build_packages
check "lintian" ask_lintian
check "four packages" test "$(echo "$tmp"/*.deb | wc -w)" -eq 4
check "unpack" unpack
check "imgrec --version" in_root "$root/usr/bin/imgrec" --version
check "train" in_root "$root/usr/bin/imgrec" train "$digits" --epochs 5 \
  -o photos.imgrec
check "sample" in_root "$root/usr/bin/imgrec" sample "$digits" -n 1 -o one
cp "$tmp"/world/one/*.png "$tmp/world/cat.png"
check "compile" compile
check "recognise" in_root "$tmp/world/recognise" photos.imgrec cat.png
check "Python" python_test
for page in "1 imgrec" "3 imgrec"; do
  # shellcheck disable=SC2086 # two words
  check "man $page" man -M "$root/usr/share/man" -w $page
done
report
