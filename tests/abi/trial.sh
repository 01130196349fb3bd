#!/bin/sh
# SPDX-License-Identifier: MIT
# Whether check.sh finds what breaks programs, and lets pass what does not: on
# copies of the interface with one change each, and libraries of empty functions
# made of them.
#   trial.sh SONAME FOLDER
soname=$1 folder=$2
export PYTHON="${PYTHON:-python3}"
status=0

say() {
  echo "abi trial: $*" >&2
  status=1
}

# A copy in $copy, of which only the change is to be seen.
fresh() {
  copy=$folder/$1
  rm -rf "$copy"
  mkdir -p "$copy"
  cp -r include "$copy/include"
  cp -r tests/abi "$copy/abi"
  cp lib/imgrec.map "$copy/imgrec.map"
}

# The sentences of check.sh on the copy, into $copy/said.
checked() {
  sh "$copy/abi/dump.sh" "$copy/include" "$copy/imgrec.map" "$soname" \
    "$copy/stubs" >/dev/null &&
    INCLUDE=$copy/include MAP=$copy/imgrec.map sh "$copy/abi/check.sh" \
      "$copy/stubs/libstubs.so" "$soname" "$copy/check" strict \
      >"$copy/said" 2>&1
}

changes() {
  cmp -s "$1" "$2" && say "the change has changed nothing in $1"
}

passes() {
  checked || { say "$1 is refused:"; cat "$copy/said" >&2; }
}

# refused NAME SENTENCE...: each of them must have been said
refused() {
  name=$1
  shift
  checked && say "$name is not found"
  for sentence in "$@"; do
    grep -q "$sentence" "$copy/said" ||
      { say "$name: nothing is said of '$sentence'"; cat "$copy/said" >&2; }
  done
}

# edit SED: of the header
edit() {
  sed "$1" include/imgrec/imgrec.h >"$copy/include/imgrec/imgrec.h"
  changes "$copy/include/imgrec/imgrec.h" include/imgrec/imgrec.h
}

broken='not compatible with the last release'
moved='layout of structs'

fresh as_is
passes "the interface as it is"

fresh added
edit '/^IMGREC_API const char \*imgrec_version_string/i\
IMGREC_API int imgrec_zzz(void);'
sed 's/^    imgrec_find_rate;/&\n    imgrec_zzz;/' lib/imgrec.map \
  >"$copy/imgrec.map"
echo imgrec_zzz >>"$copy/abi/symbols.txt"
passes "a new function"
grep -q 'since the last release: .*imgrec_zzz' "$copy/said" ||
  say "a new function is not told of"

fresh grown
edit 's/^} imgrec_fit_options;/  uint64_t later;\n&/'
"$PYTHON" "$copy/abi/interface.py" layout "$copy/include" \
  >"$copy/abi/layout.h" 2>/dev/null || rm "$copy/abi/layout.h"
if [ -f "$copy/abi/layout.h" ]; then # which clang writes
  passes "a struct that grows at its end"
fi

fresh forgotten
edit 's/^} imgrec_fit_options;/  uint64_t later;\n&/'
refused "a member that layout.h lacks" "$moved"

fresh removed
edit '/^IMGREC_API int imgrec_tensor_ndim/d'
sed '/imgrec_tensor_ndim/d' lib/imgrec.map >"$copy/imgrec.map"
refused "a function taken away" "$broken" 'imgrec_tensor_ndim'

fresh unlisted
sed '/imgrec_tensor_ndim/d' lib/imgrec.map >"$copy/imgrec.map"
refused "a function that the map lacks" 'exports'

fresh swapped
edit '/^typedef struct imgrec_context_options/,/^}/{
s/^  uint64_t max_bytes;/  imgrec_log_fn log;/;t
s/^  imgrec_log_fn log;/  uint64_t max_bytes;/
}'
refused "members that changed places" "$broken" "$moved"

fresh swapped_and_grown
edit '/^typedef struct imgrec_fit_options/,/^}/{
s/^  uint64_t seed;.*/  imgrec_progress_fn progress;/;t
s/^  imgrec_progress_fn progress;.*/  uint64_t seed;/
s/^} imgrec_fit_options;/  uint64_t later;\n&/
}'
refused "members that changed places in a struct that grew" "$broken" "$moved"

fresh result
edit 's/^} imgrec_result;/  uint64_t later;\n&/'
refused "a struct without struct_size that grows" "$broken" "$moved"

fresh parameter
edit 's/imgrec_tensor_dim(const imgrec_tensor \*tensor, int axis)/imgrec_tensor_dim(const imgrec_tensor *tensor, int64_t axis)/'
refused "a parameter of another type" "$broken"

fresh returned
edit 's/^IMGREC_API size_t imgrec_tensor_nbytes/IMGREC_API int32_t imgrec_tensor_nbytes/'
refused "another type returned" "$broken"

fresh enumerator
edit 's/IMGREC_RESIZE_PAD = 2/IMGREC_RESIZE_PAD = 3/'
refused "an enumerator of another value" "$moved"

[ $status -eq 0 ] && echo "abi trial: breaks are found, additions pass"
exit $status
