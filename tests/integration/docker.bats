#!/usr/bin/env bats
# The docker runtime on a real engine: images, deploy, change under load, crash, trouble. Starts
# an engine of its own when none answers and it may.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() { docker_stack; }

teardown_file() { end_docker_stack; }

setup() { docker_test; }

cache_up() { curl -sf "$GATEWAY/health" | grep -q '"cache":"up"'; }

@test "images: at most 150 MB above the base, labelled, no root" {
  base=$(docker image inspect debian:bookworm-slim --format '{{.Size}}')
  for image in haproxy storage embedding ml-base; do
    size=$(docker image inspect "sutra/$image" --format '{{.Size}}')
    [ $((size - base)) -le 150000000 ]
    [ "$(docker image inspect "sutra/$image" --format '{{.Config.User}}')" = 10001:10001 ]
    [ "$(docker image inspect "sutra/$image" --format '{{index .Config.Labels "org.opencontainers.image.version"}}')" = \
      "$(sutra version | sed -n '1s/.* //p')" ]
    [ -n "$(docker image inspect "sutra/$image" --format '{{index .Config.Labels "org.opencontainers.image.revision"}}')" ]
  done
}

@test "deploy: every container healthy, hardened and limited; the service answers" {
  run -0 sutra deploy
  [[ $output == *'ready in '* ]]
  [ "$(containers | wc -l)" = 6 ]
  for id in $(containers); do
    docker inspect "$id" | jq -e '.[0].HostConfig | .ReadonlyRootfs and .CapDrop == ["ALL"] and .Init and
      (.SecurityOpt | index("no-new-privileges:true")) and .Memory > 0'
  done
  run -0 curl -sf "$GATEWAY/embed" -d '{"texts":["The Eiffel Tower is in Paris"]}'
  jq -e '.embeddings[0] | length == 256' <<<"$output"
  run -0 sutra status
  [[ $output == *'6 up  (docker, community'* ]]
  run -0 sutra logs -n 1 embedding-single
  [[ $output == 'embedding-single     | 20'*' INFO  gateway '* ]]
}

@test "the engine's own health checks pass: the prober is in every image" {
  for id in $(containers); do
    docker exec "$id" sutra-probe "$(docker inspect "$id" --format '{{index .Config.Healthcheck.Test 2}}')" ||
      docker exec "$id" sutra-probe "$(docker inspect "$id" --format '{{index .Config.Healthcheck.Test 1}}')"
  done
}

@test "a second deploy changes nothing; a plan names the field that would" {
  before=$(containers | sort)
  run -0 sutra deploy
  [[ $output == *'nothing to do: 6 services unchanged'* ]]
  MATRYOSHKA_DIM=128 run -3 sutra deploy --plan --json
  [ "$(jq -r '[.steps[] | select(.action == "replace") | .field] | unique | join(" ")' <<<"$output")" = MATRYOSHKA_DIM ]
  [ "$before" = "$(containers | sort)" ]
}

@test "a container gets every byte of a setting, and a prompt's last blank" {
  edit_settings
  SUTRA_PROMPT='query: a ' run -0 sutra deploy
  has_settings "$(docker inspect -f '{{.State.Pid}}' "$(id_of embedding-single)")"
  [ "$(docker exec "$(id_of ml-base-1)" sh -c 'tr "\0" "\n" </proc/1/environ' | grep '^SUTRA_PROMPT=')" = 'SUTRA_PROMPT=query: a ' ]
  contained=$(curl -sf "$GATEWAY/embed" -d '{"texts":["the last blank counts"]}' | jq -c '.embeddings[0]')
  daemon sutra-ml-base "$BATS_TEST_TMPDIR/native" SUTRA_LISTEN_8887=127.0.0.1:0 MODEL_PATH="$MODEL" \
    MATRYOSHKA_DIM=256 SUTRA_PROMPT='query: a '
  native=$(curl -sf "$ADDR/embed" -d '{"texts":["the last blank counts"]}' | jq -c '.embeddings[0]')
  kill "$PID"
  jq -e 'length == 256' <<<"$native"
  [ "$contained" = "$native" ]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy
}

@test "replicas are replaced one by one, drained first: no request fails" {
  load_until "$BATS_TEST_TMPDIR/stop" "${BALANCER##*:}" 40
  first=$(id_of ml-base-1)
  MAX_QUEUE=2000 run -0 sutra deploy
  run -0 sutra restart ml-base-2
  load_failed_none "$BATS_TEST_TMPDIR/stop"
  [ "$first" != "$(id_of ml-base-1)" ]
  run -0 sutra deploy
}

@test "who was killed and runs again is named, with the memory limit it reached" {
  id=$(id_of ml-base-2)
  docker exec "$id" sh -c 'kill -9 -1' || true
  eventually runs_again "$id" 1
  run sutra status
  [[ $output == *'note: ml-base-2 was started again after it was killed by signal 9 (KILL)'* ]]
  eventually sutra status -q
  docker update --memory 400m --memory-swap 400m "$id" >/dev/null
  echo 1000 >"/proc/$(pgrep -P "$(docker inspect -f '{{.State.Pid}}' "$id")")/oom_score_adj" # before the one that takes it all
  docker exec "$id" tail /dev/zero || true
  eventually runs_again "$id" 2
  eventually sutra status -q
  run -0 sutra status
  [[ $output == *'note: ml-base-2 was started again after it was killed: memory limit 400 MiB reached'* ]]
  run -0 sutra deploy # with the limit it had, and as a new container
}

