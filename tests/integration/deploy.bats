#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# deploy, down, restart, logs, config on the real stack, and the trouble around them.

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET NO_COLOR=1
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

stack_pids() {
  local p
  for p in /proc/[0-9]*; do
    tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qx "SUTRA_STACK=$SUTRA_STATE_DIR" && echo "${p#/proc/}"
  done
  true
}

service_pids() { sutra status --json | jq -r '.services[] | "\(.name) \(.pid)"' | sort; }

# A private copy of the data folder, to break.
copy_data() {
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data
  mkdir -p "$SUTRA_DATA_DIR"
  cp -r "$BATS_TEST_DIRNAME/../../compose" "$BATS_TEST_DIRNAME/../../validate" "$SUTRA_DATA_DIR"
}

@test "haproxy accepts the balancers' configurations" {
  cd "$BATS_TEST_DIRNAME/../../compose/haproxy"
  ML_BASE_1=127.0.0.1:1 ML_BASE_2=127.0.0.1:2 ML_BASE_3=127.0.0.1:3 SUTRA_LISTEN_8887=127.0.0.1:1887 \
    SUTRA_LISTEN_9999=127.0.0.1:1999 haproxy -c -f common.cfg -f ml-base-lb.cfg
  EMBEDDING_1=127.0.0.1:1 EMBEDDING_2=127.0.0.1:2 EMBEDDING_3=127.0.0.1:3 SUTRA_LISTEN_8888=127.0.0.1:1888 \
    SUTRA_LISTEN_8404=127.0.0.1:1404 HAPROXY_STATS_USER=a HAPROXY_STATS_PASSWORD='b "c$' \
    haproxy -c -f common.cfg -f embedding-ha.cfg
}

@test "our reading of the compose file is docker-compose's" {
  command -v docker-compose >/dev/null || { [ "${CI:-}" != true ] && skip "no docker-compose"; }
  local file=$BATS_TEST_DIRNAME/../../compose/docker-compose.yml
  docker-compose -f "$file" --profile community --profile enterprise --profile scaling --profile cache config >"$BATS_TEST_TMPDIR/theirs"
  "$SUTRA_TESTS/compose_dump" "$file" community enterprise scaling cache >"$BATS_TEST_TMPDIR/ours"
  python3 - "$BATS_TEST_TMPDIR/theirs" "$BATS_TEST_TMPDIR/ours" <<'EOF'
import json, sys, yaml
theirs = yaml.safe_load(open(sys.argv[1]))["services"]
ours = json.load(open(sys.argv[2]))
assert sorted(theirs) == sorted(ours), (sorted(theirs), sorted(ours))
for name, t in theirs.items():
    o = ours[name]
    env = {k: str(v) for k, v in (t.get("environment") or {}).items()}
    assert env == o["environment"], (name, env, o["environment"])
    assert sorted(t.get("depends_on") or {}) == o["depends_on"], name
    ports = sorted("%s:%s" % (p["published"], p["target"]) if isinstance(p, dict) else
                   ":".join(p.split("/")[0].split(":")[-2:]) for p in t.get("ports", []))
    assert ports == sorted(o["ports"]), (name, ports, o["ports"])
    assert t["command"] == o["command"] and t["image"] == o["image"] and t["restart"] == o["restart"], name
    assert t["healthcheck"]["test"][1:] == o["health_test"], name
EOF
}

@test "a plan before the first deploy lists every service, writes nothing, exits 3" {
  run -3 --separate-stderr sutra deploy --plan -o json
  echo "$output" | jq -e '.schema == "sutra.plan/1" and .changes == 6 and all(.steps[]; .action == "start")'
  [ -z "$(ls -A "$SUTRA_STATE_DIR")" ]
}

@test "deploy ends with a table and commands to try; the service answers" {
  run -0 --separate-stderr sutra deploy --yes
  [[ $output == *embedding-single*running*"$GATEWAY"* ]]
  [[ $output == *"sutra validate-scaling"* ]]
  # shellcheck disable=SC2154 # stderr is what run --separate-stderr leaves
  [[ $stderr == *"not trained for Matryoshka"* ]]
  run -0 curl -s "$GATEWAY/embed" -d '{"texts":["The Eiffel Tower is in Paris"]}'
  echo "$output" | jq -e '.dimension == 256 and (.embeddings[0] | length == 256) and
    ((.embeddings[0] | map(. * .) | add) - 1 | fabs < 1e-5) and .tokens == 10'
}

