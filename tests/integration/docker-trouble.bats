#!/usr/bin/env bats
# What goes wrong on containers: kills, clashes, hands, a build that fails, an engine that stops.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() { docker_stack; }

teardown_file() { end_docker_stack; }

setup() { docker_test; }

teardown() { touch "$BATS_TEST_TMPDIR/stop"; } # a load under way ends

@test "a network of that name that is not ours: said, with what to do; without it deploy goes on" {
  docker network create "${PROJECT}_default" >/dev/null
  run -1 sutra deploy --yes
  [[ $output == *"${PROJECT}_default"*'is not of this stack'*"docker network rm ${PROJECT}_default"* ]]
  [ -z "$(containers)" ]
  docker network rm "${PROJECT}_default" >/dev/null
  run -0 sutra deploy
  run -0 sutra status
}

@test "two deploys at once: the second exits 7 and names the first" {
  exec 8>"$SUTRA_STATE_DIR/lock"
  flock 8
  run -7 sutra deploy
  exec 8>&-
}

@test "containers changed by hand: stopped, limited otherwise, replaced by another" {
  docker stop -t 1 "$(id_of ml-base-2)" >/dev/null
  run -0 sutra deploy
  [[ $output == *'start     ml-base-2 (not running)'* ]]
  docker update --memory 300m --memory-swap 600m "$(id_of ml-base-3)" >/dev/null
  run -3 sutra deploy --plan
  [[ $output == *'replace  ml-base-3              its container was changed by hand'* ]]
  run -0 sutra deploy
  [ "$(docker inspect -f '{{.HostConfig.Memory}}' "$(id_of ml-base-3)")" = 2147483648 ]
  run -0 sutra deploy
  [[ $output == *'nothing to do'* ]]
}

