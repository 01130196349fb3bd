#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the tests that were built in BUILD and prints one closing line.
#   run.sh BUILD [units]     units: only the tests of the library
# RUNNER, where set, is put before each test program ("valgrind -q"); SKIP is
# the names of tests to leave out, ONLY of those to run and no others.
build=${1:?usage: run.sh BUILD [units]}
passed=0
failed=0
mkdir -p build/tmp

run() {
  name=$1
  shift
  if "$@" >"$build/tests/$name.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name ($build/tests/$name.log)"
    tail -n 30 "$build/tests/$name.log"
  fi
}

for test in tests/test_*.c; do
  name=$(basename "$test" .c)
  case " ${SKIP:-} " in *" $name "*) continue ;; esac
  case " ${ONLY:-$name} " in *" $name "*) ;; *) continue ;; esac
  # RUNNER is a command with arguments.
  # shellcheck disable=SC2086
  run "$name" $RUNNER "$build/tests/$name"
done
for target in tests/fuzz/fuzz_*.c; do
  name=replay_$(basename "$target" .c)
  case " ${ONLY:-$name} " in *" $name "*) ;; *) continue ;; esac
  corpus=tests/fuzz/corpus/$(basename "$target" .c | sed 's/^fuzz_//')
  # shellcheck disable=SC2086
  run "$name" $RUNNER "$build/tests/$name" "$corpus"
done
if [ "$2" != units ]; then
  run abi make -s BUILD="$build" ABI_LEVEL= check-abi
  run old_programs make -s BUILD="$build" check-old-programs
  run counting_host make -s BUILD="$build" counting-host
  run system_calls make -s BUILD="$build" check-system-calls
  run copies make -s BUILD="$build" check-copies
  run cli sh tests/test_cli.sh "$build"
  run training sh tests/test_training.sh "$build"
  run resume sh tests/test_resume.sh "$build"
  run report sh tests/test_report.sh "$build"
  run guide sh tests/test_guide.sh "$build"
  run bench sh tests/test_bench.sh "$build"
  run examples sh tests/test_examples.sh "$build"
  run learn sh tests/test_learn.sh "$build"
  run completion sh tests/test_completion.sh "$build"
  run dist sh tests/test_dist.sh "$build"
  run install sh tests/test_install.sh "$build"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