@test "memory limits hold where control groups can be written, and status tells" {
  run -0 sutra status --json
  local enforced lb groups
  enforced=$(jq .limits_enforced <<<"$output")
  lb=$(jq '.services[] | select(.name == "ml-base-lb").pid' <<<"$output")
  groups=$(grep -rlx "$lb" /sys/fs/cgroup --include=cgroup.procs 2>/dev/null | grep '/sutra-.*/ml-base-lb/') || true
  [ "$enforced" = "$([ -n "$groups" ] && echo true || echo false)" ]
  run -0 sutra status
  if [ "$enforced" = true ]; then
    [ "$(cat "${groups%/*}"/memory.{max,limit_in_bytes} 2>/dev/null)" = $((256 << 20)) ]
    [[ $output != *'not enforced'* ]]
  else
    [[ $output == *'memory limits are not enforced'* ]]
  fi
}

@test "a second deploy changes nothing and says so" {
  service_pids >"$BATS_TEST_TMPDIR/before"
  run -0 --separate-stderr sutra deploy
  [ "$output" = "nothing to do: 6 services unchanged" ]
  service_pids | diff "$BATS_TEST_TMPDIR/before" -
}

@test "a deploy that changes nothing restarts a service that hangs, and says so" {
  local pid
  pid=$(sutra status --json | jq '.services[] | select(.name == "ml-base-3").pid')
  kill -STOP "$pid"
  run -0 sutra deploy
  [[ $output == *'replace   ml-base-3 (it does not answer)'*'1 of 6 services restarted, nothing else to do'* ||
    $output == *'1 of 6 services restarted, nothing else to do'*'replace   ml-base-3 (it does not answer)'* ]]
  [ "$(sutra status --json | jq '.services[] | select(.name == "ml-base-3").pid')" != "$pid" ]
  run -0 sutra status
}

@test "restart starts a hung service anew" {
  kill -STOP "$(sutra status --json | jq '.services[] | select(.name == "embedding-single").pid')"
  run -1 sutra status --timeout 300ms
  [[ $output == *'embedding-single'*'down'* ]]
  run -0 sutra restart embedding-single --timeout 6s
  run -0 sutra status
}

@test "down finds what runs when its folder is gone" {
  mv "$SUTRA_STATE_DIR" "$SUTRA_STATE_DIR.away"
  run -0 sutra down
  [[ $output == *'services ended'* ]]
  [ -z "$(stack_pids)" ]
  rm -rf "$SUTRA_STATE_DIR"
  mv "$SUTRA_STATE_DIR.away" "$SUTRA_STATE_DIR"
  run -0 sutra deploy
}

@test "a changed dimension touches replicas and gateway only, and no request fails" {
  service_pids >"$BATS_TEST_TMPDIR/before"
  (
    i=0
    while [ ! -e "$BATS_TEST_TMPDIR/stop" ]; do
      i=$((i + 1))
      code=$(curl -s -o /dev/null -w '%{http_code}' -m 15 "$GATEWAY/embed" -d "{\"texts\":[\"rolling $i\"]}")
      [ "$code" = 200 ] || echo "$code" >>"$BATS_TEST_TMPDIR/bad"
      echo "$i" >"$BATS_TEST_TMPDIR/sent"
    done
  ) 3>&- &
  sender=$!
  eventually -p "$sender" [ -s "$BATS_TEST_TMPDIR/sent" ]
  MATRYOSHKA_DIM=128 sutra deploy 2>"$BATS_TEST_TMPDIR/steps"
  touch "$BATS_TEST_TMPDIR/stop"
  wait "$sender" # not for all: bats' own clock is one of the children
  [ ! -e "$BATS_TEST_TMPDIR/bad" ]
  [ "$(grep -c 'MATRYOSHKA_DIM changed: 256 -> 128' "$BATS_TEST_TMPDIR/steps")" = 4 ]
  service_pids | diff "$BATS_TEST_TMPDIR/before" - # replicas and gateway too: restarted in place
  curl -s "$GATEWAY/embed" -d '{"text":"x"}' | jq -e '.dimension == 128 and (.embedding | length == 128)'
  sutra deploy
}

@test "restart is in place; logs and config tell" {
  run -0 sutra restart embedding-single
  [[ $output == *"healthy again"* ]]
  run -0 sutra logs -n 5 embedding-single ml-base-1
  [[ $output == *"embedding-single     | "* && $output == *"ml-base-1            | "* ]]
  run -0 sutra logs -n 1 --json storage-cache-shard
  jq -e '.schema == "sutra.log/1" and (.time | sub("[.][0-9]+"; "") | fromdate > 0) and
    (.line | startswith("INFO"))' <<<"$output"
  run -2 sutra restart no-such-service
  run -0 env MATRYOSHKA_DIM=64 sutra config --explain MATRYOSHKA_DIM
  [[ $output == *"* environment    64"* && $output == *"built-in       256"* ]]
}

@test "a wrong dimension, runtime or edition touches nothing and exits 2" {
  service_pids >"$BATS_TEST_TMPDIR/before"
  run -2 env MATRYOSHKA_DIM=100 sutra deploy
  [[ $output == *"MATRYOSHKA_DIM is 100; the model gives 64, 128, 256, 384"* ]]
  run -2 sutra deploy --runtime docker
  [[ $output == *"the stack runs on the runtime native, not docker"* ]]
  run -2 env SUTRA_TENANTS_FILE=/x sutra deploy
  run -2 env ML_BASE_URL=http://me:secret@host:1 sutra deploy
  [[ $output != *secret* ]]
  run -2 env SUTRA_EDITION=big sutra deploy
  service_pids | diff "$BATS_TEST_TMPDIR/before" -
}

@test "while one holds the lock another exits 7 and names it" {
  exec 8>"$SUTRA_STATE_DIR/lock"
  flock 8
  echo "ada@here, pid 1, sutra deploy, since then" >"$SUTRA_STATE_DIR/lock.owner"
  run -7 sutra deploy
  [[ $output == *"locked by ada@here"* ]]
  sutra deploy --lock-wait 1m 3>&- 8>&- 2>"$BATS_TEST_TMPDIR/waiting" &
  local waiter=$! code=0
  waits() { # no shell any more, which holds the lock, too
    [[ $(readlink "/proc/$waiter/exe") == */sutra ]] && find "/proc/$waiter/fd" -lname "$SUTRA_STATE_DIR/lock" | grep -q .
  }
  eventually -p "$waiter" waits
  kill -INT $waiter # the first one ends the wait
  timeout 60 tail -s 0.05 -f --pid=$waiter /dev/null
  wait $waiter || code=$?
  [ "$code" = 130 ]
  grep -q 'interrupted while waiting for the lock' "$BATS_TEST_TMPDIR/waiting"
  flock -u 8
  exec 8>&-
  run -0 sutra deploy
}

