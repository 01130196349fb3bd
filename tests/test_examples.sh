#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds and runs the examples and the programs in README.md, docs/embedding.md
# and python/README.md against an install of the library, static and shared, from
# the root of the repository:
#   sh tests/test_examples.sh BUILD_DIR
#
# A program of these is a fenced block (c, cpp or python) below a line
# <!-- run: NAME -->.  It runs in a folder with photos.imgrec (a model), cat.jpg
# (a picture of a digit) and photos/ (the digits) and with these as arguments:
# photos/ out.imgrec where NAME begins with "train", else photos.imgrec cat.jpg.
set -u

build=${1:-build}
root=$(pwd)
tmp=$root/build/tmp/examples
dest=$tmp/install
world=$tmp/world
digits=$root/examples/data/digits
cc=${CC:-cc}
cxx=${CXX:-c++}
python=${PYTHON:-python3}
. tests/checks.sh

flags() {
  PKG_CONFIG_SYSROOT_DIR=$dest \
    PKG_CONFIG_LIBDIR=$dest/usr/lib/pkgconfig pkg-config "$@" imgrec
}

# compile shared|static SOURCE PROGRAM
compile() {
  how=$1
  case $2 in
  *.cpp) set -- "$cxx -std=c++11" "$2" "$3" ;;
  *) set -- "$cc -std=c11 -pthread" "$2" "$3" ;;
  esac
  if [ "$how" = static ]; then
    libs=$(flags --static --libs | sed 's/-limgrec/-l:libimgrec.a/')
  else
    libs=$(flags --libs)
  fi
  # shellcheck disable=SC2046,SC2086 # lists of words
  $1 -Wall -Wextra -Wpedantic -Werror -O2 $(flags --cflags) -o "$3" "$2" $libs
}

# run_in_world PROGRAM ARGUMENTS...
run_in_world() {
  (cd "$world" && LD_LIBRARY_PATH=$dest/usr/lib "$@")
}

run_python() {
  (cd "$world" && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/python \
    IMGREC_LIBRARY=$dest/usr/lib/libimgrec.so.0 "$python" "$@")
}

# The digit in cat.jpg comes first.
says_the_digit() { head -n 1 "$tmp/answer" | grep -qw "$digit"; }

prepare() {
  rm -rf "$tmp"
  mkdir -p "$world"
  check install make -s install BUILD="$build" DESTDIR="$dest" PREFIX=/usr
  imgrec=$dest/usr/bin/imgrec
  check train "$imgrec" train "$digits" --epochs 10 --lr 0.003 \
    -o "$world/photos.imgrec"
  check sample "$imgrec" sample "$digits" -n 1 --seed 5 -o "$tmp/one"
  image=$(find "$tmp/one" -name '*.png')
  digit=${image##*-}
  digit=${digit%.png}
  cp "$image" "$world/cat.jpg"
  ln -s "$digits" "$world/photos"
}

# A program of any language, with the arguments that its name asks for.
run_recognise() {
  check "$1 runs" "$2" "$3" photos.imgrec cat.jpg
  cp "$tmp/out" "$tmp/answer"
  check "$1 says '$(head -n 1 "$tmp/answer")', not $digit" says_the_digit
}

run_train() {
  rm -f "$world/out.imgrec"
  check "$1 runs" "$2" "$3" photos out.imgrec
  check "$1: the model is no better than 60 %" accurate
}

accurate() {
  "$imgrec" eval "$world/out.imgrec" "$digits" --json |
    sed 's/.*"top1":\([0-9.e-]*\).*/\1/' | awk '{ exit !($1 > 0.6) }'
}

run_program() {
  case ${1##*/} in
  train* | host.c | game_loop.c) run_train "$@" ;;
  *) run_recognise "$@" ;;
  esac
}

test_examples() {
  for source in examples/*.c examples/*.cpp; do
    check "$source: 100 lines or more" test "$(wc -l <"$source")" -lt 100
    case $source in */learn.c) continue ;; esac # tests/test_learn.sh
    for how in static shared; do
      name=${source##*/}
      program=$tmp/$how-$(echo "$name" | tr . -)
      check "$source builds, $how" compile "$how" "$source" "$program"
      run_program "$name" run_in_world "$program"
    done
  done
  check "the static program needs the library" \
    sh -c "! ldd $tmp/static-recognise-c | grep -q libimgrec"
  check "a missing file is no failure" \
    sh -c "! $tmp/static-recognise-c $world/photos.imgrec nowhere"
}

test_python() {
  if ! command -v "$python" >/dev/null; then
    echo "no $python: the Python examples are left out"
    return
  fi
  for source in examples/*.py; do
    check "$source: 100 lines or more" test "$(wc -l <"$source")" -lt 100
    run_program "${source##*/}" run_python "$root/$source"
  done
  check "Python package" run_python "$root/tests/python_package.py" \
    photos.imgrec cat.jpg
  PYTHONPATH=python PYTHONDONTWRITEBYTECODE=1 \
    IMGREC_LIBRARY=$dest/usr/lib/libimgrec.so.0 \
    check "Python declarations" "$python" tests/python_declarations.py
  numpy=
  for each in "$python" /usr/bin/python3; do
    "$each" -c 'import numpy' 2>/dev/null && numpy=$each
  done
  if [ -z "$numpy" ]; then
    echo "no NumPy: the package is not tested with it"
    return
  fi
  python=$numpy
  check "Python package with NumPy" run_python "$root/tests/python_package.py" \
    photos.imgrec cat.jpg numpy
}

# Writes these programs to $tmp/readme/NAME.LANGUAGE.
extract() {
  mkdir -p "$tmp/readme"
  awk -v folder="$tmp/readme" '
    /^<!-- run: [a-z0-9_-]+ -->$/ { name = $3; next }
    file != "" && /^```/ { close(file); file = ""; next }
    file != "" { print > file; next }
    name != "" && /^```(c|cpp|python)$/ {
      file = folder "/" name "." substr($0, 4); name = ""; next }
    name != "" && NF { print "no program below run: " name; exit 1 }
  ' README.md docs/embedding.md python/README.md
}

test_docs() {
  check "blocks to run" extract
  for source in "$tmp"/readme/*; do
    name=${source##*/}
    case $source in
    *.python) run_program "$name" run_python "$source" ;;
    *.c | *.cpp)
      check "docs: $name builds" compile shared "$source" "$source.out"
      run_program "$name" run_in_world "$source.out"
      ;;
    *) check "there is no program to run" false ;;
    esac
  done
}

mkdir -p "$tmp"
prepare
test_examples
test_python
test_docs
report
