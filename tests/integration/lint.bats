#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The lint finds what it is there for: each fault is planted in a copy of the tree.

setup() {
  tree=$(mktemp -d)
  cd "$BATS_TEST_DIRNAME/../.." || return
  git ls-files -co --exclude-standard | tar -cf - -T - 2>/dev/null | tar -xf - -C "$tree"
  cd "$tree" || return
  git init -q .
}

teardown() { rm -rf "$tree"; }

@test "an include that goes back, and a library's header in the wrong area" {
  tests/lint/check-includes
  echo '#include "net/fetch.h"' >lib/base/planted.c
  echo '#include <dnnl.h>' >lib/net/planted_too.c
  run tests/lint/check-includes
  [ "$status" -eq 1 ]
  [[ $output == *'lib/base may not use "net/fetch.h"'* ]]
  [[ $output == *'lib/net may not use <dnnl.h>'* ]]
  rm lib/base/planted.c lib/net/planted_too.c
  sed -i 's/^base$/base net/' tests/lint/includes
  run tests/lint/check-includes
  [ "$status" -eq 1 ]
  [[ $output == *'base may use rows above it, not net'* ]]
}

@test "a global symbol without the prefix, files that need each other in a circle" {
  rm -r lib cmd
  mkdir -p lib/base objects/lib/base
  echo 'int sutra_b(void); int sutra_a(void) { return sutra_b(); }' >lib/base/a.c
  echo 'int sutra_b(void) { return 1; }' >lib/base/b.c
  objects() { for f in lib/base/*.c; do cc -c -o "objects/${f%.c}.o" "$f" || return; done; }
  objects
  SUTRA_OBJECTS=objects tests/lint/check-symbols
  echo 'int sutra_a(void); int sutra_b(void) { return sutra_a(); } int planted;' >lib/base/b.c
  objects
  SUTRA_OBJECTS=objects run tests/lint/check-symbols
  [ "$status" -eq 1 ]
  [[ $output == *'lib/base/b.c: the global symbol planted does not begin with sutra_'* ]]
  [[ $output == *'in a circle:'*'lib/base/a.c'* ]]
  rm lib/base/*.c
  echo '#include "base/y.h"' >lib/base/x.h
  echo '#include "base/x.h"' >lib/base/y.h
  SUTRA_OBJECTS=objects run tests/lint/check-symbols
  [ "$status" -eq 1 ]
  [[ $output == *'in a circle:'*'lib/base/x.h'* ]]
}

@test "a function of 61 lines, a file of 601" {
  tests/lint/check-sizes
  { echo 'int long_one(void)'; echo '{'; seq -f '	int v%g;' 57; echo '	return 0;'; echo '}'; } >lib/base/planted.c
  run tests/lint/check-sizes
  [ "$status" -eq 1 ]
  [[ $output == *"planted.c:long_one: 61 lines"* ]]
  seq -f '/* %g */' 601 >lib/base/planted.c
  run tests/lint/check-sizes
  [ "$status" -eq 1 ]
  [[ $output == *"planted.c: 601 lines"* ]]
}

@test "a link of CONTRIBUTING to a file that is gone, a room it does not list" {
  tests/lint/check-links
  mkdir lib/planted && touch lib/planted/planted.c
  sed -i 's#(lib/deploy/plan.c)#(lib/deploy/gone.c)#' CONTRIBUTING.md
  run tests/lint/check-links
  [ "$status" -eq 1 ]
  [[ $output == *'the link lib/deploy/gone.c leads to no file'* ]]
  [[ $output == *'> planted'* ]]
}

@test "banned calls, raw memory, typedefs, left-overs; words in comments and strings are none" {
  tests/lint/check-words
  echo '/* strcpy() and "free(" */ static const char *s = "sprintf(";' >lib/base/planted.c
  tests/lint/check-words
  for fault in 'strcpy(a, b);' 'p = malloc(3);' 'typedef struct x { int a; } x;' '/* TO''DO */' '/* /ro''ot/x */' 'int a; '; do
    echo "$fault" >lib/base/planted.c
    run tests/lint/check-words
    [ "$status" -eq 1 ]
    [[ $output == *planted.c:1:* ]]
  done
}

@test "sleeps, spins, random ports, asserted times in the tests; the two places that may ask again" {
  tests/lint/check-waits
  for fault in 'sle''ep 1' 'sle''ep "0.$n"' 'us''leep(10);' 'time.sle''ep(1)' 'until cmp a b; d''o :; done' 'wh''ile :; do read -r a; done' \
    'p=$((RAN''DOM % 9))' '[ $(dat''e +%s) -lt 9 ]' 'wh''ile (!atomic_load(&n))\n\t;'; do
    printf '%b\n' "$fault" >tests/integration/planted.bats
    run tests/lint/check-waits
    [ "$status" -eq 1 ]
    [[ $output == *planted.bats:[12]:* ]]
  done
  printf 'sle''ep 0.05\n' >tests/integration/planted.bats # allowed where it is named alone
  run -1 tests/lint/check-waits
}

@test "what cppcheck, shellcheck and mandoc find" {
  # nothing else: the rest of the tree is make lint's
  rm -r lib cmd tests/integration tests/cli && mkdir -p lib/base cmd
  printf 'int f(int i);\nint f(int i) { int a[2] = { 0, 0 }; return i ? a[2] : 0; }\n' >lib/base/planted.c
  # shellcheck disable=SC2016
  printf '#!/bin/sh\ncd $1 && rm -rf $1/\n' >scripts/planted
  printf '.Dd November 21, 2026\n.Dt PLANTED 1\n.Os\n.Sh NAME\n.Nosuch macro\n' >man/planted.1
  run tests/lint/check-tools
  [ "$status" -eq 1 ]
  [[ $output == *arrayIndexOutOfBounds* ]]
  [[ $output == *planted.1:5:*Nosuch* ]]
}