@test "a supervisor that was killed: deploy brings everything back" {
  local pid
  pid=$(cat "$SUTRA_STATE_DIR/native/runsvdir.pid")
  kill -9 "$pid"
  killed() { ! grep -qs runsvdir "/proc/$pid/cmdline"; } # it ends a moment later
  eventually killed
  run sutra status
  [[ $output == *'the supervisor was killed'* ]]
  run -0 sutra deploy --yes
  [[ $output == *'its supervisor was killed'* ]]
  kill -0 "$(cat "$SUTRA_STATE_DIR/native/runsvdir.pid")"
  run -0 sutra status
  [[ $output != *'the supervisor was killed'* ]]
  [[ $output == *"6 up"* ]]
}

@test "a lost record: deploy takes over what runs; another edition stops what it lacks last" {
  echo garbage >"$SUTRA_STATE_DIR/deployment.json"
  run -6 sutra status
  [[ $output == *'deployment.json: malformed JSON'*'sutra deploy writes it anew'* ]]
  SUTRA_EDITION=simple run -0 sutra deploy --prune
  [[ $output == *'replace   embedding-single (its record was lost)'*'stop      ml-base-lb (not in this edition)'* ]]
  run -0 sutra status --json
  [ "$(jq -r '[.services[] | "\(.name) \(.state)"] | sort | join(" ")' <<<"$output")" = \
    "embedding-single up ml-base-1 up storage-cache-shard up" ]
  curl -sf "$GATEWAY/embed" -d '{"text":"three services"}' >/dev/null
  run -0 sutra deploy
  [ "$(stack_pids | while read -r p; do cat "/proc/$p/comm"; done | grep -c sutra-ml-base)" = 3 ]
}

@test "a service whose own supervisor is killed comes back by itself, and deploy mends it at once" {
  runsv_of() { awk '/^PPid/ { print $2 }' "/proc/$(sutra status --json | jq --arg s "$1" '.services[] | select(.name == $s).pid')/status"; }
  kill -9 "$(runsv_of ml-base-2)"
  run -0 sutra deploy
  run -0 sutra status
  kill -9 "$(runsv_of ml-base-2)"
  eventually sutra status -q
  [ "$(stack_pids | while read -r p; do cat "/proc/$p/comm"; done | grep -c sutra-ml-base)" = 3 ]
}

