#!/bin/sh
# SPDX-License-Identifier: MIT
# A copy of the static and the shared library whose global names begin with a
# prefix, and the header for it, so that it can share a process with another:
#   prefix.sh PREFIX ARCHIVE INCLUDE FOLDER
# FOLDER gets libPREFIXimgrec.a, libPREFIXimgrec.so and include/imgrec/.
set -eu
prefix=$1 archive=$2 include=$3 folder=$4
name=${prefix}imgrec
part() { sed -n "s/^#define IMGREC_VERSION_$1 //p" "$include/imgrec/version.h"; }
major=$(part MAJOR)
version=$major.$(part MINOR).$(part PATCH)

case $prefix in
  '' | [!a-zA-Z_]* | *[!a-zA-Z0-9_]*)
    echo "prefix.sh: '$prefix' cannot begin a name in C" >&2
    exit 1 ;;
esac
mkdir -p "$folder/include/imgrec"

# ---- The names ---------------------------------------------------------------

"${NM:-nm}" -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' |
  sort -u >"$folder/names"
if grep -qv '^imgrec_' "$folder/names"; then
  echo "prefix.sh: $archive has names of others (or is made by -flto)" >&2
  exit 1
fi
sed "s/.*/& $prefix&/" "$folder/names" >"$folder/renames"

# ---- The header --------------------------------------------------------------

{
  echo "/* SPDX-License-Identifier: MIT */"
  echo "/* The functions of this copy of the library, by their usual names. */"
  grep -v '^imgrec__' "$folder/names" | sed "s/.*/#define & $prefix&/"
} >"$folder/include/imgrec/prefix.h"
sed 's/^#include "version.h"/&\n#include "prefix.h"/' "$include/imgrec/imgrec.h" \
  >"$folder/include/imgrec/imgrec.h"
cp "$include/imgrec/version.h" "$include/imgrec/imgrec.hpp" \
  "$folder/include/imgrec"

# ---- The libraries -----------------------------------------------------------

"${OBJCOPY:-objcopy}" --redefine-syms="$folder/renames" "$archive" \
  "$folder/lib$name.a"
sed "s/^\( *\)\(imgrec_[a-z0-9_]*;\)/\1$prefix\2/" lib/imgrec.map \
  >"$folder/$name.map"
# CFLAGS, LDFLAGS and LIBS are lists of words.
# shellcheck disable=SC2086
"${CC:-cc}" ${CFLAGS:-} ${LDFLAGS:-} -shared -Wl,-soname,"lib$name.so.$major" \
  -Wl,--version-script="$folder/$name.map" -Wl,--no-undefined \
  -o "$folder/lib$name.so.$version" \
  -Wl,--whole-archive "$folder/lib$name.a" -Wl,--no-whole-archive \
  ${LIBS:--lm -pthread}
ln -sf "lib$name.so.$version" "$folder/lib$name.so.$major"
ln -sf "lib$name.so.$major" "$folder/lib$name.so"
rm "$folder/names" "$folder/renames" "$folder/$name.map"
