#!/usr/bin/env bats
# GET /openapi.json of the gateway and of ml-base: OpenAPI 3.1, of the table that dispatches, and what is
# answered is what stands there.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() {
  has_model || return 0
  daemon sutra-ml-base "$BATS_FILE_TMPDIR/ml" MODEL_PATH="$MODEL" LOG_LEVEL=debug SUTRA_LISTEN_8887=127.0.0.1:0
  export ML_PID=$PID ML=http://$ADDR
  daemon sutra-storage "$BATS_FILE_TMPDIR/shard" STORAGE_PATH="$BATS_FILE_TMPDIR/data" SUTRA_LISTEN_50052="127.0.0.1:$(free_port)"
  export SHARD_PID=$PID
  daemon sutra-embedding "$BATS_FILE_TMPDIR/gateway" ML_BASE_URL="$ML" CACHE_SHARD_HOST=127.0.0.1 \
    CACHE_SHARD_PORT="${ADDR##*:}" CACHE_TIMEOUT_MS=60000 SUTRA_LISTEN_8888=127.0.0.1:0
  export GATEWAY_PID=$PID GATEWAY=http://$ADDR
  # The packages stay under build/ for the next run.
  export VENV=$BATS_TEST_DIRNAME/../../build/openapi-venv
  [ -x "$VENV/bin/st" ] || { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q --no-compile --disable-pip-version-check \
    'schemathesis==4.32.*' openapi-spec-validator; } >"$BATS_FILE_TMPDIR/pip" 2>&1 || rm -rf "$VENV"
}

teardown_file() {
  local pid
  for pid in ${ML_PID:-} ${SHARD_PID:-} ${GATEWAY_PID:-}; do kill "$pid" && wait_gone "$pid"; done
}

setup() { find_model; }

teardown() { ! grep -hE 'runtime error|Sanitizer' "$BATS_FILE_TMPDIR"/{ml,shard,gateway}; }

# packages: without the tests' Python packages, fails in CI and skips elsewhere.
packages() {
  [ ! -x "$VENV/bin/st" ] || return 0
  cat "$BATS_FILE_TMPDIR/pip"
  [ "${CI:-}" = true ] || skip "pip cannot install schemathesis and openapi-spec-validator"
  return 1
}

@test "the documents are OpenAPI 3.1" {
  local url
  packages
  for url in "$ML" "$GATEWAY"; do
    curl -sf "$url/openapi.json" >"$BATS_TEST_TMPDIR/document"
    "$VENV/bin/openapi-spec-validator" --schema 3.1 "$BATS_TEST_TMPDIR/document"
  done
}

# A method that no path takes is refused with those that it takes: they are the document's.
@test "what is described is what dispatches" {
  local url n=0
  for url in "$ML" "$GATEWAY"; do
    curl -sf "$url/openapi.json" >"$BATS_TEST_TMPDIR/document"
    jq -r '.paths | to_entries[] | "405 \(.key | sub("{id}"; "x")) \(.value | keys | map(ascii_upcase) | sort | join(" "))"' \
      "$BATS_TEST_TMPDIR/document" | sort >"$BATS_TEST_TMPDIR/described"
    sed "s|[^ ]* \([^ ]*\).*|url = $url\1|" "$BATS_TEST_TMPDIR/described" | sed '1!i output = /dev/null' |
      curl -s -X PATCH -o /dev/null -w '%{http_code} %{url_effective} %header{allow}\n' -K - |
      jq -rR --arg url "$url" 'split(" ") | "\(.[0]) \(.[1] | ltrimstr($url)) \(.[2:] | map(rtrimstr(",")) | sort | join(" "))"' |
      sort >"$BATS_TEST_TMPDIR/allowed"
    diff "$BATS_TEST_TMPDIR/described" "$BATS_TEST_TMPDIR/allowed"
    n=$((n + $(wc -l <"$BATS_TEST_TMPDIR/described")))
  done
  [ "$n" = 22 ]
}

# What a request may be, at its edges and at random, the same in every run: no answer of another status, media
# type or shape than is described, and none that says the server failed. Two checks are left out: a header
# that is not described is no fault, and a text, a dimension or a name may be well-formed and wrong (422).
# The routes that are the skeleton's, the same in both, are ml-base's to answer.
@test "schemathesis finds no answer that is not described" {
  local url but=nothing
  packages
  for url in "$ML" "$GATEWAY"; do
    (cd "$BATS_TEST_TMPDIR" && timeout 300 "$VENV/bin/st" run "$url/openapi.json" --no-color --generation-deterministic \
      --exclude-path-regex "$but" --max-examples 6 --phases examples,coverage,fuzzing -H 'X-Request-Timeout: 600000' --warnings off \
      --checks all --exclude-checks negative_data_rejection,positive_data_acceptance)
    but='^/(health|ready|metrics|ping|openapi.json)$'
  done
}

@test "a trace goes on to ml-base, for what is computed and for what goes past the cache" {
  local trace=4bf92f3577b34da6a3ce929d0e0e473
  curl -sf -H "traceparent: 00-${trace}1-00f067aa0ba902b7-01" "$GATEWAY/embed" -d '{"text":"traced"}' -o /dev/null
  curl -sf -H "traceparent: 00-${trace}2-00f067aa0ba902b7-01" "$GATEWAY/embed" -d '{"text":"traced","normalize":false}' -o /dev/null
  curl -sf -H "traceparent: 00-${trace}3" "$GATEWAY/embed" -d '{"text":"not a trace"}' -o /dev/null
  wait_line "$BATS_FILE_TMPDIR/ml" "trace=00-${trace}1-00f067aa0ba902b7-01 .*path=\"/embed\"" "$ML_PID"
  wait_line "$BATS_FILE_TMPDIR/ml" "trace=00-${trace}2-00f067aa0ba902b7-01 .*path=\"/embed\"" "$ML_PID"
  ! grep -q "trace=00-${trace}3" "$BATS_FILE_TMPDIR/ml"
}

@test "durations are counted by route and status, and unknown paths share a series" {
  local url before after
  series() { curl -sf "$1/metrics" | grep -c '^sutra_http_request_duration_seconds_count'; }
  for url in "$ML" "$GATEWAY"; do
    curl -s -o /dev/null "$url/nothing"
    curl -sf "$url/metrics" -o /dev/null
    before=$(series "$url")
    for path in a b c d; do curl -s -o /dev/null "$url/$path"; done
    after=$(series "$url")
    [ "$before" = "$after" ]
    curl -sf "$url/metrics" >"$BATS_TEST_TMPDIR/page"
    grep -E '^sutra_http_request_duration_seconds_count\{route="other",method="other",code="404"\} [1-9]' "$BATS_TEST_TMPDIR/page"
    grep -E '^sutra_http_request_duration_seconds_bucket\{route="/embed",method="POST",code="200",le="\+Inf"\} [1-9]' "$BATS_TEST_TMPDIR/page"
    grep -E '^sutra_build_info\{service="[a-z-]+",version="[0-9.]+",compiler="[^"]+"\} 1$' "$BATS_TEST_TMPDIR/page"
    for name in cpu_seconds_total resident_memory_bytes open_fds max_fds start_time_seconds; do
      grep -E "^process_$name [0-9.]*[1-9]" "$BATS_TEST_TMPDIR/page"
    done
    metrics_are_well_formed <"$BATS_TEST_TMPDIR/page"
  done
}
