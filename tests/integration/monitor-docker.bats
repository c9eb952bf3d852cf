#!/usr/bin/env bats
# sutra monitor and sutra shell over containers, and while their engine hangs.
bats_require_minimum_version 1.5.0
load daemon.bash
load tmux.bash

setup_file() {
  docker_stack
  ! has_engine || sutra deploy --yes >/dev/null
}

teardown_file() { end_docker_stack; }

setup() { docker_test; }

teardown() {
  [ -z "${STOPPED:-}" ] || kill -CONT "$STOPPED" 2>/dev/null
  end_tmux
}

@test "containers' state, CPU, memory, limits, one of them, its log" {
  start 160 40 "sutra monitor"
  # MS, CPU, memory, restarts, uptime: every figure is there
  for name in ml-base-1 ml-base-lb storage-cache-shard embedding-single; do
    shows "^$name +up +[0-9.]+ +[0-9.]+ +[0-9.]+ [KM]iB +0 +[0-9]"
  done
  press Tab Tab Tab; shows '^ml-base-1 +up .*2.0 GiB.* 172\.[0-9.]+:8887 '
  press Enter; shows 'memory +[0-9]+ MiB \(resident [0-9]+ MiB, limit 2.0 GiB\)'
  shows '^[0-9:.]+ INFO +ml-base listening addr='
  press l; shows 'log of ml-base-1'
  press q; shows 'CODE 0'
}

@test "a container is drained, made ready, restarted; each is an event" {
  start 160 40 "sutra monitor --admin"
  shows '^ml-base-1 +up'
  press Tab Tab; shows '^sutra replicas'
  press d; shows 'ml-base-1\? \[y/N\]'; press y
  shows 'ml-base-1 is drained'
  shows '^ml-base-1 +NOLB'
  press d; shows 'y/N'; press y
  shows 'ml-base-1 is ready again'
  shows '^ml-base-1 +UP'
  before=$(docker inspect -f '{{.State.Pid}}' "$(id_of ml-base-1)")
  press r; shows 'restart ml-base-1\?'; press y
  shows 'ml-base-1 is healthy again'
  [ "$before" != "$(docker inspect -f '{{.State.Pid}}' "$(id_of ml-base-1)")" ]
  press Tab Tab; shows '^sutra events'
  shows 'ml-base-1 +NOLB in ml-base-lb, was UP'
  shows 'ml-base-1 +runs anew: process'
  shows 'monitor: restart +run by user 0: ml-base-1 is healthy again'
  press q; shows 'CODE 0'
}

@test "an engine that hangs: what it knows is stale, services are asked all the same, and it recovers" {
  own_engine || skip "the engine is not this test's to stop"
  start 160 40 "sutra monitor"
  shows '^ml-base-1 +up +[0-9.]+ +[0-9.]+ '
  STOPPED=$(cat "$TEST_RUN/engine.pid")
  kill -STOP "$STOPPED"
  shows '^stale [0-9.]+ s, what docker knows: no Docker engine answers'
  shows '^ml-base-1 +up +[0-9.]+ +- '
  # names are the engine's to resolve: the balancer keeps what it had, and serves
  shows '^stale ([6-9]|[0-9]{2})'
  shows '^ml-base-lb +up'
  run -0 curl -sf -m 10 "$BALANCER/embed" -d "{\"text\":\"while the engine hangs $$\"}"
  press Tab Tab Tab Tab; shows 'deployment +cannot be looked up'
  kill -CONT "$STOPPED"
  shows 'deployment +can be looked up again'
  press Escape; shows '^ml-base-1 +up +[0-9.]+ +[0-9.]+ '
  run -1 grep -q '^stale' <(frame)
  # q is answered while it hangs
  kill -STOP "$STOPPED"
  shows '^stale'
  press q; shows 'CODE 0'
}

@test "the shell: health in the prompt, completion of services, a restart" {
  prompt=$'\ncommunity 6/6> '
  run -0 python3 "$BATS_TEST_DIRNAME/terminal.py" sutra shell -- "community 6/6> " 'logs -n 1 stor\t\r' \
    "storage-cache-shard  |$prompt" 'restart ml-base-2\r' "ml-base-2 is healthy again$prompt" 'status\r' \
    "(docker, community$prompt" 'exit\r'
}