@test "a bad setting returns by itself: exit 5, and no request fails" {
  edit 's["ml-base-1"]["environment"]["MAX_QUEUE"] = "none"'
  load_until "$BATS_TEST_TMPDIR/stop" "${GATEWAY##*:}"
  run -5 sutra deploy
  load_failed_none "$BATS_TEST_TMPDIR/stop"
  [[ $output == *'ml-base-1 exited with 2'*'MAX_QUEUE is "none"'*'going back to generation'*'runs again'* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy
  [[ $output == *'nothing to do'* ]]
}

@test "a bad image returns by itself; rollback brings an image back whose name has moved on" {
  good=$(docker image inspect -f '{{.Id}}' sutra/ml-base:latest)
  printf 'FROM sutra/ml-base:latest\nCMD ["sh", "-c", "echo broken; exit 3"]\nENTRYPOINT ["sh", "-c", "echo broken; exit 3"]\n' >"$BATS_TEST_TMPDIR/Dockerfile"
  docker build -q -t sutra/ml-base:latest "$BATS_TEST_TMPDIR" >/dev/null
  run sutra deploy
  docker tag "$good" sutra/ml-base:latest # first of all: the rooms after this one need it
  [ "$status" = 5 ]
  [[ $output == *'its image changed'*'broken'*'runs again'* ]]
  run -0 sutra status
  [ "$(docker inspect -f '{{.Image}}' "$(id_of ml-base-1)")" = "$good" ]
  printf 'FROM sutra/ml-base:latest\nLABEL another=one\n' >"$BATS_TEST_TMPDIR/Dockerfile"
  docker build -q -t sutra/ml-base:latest "$BATS_TEST_TMPDIR" >/dev/null
  run sutra deploy
  first=$status
  [ "$(docker inspect -f '{{.Image}}' "$(id_of ml-base-2)")" != "$good" ] || first=99
  run sutra rollback
  docker tag "$good" sutra/ml-base:latest
  [ "$first" = 0 ] && [ "$status" = 0 ]
  [ "$(docker inspect -f '{{.Image}}' "$(id_of ml-base-2)")" = "$good" ]
}

@test "a one-shot service: others wait for its end, a second deploy leaves it" {
  edit 's["migrate"] = dict(image="sutra/storage", command=["sh", "-c", "echo migrated"], restart="no", profiles=["cache"])
s["storage-cache-shard"]["depends_on"] = {"migrate": {"condition": "service_completed_successfully"}}'
  run -0 sutra deploy
  run -0 sutra deploy
  [[ $output == *'nothing to do: 7 services unchanged'* ]]
  run -0 sutra status
  run -0 sutra logs migrate
  [[ $output == *migrated* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy --prune
}

@test "a deploy killed at any moment: the next one finishes its work" {
  for round in 1 3 5 7 9; do
    LOG_LEVEL=$([ $((round % 4)) = 1 ] && echo debug || echo info) deploy_says "$round"
    kill -9 "$DEPLOY" 2>/dev/null || true
    deploy_ends || true
  done
  run -0 sutra deploy
  run -0 sutra status
  [[ $output == *'6 up'* ]]
}

@test "a change cut off while a replica is drained: the next deploy brings it back" {
  LOG_LEVEL=debug sutra deploy >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local deploy=$!
  wait_line "$BATS_TEST_TMPDIR/out" 'replace   ml-base-1' "$deploy"
  kill -9 $deploy
  wait $deploy || true
  docker exec "$(id_of ml-base-2)" sh -c 'kill -USR1 -1' # as a restart that is cut off leaves it
  run -0 sutra deploy
  run -0 sutra status
  [[ $output == *'6 up'* ]]
  docker exec "$(id_of ml-base-2)" sh -c 'kill -9 -1' || true # the restart policy is in force
  eventually runs_again "$(id_of ml-base-2)" 1
}

@test "a build that fails: the compiler's words, exit 1, what runs stays" {
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/src
  mkdir "$SUTRA_DATA_DIR"
  git -C "$BATS_TEST_DIRNAME/../.." archive HEAD | tar -x -C "$SUTRA_DATA_DIR"
  echo 'int broken(' >>"$SUTRA_DATA_DIR/lib/base/str.c"
  run -1 sutra build
  [[ $output == *'lib/base/str.c'*error* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra status
}

@test "logs -f follows a container, over its restart" {
  sutra logs -f -n 1 ml-base-1 >"$BATS_TEST_TMPDIR/out" 3>&- &
  local pid=$!
  sutra restart ml-base-1
  wait_line "$BATS_TEST_TMPDIR/out" 'listening' "$pid"
  kill $pid
}

@test "enterprise: every gateway and replica is replaced, drained first, under 200 requests/s: none fails" {
  SUTRA_EDITION=enterprise run -0 sutra deploy --prune
  load_until "$BATS_TEST_TMPDIR/stop" "${GATEWAY##*:}"
  SUTRA_EDITION=enterprise MATRYOSHKA_DIM=128 run -0 sutra deploy
  [[ $output == *'replace   embedding-3 '*'replace   ml-base-3 '* ]]
  run -0 sutra rollback
  load_failed_none "$BATS_TEST_TMPDIR/stop"
  run -0 sutra validate failover
  [[ $output == *'7 passed, 0 failed'* ]]
  run -0 sutra deploy --prune
}

@test "the engine stops midway: said, exit 6 or 1; started again, deploy goes on" {
  own_engine || skip "the engine is not this test's to stop"
  LOG_LEVEL=debug sutra deploy >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local deploy=$! code=0
  wait_line "$BATS_TEST_TMPDIR/out" 'replace' "$deploy"
  stop_engine
  wait $deploy || code=$?
  [ "$code" = 1 ] || [ "$code" = 6 ] || { cat "$BATS_TEST_TMPDIR/out"; false; }
  # An engine that is told to end stops its containers first: what deploy meets is one or the other.
  grep -q 'no Docker engine answers\|Cannot connect to the Docker daemon\|docker compose up ended\|exited with' "$BATS_TEST_TMPDIR/out" || {
    cat "$BATS_TEST_TMPDIR/out"
    false
  }
  run -6 sutra status
  [[ $output == *'no Docker engine answers'* ]]
  start_engine
  run -0 sutra deploy
  run -0 sutra status
  [[ $output == *'6 up'* ]]
}
