#!/usr/bin/env bats
# tests/run in a tree of its own: tests that hang are ended at their time limit and named, and the others run;
# files share an engine; no two have the same ports.
bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  mkdir -p tests/integration tests/cli/hangs programs
  cp "$BATS_TEST_DIRNAME/../run" tests/run
  cp "$BATS_TEST_DIRNAME/../ports" tests/ports
  cp "$BATS_TEST_DIRNAME/../cli/run" tests/cli/run
  export SUTRA_BIN=$PWD/programs SUTRA_TESTS=$PWD/programs LANES=1 TEST_SECONDS=2
  unset FILTER SKIP BATS_NUMBER_OF_PARALLEL_JOBS	# bats ends the clock of this test by BATS_TEST_TIMEOUT
}

@test "a test that hangs fails by its name, and the next one runs" {
  mkfifo never
  for how in "read -r _ <>$PWD/never" 'tail -f /dev/null'; do
    printf '@test "%s" { %s; }\n' 'waits for ever' "$how" 'comes after' true >tests/integration/hang.bats
    run -1 tests/run integration
    [[ $output == *$'\n'"    not ok 1 waits for ever # timeout after 2s"$'\n'*'ok 2 comes after'* ]]
    [ "${lines[-1]}" = "1 passed, 1 failed" ]
  done
}

@test "a clock that outlives its test holds nobody up" {
  printf '%s\n' 'setup() { (sleep "$BATS_TEST_TIMEOUT" &); }' '@test "at once" { skip; }' >tests/integration/quick.bats
  TEST_SECONDS=300 run -1 timeout 60 tests/run integration
  [ "${lines[-1]}" = "0 passed, 0 failed, 1 skipped" ]
}

@test "a file that hangs outside its tests is ended and named" {
  mkfifo never
  printf '%s\n' "setup_file() { read -r _ <>$PWD/never; }" '@test "never begun" { true; }' >tests/integration/hang.bats
  run -1 tests/run integration
  [[ $output == *'# time limit: integration/hang.bats was ended after '* ]]
}

@test "so is a case of the command line, and a fuzz entry" {
  echo 'tail -f /dev/null' >tests/cli/hangs/cmd
  run -1 tests/run cli
  [[ $output == *'# hangs: exit 124, expected 0: ended by its time limit'*'not ok 1 - hangs'* ]]
  printf '#!/bin/sh\necho ok - begun\ntail -f /dev/null\n' >programs/fuzz_hangs
  chmod +x programs/fuzz_hangs
  run -1 tests/run fuzz
  [[ $output == *'# time limit: fuzz/fuzz_hangs was ended after '* && ${lines[-1]} == "1 passed, 1 failed" ]]
}

@test "a unit test that hangs fails by its name, and the next one runs; one that is skipped is no failure" {
  cat >hang.c <<'C'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>
static void hangs(void **state) { for (;;) pause(); }
static void comes_after(void **state) { }
static void is_skipped(void **state) { skip(); }
int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hangs), cmocka_unit_test(comes_after),
					    cmocka_unit_test(is_skipped) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
C
  gcc -o programs/test_hang hang.c -lcmocka
  run -1 tests/run unit
  [[ $output == *'not ok 1 - hangs'*'ok 2 - comes_after'*'ok 3 is_skipped # skip'* ]]
  [ "${lines[-1]}" = "1 passed, 1 failed, 1 skipped" ]
}

@test "files share an engine and one build of the images; it is ended behind the last" {
  mkdir bin scripts
  cp "$BATS_TEST_DIRNAME/daemon.bash" tests/integration
  printf '#!/bin/sh\n[ -e up ]\n' >bin/docker
  printf '#!/bin/sh\necho begun >>engine.said\ntrap "rm up; echo ended >>engine.said; exit" TERM\ntouch up\necho API listen on\n%s\n' \
    'tail -f /dev/null & wait' >bin/dockerd
  printf '#!/bin/sh\necho built >>engine.said\n' >scripts/build-all
  printf '#!/bin/sh\necho 0\n' >bin/id
  chmod +x bin/* scripts/build-all
  for file in one two; do
    printf '%s\n' 'load daemon.bash' 'setup_file() { cd "$BATS_TEST_DIRNAME/../.."; docker_stack; }' \
      "@test \"$file\" { own_engine && has_engine && cd "'"$BATS_TEST_DIRNAME/../.." && docker version && echo used >>engine.said; }' \
      >tests/integration/$file.bats
  done
  PATH=$PWD/bin:$PATH TEST_SECONDS=60 run -0 tests/run integration
  [ "${lines[-1]}" = "2 passed, 0 failed" ]
  [ "$(xargs <engine.said)" = "begun built used used ended" ]
}

@test "whoever runs beside another has other ports; the exit code is the command's" {
  both=$(tests/ports sh -c 'echo "$TEST_PORT_OFFSET $TEST_PORTS"; tests/ports sh -c '\''echo "$TEST_PORT_OFFSET $TEST_PORTS"'\')
  [ "$(sort -u <<<"$both" | wc -l)" = 2 ]
  run -3 tests/ports sh -c 'exit 3'
}
