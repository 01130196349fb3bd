#!/bin/sh
# SPDX-License-Identifier: MIT
# That recognising asks nothing of the system: what strace sees of 100 times
# imgrec_model_classify, by tests/system_calls.c.
#   sh tests/system_calls.sh BUILD_DIR
set -u

build=${1:-build}
tmp=$build/tmp
mkdir -p "$tmp"
failed=0

if ! command -v strace >/dev/null; then
  echo "system calls: skipped, there is no strace"
  exit 0
fi
if ! strace -o /dev/null true 2>/dev/null; then
  echo "system calls: skipped, strace may not trace here"
  exit 0
fi

# check WORDS ALLOWED ARGUMENTS...: between the marks there is nothing but
# calls that the pattern ALLOWED matches.
check() {
  words=$1
  allowed=$2
  shift 2
  log=$tmp/system_calls.$1-$2
  if ! strace -f -o "$log" "$build/tests/system_calls" "$tmp" "$@"; then
    echo "system calls: the program fails, $words"
    failed=1
    return
  fi
  # of several threads, a call may be listed in two halves
  if ! grep -q 'close(-1[) ]' "$log" || ! grep -q 'close(-2[) ]' "$log"; then
    echo "system calls: $log has no marks"
    failed=1
    return
  fi
  sed '1,/close(-1[) ]/d; /close(-2[) ]/,$d' "$log" | sed 's/^[0-9]* *//' \
    >"$log.between"
  count=$(wc -l <"$log.between")
  others=$(grep -Evc "$allowed" "$log.between")
  echo "system calls of 100 classify, $words: $count, of them $others not allowed"
  if [ "$others" -ne 0 ]; then
    grep -Ev "$allowed" "$log.between" | head -n 5
    failed=1
  fi
}

check "one thread" '^$' threads 1
# A thread that the system is slow to start may begin behind the mark.
check "three threads, which may wait and wake" \
  'futex|close resumed|^(set_robust_list|rseq|rt_sigprocmask)' threads 3
check "a host's job system, which calls getppid" '^getppid\(\)' parallel 3
exit "$failed"
