#!/usr/bin/env bats
# What goes wrong at three in the morning, natively: kills at any moment, a full disk, services
# that end, hang or do not let go.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() {
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET SUTRA_RUNTIME=native NO_COLOR=1 CACHE_TIMEOUT_MS=2000
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

setup() { find_model; }

stack_pids() {
  for p in /proc/[0-9]*; do
    tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qx "SUTRA_STACK=$SUTRA_STATE_DIR" && echo "${p#/proc/}"
  done
  true
}

@test "a one-shot service: others wait for its end, a second deploy leaves it, status calls it well" {
  edit 's["migrate"] = dict(image="sutra/storage", command=["sh", "-c", "echo migrated"], restart="no", profiles=["cache"])
s["storage-cache-shard"]["depends_on"] = {"migrate": {"condition": "service_completed_successfully"}}'
  run -0 sutra deploy --yes
  [[ $output == *'healthy   migrate'*'start     storage-cache-shard'* ]]
  run -0 sutra deploy
  [[ $output == *'nothing to do: 7 services unchanged'* ]]
  run -0 sutra status
  run -0 sutra logs migrate
  [[ $output == *migrated* ]]
  run -0 sutra down
}

@test "a one-shot service that fails: named, with its log, and what waits for it is not started" {
  edit 's["migrate"] = dict(image="sutra/storage", command=["sh", "-c", "echo no such table; exit 3"], restart="no", profiles=["cache"])
s["storage-cache-shard"]["depends_on"] = {"migrate": {"condition": "service_completed_successfully"}}'
  run -1 sutra deploy
  [[ $output == *'migrate exited with 3'*'no such table'* && $output != *'start     storage-cache-shard'* ]]
  run -0 sutra down
}

@test "a service that is added moves no other; one that is renamed gets an address of its own" {
  run -0 sutra deploy
  sutra status --json | jq -r '.services[] | "\(.name) \(.address)"' | sort >"$BATS_TEST_TMPDIR/before"
  edit 's["aaa"] = dict(image="sutra/storage", command=["tail", "-f", "/dev/null"], profiles=["community"])'
  run -0 sutra deploy
  [[ $output == *'start     aaa'* && $output != *'replace '* ]]
  sutra status --json | jq -r '.services[] | select(.name != "aaa") | "\(.name) \(.address)"' | sort | cmp - "$BATS_TEST_TMPDIR/before"
  edit 's["zzz"] = dict(image="sutra/storage", command=["tail", "-f", "/dev/null"], profiles=["community"])'
  run -0 sutra deploy --prune
  [[ $output == *'start     zzz'*'stop      aaa'* && $output != *'replace '* ]]
  run -0 sutra status
  run -0 sutra down
}

@test "a service that never becomes healthy: the time limit, its reason and its log" {
  edit 's["storage-cache-shard"]["command"] = ["sh", "-c", "echo waiting for godot; exec tail -f /dev/null"]'
  run -4 sutra deploy --timeout 2s
  [[ $output == *'storage-cache-shard is not ready'*'reason    refused'*'waiting for godot'* ]]
  run -0 sutra down
}

@test "processes that ignore TERM or fork away are ended too" {
  edit 's["storage-cache-shard"].update(command=["sh", "-c", "trap \"\" TERM; setsid tail -f /dev/null & exec tail -f /dev/null"], stop_grace_period="1s")
del s["storage-cache-shard"]["healthcheck"]
for x in s.values(): x["stop_grace_period"] = "1s"'
  run -0 sutra deploy
  [ "$(stack_pids | wc -l)" -gt 6 ]
  run -0 sutra down
  [[ $output == *'had to be killed'* ]]
  [ -z "$(stack_pids)" ]
}

@test "a deploy killed at any moment: the next one finishes its work, down leaves nothing" {
  for round in 1 2 3 4 5 6 7 8 9 10; do
    MATRYOSHKA_DIM=$((round % 2 ? 128 : 256)) deploy_says "$round"
    kill -9 "$DEPLOY" 2>/dev/null || true
    deploy_ends || true
  done
  run -0 sutra deploy
  run -0 sutra status
  [[ $output == *'6 up'* ]]
  [ "$(curl -sf "$GATEWAY/embed" -d '{"text":"after all"}' | jq .dimension)" = 256 ]
  run -0 sutra down
  [ -z "$(stack_pids)" ]
}

# KILLS=50 by hand, and before a release.
@test "the supervisor killed at any moment of a deploy: the next one brings everything back each time" {
  sutra deploy -q
  for round in $(seq "${KILLS:-10}"); do
    LOG_LEVEL=$([ $((round % 2)) = 0 ] && echo info || echo debug) deploy_says $((round % 12))
    kill -9 "$(cat "$SUTRA_STATE_DIR/native/runsvdir.pid" 2>/dev/null || echo 999999999)" 2>/dev/null || true
    deploy_ends || true
  done
  run -0 sutra deploy
  run -0 sutra status
  [[ $output == *'6 up'* ]]
  [ "$(stack_pids | while read -r p; do cat "/proc/$p/comm"; done | grep -c sutra-ml-base)" = 3 ]
  run -0 sutra down
  [ -z "$(stack_pids)" ]
}

@test "a full disk: said, nothing half done; with room again deploy goes on" {
  [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=8m none "$BATS_TEST_TMPDIR" 2>/dev/null || skip "needs to mount"
  mkdir "$BATS_TEST_TMPDIR/state"
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state
  dd if=/dev/zero of="$BATS_TEST_TMPDIR/fill" bs=64k >/dev/null 2>&1 || true
  run -1 sutra deploy
  [[ $output == *'No space left on device'* ]]
  [ -z "$(stack_pids)" ]
  rm "$BATS_TEST_TMPDIR/fill"
  run -0 sutra deploy
  run -0 sutra status
  run -0 sutra down
  umount -l "$BATS_TEST_TMPDIR"
}