@test "a crashed replica is started again; one removed by hand comes back with the next deploy" {
  docker exec "$(id_of ml-base-3)" sh -c 'kill -9 -1' || true
  restarted() { sutra status --json >"$BATS_TEST_TMPDIR/status" && jq -e '.services[] | select(.name == "ml-base-3").restarts == 1' "$BATS_TEST_TMPDIR/status"; }
  eventually restarted
  docker rm -f "$(id_of storage-cache-shard)" >/dev/null
  run -1 sutra status
  [[ $output == *'storage-cache-shard  down'* ]]
  run -0 sutra deploy
  [[ $output == *'start     storage-cache-shard (not running)'* ]]
  run -0 sutra status
}

@test "what the cache holds outlives its container" {
  eventually cache_up # the shard has a new container
  curl -sf "$GATEWAY/embed" -d '{"text":"kept in the volume"}' >/dev/null
  run -0 sutra down
  [ -z "$(containers)" ]
  run -0 sutra deploy
  eventually cache_up
  run -0 curl -sf "$GATEWAY/embed" -d '{"text":"kept in the volume"}'
  [ "$(jq -c .cache <<<"$output")" = '{"l1":0,"l2":1,"miss":0}' ]
}

@test "validate-scaling passes on containers" {
  run -0 sutra validate-scaling
  [[ $output == *'19 passed, 0 failed'* ]]
}

@test "the checklist passes on containers; a limit and a policy changed behind its back fail" {
  sutra validate checklist --json >"$BATS_TEST_TMPDIR/report" 2>/dev/null || {
    jq -c '.results[] | select(.status == "fail") | [.id, .found, .reason, .values]' "$BATS_TEST_TMPDIR/report"
    false
  }
  jq -e '.counts.fail == 0 and .counts.pass >= 24' "$BATS_TEST_TMPDIR/report"
  docker update --restart=no "$(id_of storage-cache-shard)" >/dev/null
  docker update --memory 1g --memory-swap 1g "$(id_of embedding-single)" >/dev/null
  run -1 --separate-stderr sutra validate checklist --json
  [ "$(jq -r '[.results[] | select(.status == "fail") | .id] | join(" ")' <<<"$output")" = \
    "checklist.memory checklist.restart" ]
  docker update --restart=unless-stopped "$(id_of storage-cache-shard)" >/dev/null
  docker update --memory 2g --memory-swap 4g "$(id_of embedding-single)" >/dev/null
}

@test "a service that cannot start: its log, exit 5, and the state before runs again" {
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data
  mkdir -p "$SUTRA_DATA_DIR"
  cp -r "$BATS_TEST_DIRNAME/../../compose" "$BATS_TEST_DIRNAME/../../validate" "$SUTRA_DATA_DIR"
  sed -i 's/MAX_CONCEPTS: .*/MAX_CONCEPTS: "none"/' "$SUTRA_DATA_DIR/compose/docker-compose.yml"
  run -5 sutra deploy
  [[ $output == *'storage-cache-shard exited with 2'*'MAX_CONCEPTS is "none"'* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy
  [[ $output == *'nothing to do'* ]]
  run -0 sutra status
}

@test "a port in use is named with its holder, and nothing is started" {
  run -0 sutra down
  python3 -c 'import signal, socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
signal.pause()' "${GATEWAY##*:}" >"$BATS_TEST_TMPDIR/holder" 3>&- &
  holder=$!
  wait_line "$BATS_TEST_TMPDIR/holder" listening "$holder"
  run -1 sutra deploy
  kill "$holder"
  [[ $output == *"$GATEWAY, which is in use by python3 (pid $holder)"* ]]
  [ -z "$(containers)" ]
}

@test "a port that a connection took in passing is waited for" {
  take_in_passing $((50052 + SUTRA_PORT_OFFSET))
  run -0 sutra deploy
}

@test "the other runtime is refused while this one holds the stack" {
  run -2 sutra deploy --runtime native
  [[ $output == *'the stack runs on the runtime docker, not native'*'sutra down ends it first'* ]]
}

@test "no engine: what is missing and how to go on without" {
  DOCKER_HOST=unix:///nonexistent SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/none run -6 sutra deploy --runtime docker
  [[ $output == *'no Docker engine answers at /nonexistent'*'sutra deploy --runtime native'* ]]
}

@test "down removes containers and network, keeps the volume until --volumes" {
  run -0 sutra down
  [ -z "$(containers)" ]
  [ -z "$(docker network ls -q --filter "label=com.docker.compose.project=$PROJECT")" ]
  [ -n "$(docker volume ls -q --filter "label=com.docker.compose.project=$PROJECT")" ]
  docker image ls | grep -q "g-$PROJECT-"
  run -2 sutra down --volumes
  [[ $output == *'--confirm=sutra'* ]]
  run -0 sutra down --volumes --confirm=sutra
  run ! grep "g-$PROJECT-" <(docker image ls)
  [ ! -e "$SUTRA_STATE_DIR/generations" ]
  [ -z "$(docker volume ls -q --filter "label=com.docker.compose.project=$PROJECT")" ]
}
