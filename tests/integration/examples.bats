#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# The examples of the manuals and of -h are lines that work, and the documents that commands print
# are what man/schema says of them; all on one small stack.

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET NO_COLOR=1 SUTRA_RUNTIME=native SUTRA_EDITION=simple CACHE_TIMEOUT_MS=2000
  sutra deploy --json >"$BATS_FILE_TMPDIR/deploy.json"
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

@test "each document has a schema, each schema a document" {
  python3 -c 'import jsonschema' || { [ "${CI:-}" != true ] && skip "no python3-jsonschema"; }
  python3 "$BATS_TEST_DIRNAME/schemas.py" "$top"
}

@test "the documents of the commands are what their schemas say" {
  local n=0 command code
  python3 -c 'import jsonschema' || { [ "${CI:-}" != true ] && skip "no python3-jsonschema"; }
  cd "$BATS_TEST_TMPDIR"
  cp "$BATS_FILE_TMPDIR/deploy.json" .
  printf 'one text\n' >texts
  while read -r code command; do
    n=$((n + 1))
    # shellcheck disable=SC2086 # words on purpose
    run "-$code" --separate-stderr env $command
    # shellcheck disable=SC2154 # run sets it
    echo "$output" >"$n.json"
  done <<'END'
0 sutra status --json
3 MATRYOSHKA_DIM=128 sutra deploy --plan --json
0 sutra config --json
0 sutra config --explain MATRYOSHKA_DIM --json
0 sutra cache warm texts --json
0 sutra cache invalidate absent --json
0 sutra load --rate 50 --duration 1s --max-late none --json
0 sutra load --connections 2 --duration 500ms --against 7.json --json
0 sutra cache-stats --json
0 sutra cache clear --json
0 sutra logs -n 3 --json
0 sutra model list --json
0 sutra model path --json
0 sutra validate smoke --json
0 sutra advise --users 3000 --json
3 sutra advise --users 3000 --budget 500 --json
0 sutra restart embedding-single --json
0 sutra rollback --list --json
0 sutra monitor -o jsonl --count 2
1 sutra production-monitor -o jsonl --for 1s --interval 500ms --requests 2 --max-p95 1us --bad 1
0 sutra version --json
END
  sutra down --json >down.json
  python3 "$BATS_TEST_DIRNAME/schemas.py" "$top" ./*.json "$top/tests/data/monitor.jsonl" "$top/tests/data/report.json"
}
