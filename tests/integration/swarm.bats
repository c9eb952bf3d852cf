#!/usr/bin/env bats
# `sutra manifest swarm` on a real swarm of one node: accepted, serving, scaled while it serves.
# Starts an engine of its own when none answers and it may; leaves the swarm that it made.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() {
  export SUTRA_PORT_OFFSET NO_COLOR=1 STACK=sutratest$$ CACHE_TIMEOUT_MS=2000
  unset SUTRA_EDITION SUTRA_CACHE_ENABLED MATRYOSHKA_DIM SUTRA_VERSION
  SUTRA_PORT_OFFSET=$(port_offset)
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET)) BALANCER=127.0.0.1:$((8887 + SUTRA_PORT_OFFSET))
  export SUTRA_INSECURE=true	# the balancer and its statistics are looked at from outside
  export STATS=127.0.0.1:$((9999 + SUTRA_PORT_OFFSET))
  start_engine || return 0
  build_images
  if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = inactive ]; then
    docker swarm init --advertise-addr 127.0.0.1 >/dev/null && touch "$BATS_FILE_TMPDIR/own-swarm"
  fi
  has_model || return 0
  sutra manifest swarm >"$BATS_FILE_TMPDIR/stack.yml"
}

teardown_file() {
  docker version >/dev/null 2>&1 || return 0
  docker stack rm "$STACK" >/dev/null 2>&1
  gone() { [ -z "$(docker ps -aq --filter "label=com.docker.stack.namespace=$STACK")$(docker network ls -q --filter "label=com.docker.stack.namespace=$STACK")" ]; }
  eventually gone
  docker volume ls -q --filter "label=com.docker.stack.namespace=$STACK" | xargs -r docker volume rm >/dev/null
  [ ! -e "$BATS_FILE_TMPDIR/own-swarm" ] || docker swarm leave --force >/dev/null
}

setup() {
  docker version >/dev/null 2>&1 || skip "no Docker engine answers, and none could be started"
  find_model
}

embeds() { curl -sf -m 10 "http://$1/embed" -d '{"texts":["The Eiffel Tower is in Paris"]}' >"$BATS_TEST_TMPDIR/answer"; }

# servers STATUS: the balancer's replicas in that state, "name requests" a line.
servers() {
  curl -sf -m 5 "http://$STATS/stats;csv" | awk -F, -v s="$1" '$1 == "ml-base" && $2 ~ /^ml-base-/ && $18 == s { print $2, $8 }'
}
up() { [ "$(servers UP | wc -l)" = "$1" ]; }

# pelt SECONDS PARALLEL: POSTs to the balancer; prints "good bad first-bad".
pelt() {
  python3 - "${BALANCER##*:}" "$1" "$2" <<'PYTHON'
import http.client, json, sys, threading, time
port, end, bad, ok = int(sys.argv[1]), time.monotonic() + float(sys.argv[2]), [], [0]
def work(k):
    c, i = http.client.HTTPConnection("127.0.0.1", port, timeout=20), 0
    while time.monotonic() < end:
        i += 1
        try:
            c.request("POST", "/embed", json.dumps({"texts": ["text %d of %d" % (i, k)]}))
            r = c.getresponse()
            body = r.read()
            ok[0] += r.status == 200
            if r.status != 200:
                bad.append(body)
        except Exception as e:
            bad.append(repr(e))
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
threads = [threading.Thread(target=work, args=(k,)) for k in range(int(sys.argv[3]))]
[t.start() for t in threads]
[t.join() for t in threads]
print(ok[0], len(bad), bad[:1])
PYTHON
}

@test "docker stack deploy takes it; the published port answers with 256 values" {
  run -0 docker stack deploy --resolve-image never -c "$BATS_FILE_TMPDIR/stack.yml" "$STACK"
  eventually embeds "$GATEWAY"
  jq -e '.embeddings[0] | length == 256' "$BATS_TEST_TMPDIR/answer"
  eventually up 3
  cache() { curl -sf "http://$GATEWAY/health" | grep -q '"cache":"up"'; }
  eventually cache
}

@test "ml-base is one service; every task is hardened and limited" {
  [ "$(docker stack services "$STACK" --format '{{.Name}} {{.Replicas}}' | sort | tr '\n' ,)" = \
    "${STACK}_embedding-single 1/1,${STACK}_ml-base 3/3,${STACK}_ml-base-lb 1/1,${STACK}_storage-cache-shard 1/1," ]
  for id in $(docker ps -q --filter "label=com.docker.stack.namespace=$STACK"); do
    docker inspect "$id" | jq -e '.[0] | .HostConfig.ReadonlyRootfs and .HostConfig.CapDrop == ["ALL"] and .HostConfig.Init and
      .HostConfig.Memory > 0 and .Config.User == "10001:10001"'
  done
}

@test "scaled to five: HAProxy finds all of them by name, and each takes requests" {
  run -0 docker service scale -d "${STACK}_ml-base=5"
  eventually up 5
  servers UP >"$BATS_TEST_TMPDIR/before"
  read -r good bad why < <(pelt 5 10)
  echo "$good good, $bad bad $why"
  [ "$good" -gt 50 ] && [ "$bad" = 0 ]
  servers UP | join - "$BATS_TEST_TMPDIR/before" >"$BATS_TEST_TMPDIR/spread"
  cat "$BATS_TEST_TMPDIR/spread"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/spread")" = 5 ]
  while read -r _ after before; do [ $((after - before)) -ge $((good / 20)) ]; done <"$BATS_TEST_TMPDIR/spread"
}

@test "scaled to two while requests come: none fails" {
  pelt 20 4 >"$BATS_TEST_TMPDIR/load" &
  loader=$!
  run -0 docker service scale -d "${STACK}_ml-base=2"
  eventually up 2
  wait "$loader"
  cat "$BATS_TEST_TMPDIR/load"
  read -r good bad _ <"$BATS_TEST_TMPDIR/load"
  [ "$good" -gt 50 ] && [ "$bad" = 0 ] || {
    docker service logs --tail 40 "${STACK}_ml-base-lb"
    return 1
  }
}

@test "deployed again, nothing is replaced; another dimension replaces what it touches" {
  docker ps -q --filter "label=com.docker.stack.namespace=$STACK" --filter name=ml-base-lb >"$BATS_TEST_TMPDIR/before"
  run -0 docker stack deploy --resolve-image never -c "$BATS_FILE_TMPDIR/stack.yml" "$STACK"
  eventually up 3
  MATRYOSHKA_DIM=128 sutra manifest swarm >"$BATS_TEST_TMPDIR/128.yml"
  run -0 docker stack deploy --resolve-image never -c "$BATS_TEST_TMPDIR/128.yml" "$STACK"
  narrow() { embeds "$GATEWAY" && jq -e '.embeddings[0] | length == 128' "$BATS_TEST_TMPDIR/answer" >/dev/null; }
  eventually narrow
  docker ps -q --filter "label=com.docker.stack.namespace=$STACK" --filter name=ml-base-lb | cmp - "$BATS_TEST_TMPDIR/before"
}
