#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# status, cache-stats, cache and validate-scaling on a real stack: replicas, HAProxy, shard,
# gateway, real model. What is broken on purpose fails its own check and no other.

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  # A busy machine must not turn a hit in L2 into a miss.
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET NO_COLOR=1 CACHE_TIMEOUT_MS=2000
  has_model || return 0
  sutra deploy --yes --runtime native >"$BATS_FILE_TMPDIR/deploy" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/deploy"
    false
  }
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

setup() { find_model; }

teardown() { [ -z "${MOUNT:-}" ] || umount -l "$MOUNT"; } # of a room that failed

# forget_lines PATTERN: takes such lines out of the logs, in the files that svlogd has open.
forget_lines() {
  local log
  for log in "$SUTRA_STATE_DIR"/native/log/*/current; do
    grep -av -- "$1" "$log" >"$BATS_TEST_TMPDIR/kept" || true
    cat "$BATS_TEST_TMPDIR/kept" >"$log"
  done
}

# failed_checks: ids of the checks that failed in the JSON report on standard input.
failed_checks() {
  jq -r '.results[] | select(.status != "pass" and .status != "skip") | .id' | paste -sd' '
}

pid_of() {
  sutra status --json | jq -r --arg s "$1" '.services[] | select(.name == $s) | .pid'
}

# ended NAME..., begun NAME...: by their supervisor; who ends is gone, for it answers until no more comes.
ended() {
  local name pids=()
  for name; do pids+=("$(pid_of "$name")"); done
  for name; do printf d >"$SUTRA_STATE_DIR/native/services/$name/supervise/control"; done
  for name in "${pids[@]}"; do wait_gone "$name"; done
}
begun() {
  local name
  for name; do printf u >"$SUTRA_STATE_DIR/native/services/$name/supervise/control"; done
}

# wait_status WORD SERVICE: until status shows the service in that state.
wait_status() {
  is() { sutra status --json --timeout 300ms | jq -e --arg w "$1" --arg s "$2" 'any(.services[]; .name == $s and .state == $w)' >/dev/null; }
  eventually is "$@" || { sutra status --json; return 1; }
}

@test "validate failover: every fault under load, no request fails" {
  sutra validate failover --json >"$BATS_TEST_TMPDIR/report" 2>/dev/null || {
    jq -c '.results[] | [.id, .status, .found, .reason]' "$BATS_TEST_TMPDIR/report"
    false
  }
  jq -e '[.results[].status] | length == 7 and unique == ["pass"]' "$BATS_TEST_TMPDIR/report"
  jq -e '.results[0].timeline | length > 10 and ((map(.ok) | add) == (map(.sent) | add))' "$BATS_TEST_TMPDIR/report"
  [ "$(sutra validate nothing 2>&1 | grep -c '"nothing"')" = 1 ]
}

# wait_state REGEX PID...: until one is in such a state ("T": stopped); its pid into FOUND.
wait_state() {
  one_is() {
    local state=$1
    shift
    for FOUND; do ! grep -q "^State:[[:space:]]*$state" "/proc/$FOUND/status" || return 0; done
    return 1
  }
  eventually one_is "$@"
}

@test "validate that is killed: what it has frozen goes on" {
  jq '.checks = [.checks[] | select(.kind == "fault-freeze") | .params.hold_s = 60]' \
    "$BATS_TEST_DIRNAME/../../validate/failover.json" >"$BATS_TEST_TMPDIR/freeze.json"
  local replicas=() pid
  for n in 1 2 3; do replicas+=("$(pid_of "ml-base-$n")"); done
  sutra validate "$BATS_TEST_TMPDIR/freeze.json" >/dev/null 2>&1 3>&- &
  pid=$!
  wait_state T "${replicas[@]}"
  kill -9 $pid
  wait_state '[^T]' "$FOUND"
  wait_status up ml-base-lb
}

@test "status: everything is up, with phases of latency and memory" {
  wait_status up ml-base-lb # until the balancer's own checks have passed, too
  run -0 sutra status
  [[ ${lines[0]} == SERVICE* ]]
  [[ $output == *"6 services: 6 up"* ]]
  sutra status --json | jq -e '.schema == "sutra.status/1" and (.services | length == 6) and
    all(.services[]; .state == "up" and .reason == null and .pid > 0 and .memory_bytes.pss > 0 and
      .latency_ms.total >= .latency_ms.first_byte and .latency_ms.first_byte >= .latency_ms.connect)'
  sutra status -o prom | grep -q '^sutra_service_up{service="ml-base-1"} 1$'
}

@test "cache: warm, invalidate and clear move exactly their entries" {
  printf 'first text\n\nsecond text\nthird text\n' >"$BATS_TEST_TMPDIR/texts"
  sutra cache clear
  run -0 --separate-stderr sutra cache warm "$BATS_TEST_TMPDIR/texts"
  [[ $output == "3 texts are cached" ]]
  sutra cache-stats --json | jq -e '.schema == "sutra.cache-stats/1" and .l1.size == 3'
  run -0 --separate-stderr sutra cache invalidate "second text" --json
  echo "$output" | jq -e '.invalidated >= 1'
  sutra cache-stats --json | jq -e '.l1.size == 2'
  run -0 sutra cache-stats
  [[ $output == *"texts asked for"* ]]
  run -0 --separate-stderr sutra cache clear --json
  echo "$output" | jq -e '.l1 == 2'
  printf 'good\n\377bad\n' >"$BATS_TEST_TMPDIR/texts"
  run -1 sutra cache warm "$BATS_TEST_TMPDIR/texts"
  [[ $output == *"texts:2: byte 1 is no UTF-8"* ]]
}

@test "validate-scaling: all three phases pass, and say so with figures" {
  run --separate-stderr sutra validate-scaling
  echo "$output"
  [ "$status" = 0 ]
  [[ $output == *"All phases operational: 19 passed, 0 failed"* ]]
  [[ $output == *"256-dim"* && $output == *"3 of 3 replicas up"* && $output == *"20/20"* ]]
  [[ $output == *"the target of 85 %"* ]]
}

@test "reports are read by their parsers" {
  sutra validate-scaling --phases 0 -o junit >"$BATS_TEST_TMPDIR/x.xml" 2>/dev/null
  if command -v xmllint >/dev/null; then
    xmllint --noout "$BATS_TEST_TMPDIR/x.xml"
  else
    python3 -c 'import sys, xml.dom.minidom as m
s = m.parse(sys.argv[1]).getElementsByTagName("testcase")
assert len(s) == 6, len(s)' "$BATS_TEST_TMPDIR/x.xml"
  fi
  sutra validate-scaling --phases 0 -o tap 2>/dev/null | head -2 | paste -sd' ' | grep -qx 'TAP version 13 1..6'
  sutra validate-scaling --phases 0 -o prom 2>/dev/null |
    tee "$BATS_TEST_TMPDIR/x.prom" | grep -qx 'sutra_check_passed{id="phase0.prefix",suite="phase-0"} 1'
  metrics_are_well_formed <"$BATS_TEST_TMPDIR/x.prom"
  sutra status -o prom | metrics_are_well_formed
}

# bare_checklist: what the checklist holds against a stack without a fault: memory limits, where
# this machine does not let them be set.
bare_checklist() {
  sutra status --json | jq -r 'if .limits_enforced then "" else "checklist.memory" end'
}

# checklist_fails ID ...: these fail now, and nothing else.
checklist_fails() {
  local report=$BATS_TEST_TMPDIR/checklist want
  want=$(printf '%s\n' "$@" "$(bare_checklist)" | grep . | sort | paste -sd' ')
  sutra validate checklist --json >"$report" 2>/dev/null && [ -n "$want" ] && return 1
  [ "$(failed_checks <"$report" | tr ' ' '\n' | sort | paste -sd' ')" = "$want" ] && return 0
  jq -c '.results[] | select(.status == "fail") | [.id, .found, .reason]' "$report"
  return 1
}

@test "validate smoke: every endpoint; what is no gateway fails" {
  run -0 --separate-stderr sutra validate smoke --json
  echo "$output" | jq -e '.counts == {"pass": 9, "fail": 0, "skip": 0, "inconclusive": 0}'
  echo "$output" | jq -e '.results[] | select(.id == "smoke.semantic").values[] |
    select(.name == "least_margin") | .found > 0.1 and .min == 0.1'
  run -0 --separate-stderr "$BATS_TEST_DIRNAME/../../scripts/smoke-test-embeddings" -o tap
  [ "${lines[1]}" = 1..9 ]
  replica=$(sutra status --json | jq -r '.services[] | select(.name == "ml-base-1").address')
  run -1 --separate-stderr sutra validate smoke --url "http://$replica" --json
  [[ " $(echo "$output" | failed_checks) " == *" smoke.openai "* ]]
  echo "$output" | jq -e '.results[] | select(.id == "smoke.openai").reason | contains("404")'
}

@test "validate checklist: every item measured; what is not deployed is skipped, never passed" {
  forget_lines '\[ALERT\]\| ERROR ' # of the faults above
  wait_status up ml-base-lb
  checklist_fails
  jq -e '.counts.pass >= 23 and all(.results[] | select(.status == "pass"); .found | test("[0-9]|leastconn"))' \
    "$BATS_TEST_TMPDIR/checklist"
  [ "$(jq -r '[.results[] | select(.status == "skip") | .id] | join(" ")' "$BATS_TEST_TMPDIR/checklist")" = \
    "checklist.stats-gateways checklist.storage checklist.events checklist.grid checklist.api checklist.hybrid checklist.dashboard checklist.failover" ]
  jq -e '.results[] | select(.id == "checklist.api").reason == "sutra-api is not part of this deployment"' \
    "$BATS_TEST_TMPDIR/checklist"
  restarts=$(sutra status --json | jq '[.services[].restarts] | add')
  sutra cache-stats --json | jq -e '.l1.size > 0' # nothing was cleared
  checklist_fails
  [ "$restarts" = "$(sutra status --json | jq '[.services[].restarts] | add')" ] # nor killed
}

@test "checklist: a replica down, with its root cause" {
  ended ml-base-3
  wait_status down ml-base-3
  wait_status degraded ml-base-lb
  checklist_fails checklist.healthy checklist.replicas checklist.restart checklist.metrics
  jq -e '.results[0].reason | contains("root cause: ml-base-3 (stopped), which degrades ml-base-lb")' \
    "$BATS_TEST_TMPDIR/checklist"
  begun ml-base-3
  wait_status up ml-base-lb
}

@test "checklist: no replica at all; what needs one is skipped, not passed" {
  ended ml-base-1 ml-base-2 ml-base-3
  wait_status down ml-base-lb
  run -1 --separate-stderr sutra validate checklist --json
  echo "$output" | jq -e '[.results[] | select(.id == "checklist.batch" or .id == "checklist.replicas").status] ==
    ["fail", "fail"] and all(.results[] | select(.id | test("distribution|cache-hit|cache-kept|volume|latency|parallel"));
    .status == "skip")'
  begun ml-base-1 ml-base-2 ml-base-3
  wait_status up ml-base-lb
}

@test "checklist: a shard whose disk is full; what a restart would lose is told" {
  shard=$(sutra status --json | jq -r '.services[] | select(.name == "storage-cache-shard").address')
  mount -t tmpfs -o size=1m sutra-test "$SUTRA_STATE_DIR/volumes/storage-cache-data" 2>/dev/null ||
    skip "no right to mount a tmpfs"
  MOUNT=$SUTRA_STATE_DIR/volumes/storage-cache-data
  ended storage-cache-shard
  begun storage-cache-shard
  wait_status up storage-cache-shard
  dd if=/dev/zero of="$MOUNT/fill" bs=4k >/dev/null 2>&1 || true
  # What the last page has room for is written; then nothing is.
  for ((n = 0; n < 2000; n++)); do
    curl -sf -o /dev/null "http://127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))/embed" -d "{\"text\":\"full $n\"}"
    ! curl -sf "http://$shard/health" | grep -q '"writes":"read_only"' || break
  done
  wait_line "$SUTRA_STATE_DIR/native/log/storage-cache-shard/current" 'takes no writes now' "$(pid_of storage-cache-shard)"
  checklist_fails checklist.healthy checklist.shard checklist.log-errors
  jq -e '.results[] | select(.id == "checklist.cache-kept") | .status == "skip"' "$BATS_TEST_TMPDIR/checklist"
  jq '.checks |= map(select(.id | test("cache-(hit|kept)")) | .needs -= ["checklist.cache-on", "checklist.batch"])' \
    "$BATS_TEST_DIRNAME/../../validate/checklist.json" >"$BATS_TEST_TMPDIR/kept.json"
  run -1 --separate-stderr sutra validate "$BATS_TEST_TMPDIR/kept.json" --json
  echo "$output" | jq -e '.results | map([.id, .status]) ==
    [["checklist.cache-hit", "pass"], ["checklist.cache-kept", "fail"]]'
  echo "$output" | jq -e '.results[1] | (.hint | contains("cannot write to the shard")) and
    any(.values[]; .name == "lost" and .found > 0) and
    (.reason | endswith("of 20 cached texts were computed again: a restart of the gateway loses them"))'
  ended storage-cache-shard
  umount "$MOUNT"
  MOUNT=
  begun storage-cache-shard
  wait_status up storage-cache-shard
}

@test "checklist: files, logs, limits and ports that are wrong, each by its own check" {
  sutra restart >/dev/null 2>&1 # the log's alerts of the test before are another matter
  forget_lines '\[ALERT\]\| ERROR '
  log=$SUTRA_STATE_DIR/native/log/storage-cache-shard
  checklist_fails
  chmod 644 "$SUTRA_STATE_DIR/deployment.json"
  checklist_fails checklist.files
  chmod 600 "$SUTRA_STATE_DIR/deployment.json"

  cp "$log/config" "$BATS_TEST_TMPDIR/config"
  : >"$log/config"
  checklist_fails checklist.rotation
  cp "$BATS_TEST_TMPDIR/config" "$log/config"

  now=$(date -u +%FT%T)
  echo "$now.00000 ${now}.000000Z ERROR storage write refused reason=\"made up\"" >>"$log/current"
  checklist_fails checklist.log-errors
  jq -e '.results[] | select(.id == "checklist.log-errors").found | contains("storage-cache-shard") and contains("made up")' \
    "$BATS_TEST_TMPDIR/checklist"
  forget_lines 'made up'

  SUTRA_STACK=$(realpath "$SUTRA_STATE_DIR") SUTRA_SERVICE=embedding-single python3 -c 'import signal, socket
s = socket.create_server(("0.0.0.0", 0))
print("listening", flush=True)
signal.pause()' >"$BATS_TEST_TMPDIR/open" 3>&- &
  open=$!
  wait_line "$BATS_TEST_TMPDIR/open" listening "$open"
  checklist_fails checklist.loopback
  jq -e '.results[] | select(.id == "checklist.loopback").reason | startswith("embedding-single listens on 0.0.0.0:")' \
    "$BATS_TEST_TMPDIR/checklist"
  kill "$open"
  wait "$open" || true

  [ -n "$(bare_checklist)" ] || {
    group=$(sed -n 's/^[0-9]*:memory://p' "/proc/$(pid_of ml-base-1)/cgroup")
    file=$(ls "/sys/fs/cgroup/memory$group/memory.limit_in_bytes" "/sys/fs/cgroup$group/memory.max" 2>/dev/null || true)
    [ -z "$file" ] || {
      limit=$(cat "$file")
      echo $((limit / 2)) >"$file"
      checklist_fails checklist.memory
      echo "$limit" >"$file"
    }
  }
  checklist_fails
}

@test "checklist, smoke: another gateway's services are skipped; a stopped gateway is exit code 6" {
  url=http://127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
  run -0 --separate-stderr sutra validate checklist --url "$url" --json
  echo "$output" | jq -e '.results[] | select(.id == "checklist.memory").status == "skip"'
  ended embedding-single
  run -6 sutra validate smoke
  run -1 "$BATS_TEST_DIRNAME/../../scripts/health-check-all"
  [[ $output == *'embedding-single     down'*stopped* ]]
  begun embedding-single
  wait_status up embedding-single
  run -0 "$BATS_TEST_DIRNAME/../../scripts/health-check-all" --json
  run -0 "$BATS_TEST_DIRNAME/../../scripts/health-check-all" -h
}

@test "one replica dead: its check fails, the others do not; status names the cause first" {
  pid=$(pid_of ml-base-2)
  kill -STOP "$pid"
  wait_status degraded ml-base-lb
  run sutra status --timeout 300ms
  kill -CONT "$pid"
  [[ ${lines[0]} == "root cause: ml-base-2 (first-byte-timeout), which "*"ml-base-lb"* ]]
  [[ ${lines[2]} == ml-base-2* ]]
  [[ ${lines[3]} == *ml-base-lb*"affected by ml-base-2"* ]]
  [ "$status" = 3 ] || [ "$status" = 1 ]
  wait_status up ml-base-lb
  kill -STOP "$pid"
  wait_status degraded ml-base-lb
  run --separate-stderr sutra validate-scaling --json
  kill -CONT "$pid"
  echo "$output" | jq '.results[] | select(.status == "fail")'
  [ "$status" = 1 ]
  [ "$(echo "$output" | failed_checks)" = "phase2.replicas" ]
  echo "$output" | jq -e '.results[] | select(.id == "phase2.replicas") |
    .evidence | contains("ml-base-2 DOWN")'
  wait_status up ml-base-lb
}

@test "root cause first: all replicas stopped take down what needs them, through addresses alone, too" {
  ended ml-base-1 ml-base-2 ml-base-3
  wait_status down ml-base-lb
  run -1 sutra status
  [[ ${lines[0]} == "root cause: ml-base-1 (stopped), ml-base-2 (stopped), ml-base-3 (stopped), which take down ml-base-lb"* ]]
  sutra status --json | jq -e '.root_causes | length == 1 and (.[0].services | map(.name) ==
    ["ml-base-1", "ml-base-2", "ml-base-3"]) and (.[0].affected[0] == {"name": "ml-base-lb", "state": "down"})'
  ended storage-cache-shard
  wait_status down embedding-single # with neither replica nor shard; the compose file has no such edge
  sutra status --json | jq -e '[.root_causes[] | select(.services[0].name == "storage-cache-shard").affected[].name] ==
    ["embedding-single"]'
  begun ml-base-1 ml-base-2 ml-base-3 storage-cache-shard
  for s in ml-base-lb storage-cache-shard embedding-single; do wait_status up "$s"; done
  run -0 sutra status
  [[ $output != *"root cause"* ]]
}

@test "a kind of proof that is not there: another gateway's checks are skipped, not passed" {
  url=http://127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
  run --separate-stderr sutra validate-scaling --url "$url" --json
  echo "$output" | jq -c '.results[] | select(.status == "fail") | [.id, .found, .reason]'
  [ "$status" = 0 ]
  echo "$output" | jq -e '.counts.fail == 0 and .counts.skip > 5 and
    all(.results[] | select(.phase == 2 and .kind != "parallel"); .status == "skip")'
  run -6 sutra validate-scaling --url http://127.0.0.1:1
  [[ $output == *refused* ]]
}

@test "the cache off: its check fails, the others do not" {
  SUTRA_CACHE_ENABLED=false sutra deploy --yes --runtime native
  run --separate-stderr sutra validate-scaling --json
  [ "$status" = 1 ]
  [ "$(echo "$output" | failed_checks)" = "phase1.enabled" ]
  SUTRA_CACHE_ENABLED=false sutra deploy --yes --runtime native --prune
  sutra validate checklist --json >"$BATS_TEST_TMPDIR/report" 2>/dev/null || true
  jq -e 'all(.results[] | select(.id | test("shard|cache-|volume|latency-cached")); .status == "skip")' "$BATS_TEST_TMPDIR/report"
}

@test "nothing deployed is exit code 6, wrong usage 2" {
  export SUTRA_STATE_DIR="$BATS_TEST_TMPDIR/none"
  run -6 sutra status
  [[ $output == *"nothing is deployed"*"sutra deploy"* ]]
  run -6 sutra validate-scaling
  run -6 sutra cache-stats
  run -2 sutra validate-scaling --phases 3
  run -2 sutra validate-scaling --phases 0,0
  run -2 sutra status -o junit
  run -2 sutra cache empty
}