@test "down leaves no process, no control group, and a second down says so" {
  [ -n "$(stack_pids)" ]
  group=$(sed -n 's/.*\/\(sutra-[0-9a-f]*\)\/.*/\1/p' "/proc/$(sutra status --json | jq '.services[0].pid')/cgroup")
  run -0 sutra down
  [ -z "$(stack_pids)" ]
  [ -z "$group" ] || [ -z "$(find /sys/fs/cgroup -maxdepth 2 -name "$group")" ]
  run -0 sutra down
  [ "$output" = "nothing is deployed" ]
  run -6 sutra status
}

@test "SUTRA_BIND=0.0.0.0 publishes the gateway on every address; another word is refused" {
  SUTRA_BIND=0.0.0.0 run -0 sutra deploy
  [[ $output == *"0.0.0.0:$((8888 + SUTRA_PORT_OFFSET))"* ]]
  for host in localhost $(hostname -I); do
    [[ $host == *:* ]] || curl -sf "http://$host:$((8888 + SUTRA_PORT_OFFSET))/health"
  done
  run -0 sutra down
  SUTRA_BIND=banana run -2 sutra deploy
  [[ $output == *'SUTRA_BIND is "banana"; an IPv4 address'* ]]
}

@test "a port in use is named with its holder, and nothing is started" {
  python3 -m http.server --bind 127.0.0.1 $((8888 + SUTRA_PORT_OFFSET)) 3>&- >/dev/null 2>&1 &
  local holder=$!
  curl -s -o /dev/null --retry 100 --retry-connrefused --retry-delay 0 --retry-max-time 20 "$GATEWAY"
  run -1 sutra deploy --yes
  kill $holder
  [[ $output == *"127.0.0.1:$((8888 + SUTRA_PORT_OFFSET)), which is in use by python3 (pid $holder)"* ]]
  [ -z "$(stack_pids)" ]
}

@test "a port that a connection took in passing is waited for" {
  take_in_passing $((50052 + SUTRA_PORT_OFFSET))
  run -0 sutra deploy
  run -0 sutra down
}

@test "a replica that exits at start ends the wait at once, with its log" {
  copy_data
  sed -i 's/command: \["sutra-ml-base"\]/command: ["sh", "-c", "echo this is why; exit 3"]/' "$SUTRA_DATA_DIR/compose/docker-compose.yml"
  run -1 sutra deploy --yes --timeout 50s
  [[ $output == *"exited with 3 instead of becoming ready"* && $output == *"this is why"* && $output == *"reason    exited"* ]]
  [[ $output == *"root cause: "*"ml-base-"*" (exited)"*", which "*"ml-base-lb"*"service   ml-base"* ]]
  run -0 sutra down
  [ -z "$(stack_pids)" ]
}

@test "a mistake in a compose file is named with file and line" {
  copy_data
  sed -i 's/ expose: \["8888"\]/ expsoe: ["8888"]/' "$SUTRA_DATA_DIR/compose/docker-compose.yml"
  run -2 sutra deploy --yes
  [[ $output =~ docker-compose.yml:[0-9]+:.*\"expsoe\" ]]
  [[ $output == *'did you mean "expose"?'* ]]
}

@test "an unknown setting in .env is an error with its nearest match" {
  copy_data
  echo MATRYOSKA_DIM=128 >"$SUTRA_DATA_DIR/compose/.env"
  run -2 sutra deploy --yes
  [[ $output == *"did you mean MATRYOSHKA_DIM?"* ]]
}

@test "without haproxy or runit the package is named" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  run -1 env PATH="$BATS_TEST_TMPDIR/bin" "$SUTRA_BIN/sutra" deploy --yes
  [[ $output == *"apt-get install"* ]]
}

@test "no model: the three ways to get one" {
  run -1 env MODEL_PATH="$BATS_TEST_TMPDIR" sutra deploy --yes
  [[ $output == *"sutra model fetch"* && $output == *"MODEL_PATH"* ]]
}

@test "interrupted, deploy exits 130 and the next one finishes" {
  copy_data
  sed -i 's/command: \["sutra-embedding"\]/command: ["sh", "-c", "echo up; exec tail -f \/dev\/null"]/' "$SUTRA_DATA_DIR/compose/docker-compose.yml"
  sutra deploy --yes 3>&- >"$BATS_TEST_TMPDIR/out" 2>&1 &
  local pid=$!
  wait_line "$BATS_TEST_TMPDIR/out" '\(start\|replace\) *embedding-single' "$pid"
  kill -INT $pid
  local code=0
  wait $pid || code=$?
  [ "$code" = 130 ]
  run sutra status
  [[ $status != 0 && $output == *'the last deploy did not come to its end'* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy --yes
  run -0 sutra status
  run -0 sutra down
  [ -z "$(stack_pids)" ]
}
