#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the library, moves what was installed to another place, and builds
# and runs programs against that tree alone: by pkg-config and by CMake, shared
# and static; then takes it away again.  From the root of the repository:
#   sh tests/test_install.sh BUILD_DIR
set -u

build=${1:-build}
tmp=$(pwd)/build/tmp/install
cc=${CC:-cc}
cxx=${CXX:-c++}
# Where Debian has libraries, or "" elsewhere.
machine=$($cc -print-multiarch 2>/dev/null)
home=$tmp/moved/usr
lib=$home/lib/$machine
. tests/checks.sh

made() {
  make -s "$1" BUILD="$build" DESTDIR="$tmp/root" PREFIX=/usr \
    LIBDIR="/usr/lib/$machine"
}

files() { (cd "$1" && find . ! -type d | sort); }

flags() {
  PKG_CONFIG_LIBDIR=$lib/pkgconfig pkg-config --define-variable=prefix="$home" \
    "$@" imgrec
}

# The source's headers and the program's library are those of the tree.
from_the_tree() {
  used=$("$@" -E -H -o "$tmp/preprocessed" program.c 2>&1 |
    grep -c "$home/include/imgrec/imgrec.h") && [ "$used" -gt 0 ]
}

needs() { LD_LIBRARY_PATH=$lib ldd "$1" | grep -q "$lib/libimgrec.so.0 "; }
needs_not() { ! ldd "$1" | grep -q imgrec; }

run() { LD_LIBRARY_PATH=$lib "$@"; }

# Says the library's version, and computes with it.
write_program() {
  cat >"$tmp/program/program.c" <<'END'
#include <imgrec/imgrec.h>
#include <stdio.h>
int main(void) {
  char text[4096];
  imgrec_context *ctx;
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  const int64_t shape[3] = {20, 30, 3};
  imgrec_result top;
  int ok = imgrec_context_create(&ctx, NULL) >= 0 &&
           imgrec_preset("tiny", 0, 0, 0, 10, text, sizeof text) > 0 &&
           imgrec_model_create(&model, ctx, text, NULL) >= 0 &&
           imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape) >= 0 &&
           imgrec_model_classify(model, image, 1, &top) == 1;
  if (ok)
    printf("%s %s\n", imgrec_version_string(), top.label);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return !ok;
}
END
}

test_pkg_config() {
  cd "$tmp/program" || return
  # shellcheck disable=SC2046 # lists of words
  {
    check "pkg-config: the tree's header" from_the_tree "$cc" $(flags --cflags)
    check "pkg-config: shared" "$cc" $(flags --cflags) -o shared program.c \
      $(flags --libs)
    # --static lists what the archive needs of the system.
    check "pkg-config: static" "$cc" $(flags --cflags) -o static program.c \
      $(flags --static --libs | sed 's/-limgrec/-l:libimgrec.a/')
    check "pkg-config: -static" "$cc" -static $(flags --cflags) -o alone \
      program.c $(flags --static --libs)
  }
  check "the shared program uses the tree's library" needs shared
  check "the static program uses no library" needs_not static
  for program in shared static alone; do
    check "$program runs" run ./$program
  done
  check "version" sh -c "LD_LIBRARY_PATH=$lib ./shared | grep -q '^$(flags \
    --modversion) '"
  cd "$OLDPWD" || exit
}

# imgrec.hpp with exceptions and without, in one program.
test_cxx() {
  command -v "${cxx%% *}" >/dev/null || { skip "no $cxx"; return; }
  cp tests/wrapper.cpp "$tmp/program"
  cd "$tmp/program" || return
  # shellcheck disable=SC2046,SC2086 # lists of words
  {
    set -- $cxx -std=c++11 -Wall -Wextra -Wpedantic -Werror $(flags --cflags)
    check "imgrec.hpp" "$@" -c -o with.o wrapper.cpp
    check "imgrec.hpp, -fno-exceptions" "$@" -fno-exceptions -fno-rtti -c \
      -o without.o wrapper.cpp
    check "imgrec.hpp links" $cxx -o wrapper with.o without.o $(flags --libs)
  }
  check "imgrec.hpp works" run ./wrapper
  cd "$OLDPWD" || exit
}

# cmake_project VERSION: builds a project that asks for this version
cmake_project() {
  rm -rf "$tmp/cmake" && mkdir "$tmp/cmake" && cat >"$tmp/cmake/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package(imgrec $1 REQUIRED)
add_executable(shared $tmp/program/program.c)
target_link_libraries(shared imgrec::imgrec)
add_executable(static $tmp/program/program.c)
target_link_libraries(static imgrec::imgrec_static)
END
  cmake -S "$tmp/cmake" -B "$tmp/cmake/build" -DCMAKE_PREFIX_PATH="$home" \
    -DCMAKE_C_COMPILER="$cc" &&
    cmake --build "$tmp/cmake/build"
}

# It is found, and not taken.
refused() { "$@" 2>&1 | grep -q "considered but not accepted"; }

test_cmake() {
  command -v cmake >/dev/null || { skip "no cmake"; return; }
  check "CMake: a version to come" refused cmake_project 0.99
  check "CMake: an earlier one, whose interface was another" \
    refused cmake_project 0.0.9
  check "CMake" cmake_project 0.1
  check "CMake: the shared program uses the tree's library" \
    needs "$tmp/cmake/build/shared"
  check "CMake: the static program uses no library" \
    needs_not "$tmp/cmake/build/static"
  check "CMake: shared runs" "$tmp/cmake/build/shared"
  check "CMake: static runs" "$tmp/cmake/build/static"
}

# imgrec(3) is made from the header, and has all of it.
test_manual() {
  page=$home/share/man/man3/imgrec.3
  if command -v man >/dev/null; then
    check "imgrec(3) is no proper page" sh -c \
      "test -z \"\$(man --warnings -l -Tutf8 '$page' 2>&1 >/dev/null)\""
  else
    skip "no man"
  fi
  sed 's/\\//g' "$page" >"$tmp/page"
  for name in $(cat tests/abi/symbols.txt); do
    grep -qw "$name" "$tmp/page" || check "imgrec(3) lacks $name" false
  done
  check "imgrec(3) has the description" grep -q "any order of destruction" \
    "$tmp/page"
}

# refuses_blank VARIABLE GOAL: which says so, and writes nothing.
refuses_blank() {
  ! make -s "$2" BUILD="$build" DESTDIR="$tmp/blank" "$1=/opt/my imgrec" \
    >"$tmp/said" 2>&1 &&
    grep -q "$1 is '/opt/my imgrec'; it must be a folder" "$tmp/said" &&
    test ! -e "$tmp/blank"
}

test_blanks() {
  for variable in PREFIX LIBDIR MANDIR; do
    check "install: a blank in $variable" refuses_blank $variable install
    check "uninstall: a blank in $variable" refuses_blank $variable uninstall
  done
}

# Only what install wrote goes, though others have put theirs beside it.
test_uninstall() {
  check "install again" made install
  echo "not ours" >"$tmp/root/usr/lib/libimgrec-other.so"
  check "uninstall" made uninstall
  check "uninstall leaves something, or takes what is not its own" \
    test "$(files "$tmp/root")" = ./usr/lib/libimgrec-other.so
  check "folders are left" \
    test -z "$(find "$tmp/root" -name imgrec -type d)"
}

rm -rf "$tmp"
mkdir -p "$tmp/program"
check "install" made install
check "install and tree" test -e "$tmp/root/usr/bin/imgrec"
mv "$tmp/root" "$tmp/moved"
write_program
test_pkg_config
test_cxx
test_cmake
test_manual
test_blanks
test_uninstall
report
