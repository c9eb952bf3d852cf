#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The examples of the manuals and of -h are lines that work, on one small stack.

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=${SUTRA_PORT_OFFSET:-$((RANDOM % 4000 + 11000))}
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET NO_COLOR=1 SUTRA_RUNTIME=native SUTRA_EDITION=simple
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

setup() { top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd); }

@test "every example's options and values are what the command takes" {
  python3 "$BATS_TEST_DIRNAME/examples.py" parse "$top"
}

@test "every example that can be run here exits as it should" {
  cd "$BATS_TEST_TMPDIR"
  sutra deploy --yes
  # what the examples read
  printf '1\tA title\n2\tAnother\n' >titles.tsv
  cut -f2 titles.tsv >texts.txt
  echo status >nightly.sutra
  cp "$top/validate/smoke.json" my-suite.json
  printf '#!/bin/sh\n' | tee page >page-me
  chmod +x page page-me
  mkdir -p home/.zfunc
  export XDG_DATA_HOME=${XDG_DATA_HOME:-$HOME/.local/share}
  HOME=$PWD/home python3 "$BATS_TEST_DIRNAME/examples.py" run "$top"
}
