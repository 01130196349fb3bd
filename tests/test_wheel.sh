#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the wheel and the source package of the Python package, installs each
# into a fresh environment without a network, and runs the package's test there,
# with NumPy and without.  From the root of the repository:
#   sh tests/test_wheel.sh BUILD_DIR
set -u

build=${1:-build}
root=$(pwd)
tmp=$root/build/tmp/wheel
python=${PYTHON:-python3}
. tests/checks.sh
# Nothing but what is installed may be found.
unset PYTHONPATH IMGREC_LIBRARY LD_LIBRARY_PATH

pack() { BUILD=$build "$python" python/build_backend.py "$tmp/$1"; }

# environment NAME PYTHON OPTIONS...: a new one
environment() {
  "$2" -m venv "$tmp/$1" "$3"
}

# put_in ENVIRONMENT PACKAGE
put_in() {
  "$tmp/$1/bin/pip" install -q --no-index --disable-pip-version-check "$2"
}

# test_in ENVIRONMENT [numpy]
test_in() {
  (cd "$tmp/world" && "$tmp/$1/bin/python" package.py photos.imgrec cat.png \
    ${2:+"$2"})
}

# The package and the library are those that were installed.
from_the_environment() {
  (cd "$tmp/world" && "$tmp/$1/bin/python" -c "
import imgrec
there = '$tmp/$1/'
assert imgrec.__file__.startswith(there), imgrec.__file__
maps = {line.split()[-1] for line in open('/proc/self/maps')
        if 'libimgrec' in line}
assert len(maps) == 1 and maps.pop().startswith(there), maps")
}

prepare() {
  mkdir -p "$tmp/world"
  cp tests/python_package.py "$tmp/world/package.py"
  check train "$build/imgrec" train examples/data/digits --epochs 5 \
    -o "$tmp/world/photos.imgrec"
  check sample "$build/imgrec" sample examples/data/digits -n 1 -o "$tmp/one"
  cp "$tmp"/one/*.png "$tmp/world/cat.png"
}

test_packing() {
  check "make the packages" pack first
  check "make them again" pack second
  for file in "$tmp"/first/*; do
    check "the same bytes twice: ${file##*/}" \
      cmp "$file" "$tmp/second/${file##*/}"
  done
  wheel=$(echo "$tmp"/first/*.whl)
  sources=$(echo "$tmp"/first/*.tar.gz)
  case $wheel in
  *-py3-none-manylinux_2_*_*.whl) ;;
  *) check "the name of the wheel" false ;;
  esac
}

test_wheel() {
  check "new environment" environment plain "$python" --clear
  check "install the wheel" put_in plain "$wheel"
  check "it is the one that was installed" from_the_environment plain
  check "the wheel without NumPy" test_in plain
  for each in "$python" /usr/bin/python3; do
    if "$each" -c 'import numpy' 2>/dev/null; then
      check "new environment with NumPy" \
        environment numpy "$each" --system-site-packages
      check "install the wheel beside NumPy" put_in numpy "$wheel"
      check "the wheel with NumPy" test_in numpy numpy
      return
    fi
  done
  skip "no NumPy"
}

test_sources() {
  check "new environment for the sources" environment sources "$python" --clear
  check "build and install the source package" put_in sources "$sources"
  check "it is the one that was built" from_the_environment sources
  check "what was built of the sources" test_in sources
}

rm -rf "$tmp"
mkdir -p "$tmp"
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  skip "$python cannot make environments (python3-venv)"
else
  prepare
  test_packing
  test_wheel
  test_sources
fi
report
