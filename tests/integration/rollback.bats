#!/usr/bin/env bats
# Generations, natively: rollback, the way back of a failed deploy, plans as data, editions.
bats_require_minimum_version 1.5.0
load daemon.bash

setup_file() {
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET SUTRA_RUNTIME=native NO_COLOR=1 CACHE_TIMEOUT_MS=2000
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET)) STATS=127.0.0.1:$((8404 + SUTRA_PORT_OFFSET))
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

setup() { find_model; }
teardown() { touch "$BATS_TEST_TMPDIR/stop"; } # a load under way ends

dimension() { curl -sf "$GATEWAY/embed" -d '{"text":"how long"}' | jq .dimension; }
generation() { sutra rollback --list --json | jq '.generations[] | select(.current).generation'; }

# A copy of the data folder in which a service's command is another.
break_command() {
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data
  mkdir -p "$SUTRA_DATA_DIR"
  cp -r "$BATS_TEST_DIRNAME/../../compose" "$BATS_TEST_DIRNAME/../../validate" "$SUTRA_DATA_DIR"
  sed -i "s/command: \[\"$1\"\]/command: [\"sh\", \"-c\", \"$2\"]/" "$SUTRA_DATA_DIR/compose/docker-compose.yml"
}

@test "nothing deployed: no rollback" {
  run -6 sutra rollback
  [[ $output == *'nothing is deployed'* ]]
}

@test "rollback brings the settings before back, and is a generation itself" {
  sutra deploy -q --yes
  run -1 sutra rollback
  [[ $output == *'there is no generation before 1'* ]]
  MATRYOSHKA_DIM=128 sutra deploy -q
  [ "$(dimension)" = 128 ]
  run -0 sutra rollback
  [[ $output == *'replace   ml-base-1 (MATRYOSHKA_DIM changed: 128 -> 256)'* ]]
  [ "$(dimension)" = 256 ]
  [ "$(generation)" = 3 ]
  run -0 sutra rollback --list
  [[ ${lines[1]} == '3 *'*' community  256 '*' rollback to 1' ]]
  run -1 sutra rollback 77
  [[ $output == *'there is no generation 77; kept are: 3, 2, 1'* ]]
  run -2 sutra rollback x
}

@test "the rollback's environment does not decide, the generation's does" {
  MATRYOSHKA_DIM=64 SUTRA_EDITION=simple run -0 sutra rollback 2
  [ "$(dimension)" = 128 ]
  run -0 sutra rollback 1
}

@test "a generation of the other runtime is refused, and nothing is touched" {
  file=$SUTRA_STATE_DIR/generations/2/generation.json
  cp "$file" "$BATS_TEST_TMPDIR/kept"
  jq '.runtime = "docker"' "$BATS_TEST_TMPDIR/kept" >"$file"
  run -2 sutra rollback 2
  cp "$BATS_TEST_TMPDIR/kept" "$file"
  [[ $output == *'the stack runs on the runtime native, not docker'* ]]
  run -0 sutra status
}

@test "a program that exits: exit 5, the state before serves again, no request fails" {
  break_command sutra-ml-base 'echo this is why; exit 3'
  load_until "$BATS_TEST_TMPDIR/stop" "${GATEWAY##*:}"
  before=$(generation)
  run -5 sutra deploy
  load_failed_none "$BATS_TEST_TMPDIR/stop"
  [[ $output == *'exited with 3'*'this is why'*"going back to generation $before"*"generation $before runs again"* ]]
  [ "$(generation)" = "$before" ]
  unset SUTRA_DATA_DIR
  run -0 sutra deploy
  [[ $output == *'nothing to do'* ]]
}

@test "a service that never becomes healthy: the same after the time limit" {
  break_command sutra-embedding "trap '' TERM; exec tail -f \/dev\/null"
  run -5 sutra deploy --timeout 3s
  [[ $output == *'embedding-single is not ready'*'runs again'* ]]
  [ "$(dimension)" = 256 ]
}

@test "--no-rollback leaves what failed, and the next good deploy mends it" {
  break_command sutra-ml-base 'exit 3'
  run -1 sutra deploy --no-rollback
  [[ $output != *'going back'* ]]
  # Between two of its starts the service is starting, not down.
  is_down() { run sutra status && [ "$status" = 1 ]; }
  eventually is_down
  unset SUTRA_DATA_DIR
  run -0 sutra deploy
  run -0 sutra status
}

@test "the programs of a generation outlive the ones they were copied from" {
  cp -r "$SUTRA_BIN/." "$BATS_TEST_TMPDIR/bin"
  printf '\0' >>"$BATS_TEST_TMPDIR/bin/sutra-ml-base" # another program, which works
  SUTRA_DATA_DIR=$BATS_TEST_DIRNAME/../.. run -0 "$BATS_TEST_TMPDIR/bin/sutra" deploy
  [[ $output == *'replace   ml-base-1 (its program, arguments'* && $output != *'replace   storage'* ]]
  rm -r "${BATS_TEST_TMPDIR:?}/bin"
  run -0 sutra rollback
  run -0 sutra rollback
  [[ $(readlink "/proc/$(sutra status --json | jq '.services[] | select(.name == "ml-base-1").pid')/exe") == "$SUTRA_STATE_DIR/generations/"* ]]
  run -0 sutra status
}

@test "at most the last three are kept beside the current one and those in use" {
  for dim in 64 128 64 128 256; do MATRYOSHKA_DIM=$dim sutra deploy -q; done
  run -0 sutra rollback --list --json
  [ "$(jq '.generations | length' <<<"$output")" -le 4 ]
}

@test "a plan is carried out as it was seen, or refused when something has moved" {
  MATRYOSHKA_DIM=128 run -3 sutra deploy --plan -o json
  echo "$output" >"$BATS_TEST_TMPDIR/plan"
  [ "$(jq -r '.steps[] | select(.service == "ml-base-1") | "\(.action) \(.field) \(.old) \(.new)"' "$BATS_TEST_TMPDIR/plan")" = \
    'replace MATRYOSHKA_DIM 256 128' ]
  run -0 sutra deploy --from "$BATS_TEST_TMPDIR/plan"
  [ "$(dimension)" = 128 ]
  run -1 sutra deploy --from "$BATS_TEST_TMPDIR/plan"
  [[ $output == *'the world has moved'*'embedding-single was to replace'*'nothing was touched'* ]]
  echo '{}' >"$BATS_TEST_TMPDIR/none"
  run -2 sutra deploy --from "$BATS_TEST_TMPDIR/none"
  run -2 sutra deploy --from "$BATS_TEST_TMPDIR/missing"
  MATRYOSHKA_DIM=256 sutra deploy -q
}

@test "another edition: what it adds, keeps and would drop; dropping wants --prune" {
  SUTRA_EDITION=enterprise run -2 sutra deploy
  [[ $output == *'shown this once'*"embedding-ha needs $GATEWAY, which embedding-single holds; nothing was touched"*'--prune'* ]]
  SUTRA_EDITION=enterprise run -3 sutra deploy --plan --prune
  [[ $output == *'start    embedding-ha '*'keep     ml-base-1 '*'stop     embedding-single '* ]]
  SUTRA_EDITION=enterprise run -0 sutra deploy --prune
  [[ $output == *'start     embedding-ha '*'stop      embedding-single '* ]]
  run -0 sutra status
  [[ $output == *'9 up  (native, enterprise'* ]]
}

@test "enterprise: statistics ask for credentials, which appear nowhere else" {
  [ "$(curl -s -o /dev/null -w '%{http_code}' "$STATS/stats")" = 401 ]
  [ "$(stat -c %a "$SUTRA_STATE_DIR/haproxy-stats.json")" = 600 ]
  password=$(jq -r .password "$SUTRA_STATE_DIR/haproxy-stats.json")
  curl -sf -u "sutra:$password" "$STATS/stats;csv" | grep -q '^embedding,embedding-3,'
  run -0 sutra config --json
  [[ $output != *"$password"* ]]
  run ! grep -rq "$password" "$SUTRA_STATE_DIR/deployment.json" "${SUTRA_STATE_DIR:?}/generations" "$SUTRA_STATE_DIR/native/log"
  SUTRA_EDITION=enterprise run -0 sutra deploy
  [[ $output != *"$password"* ]]
}

@test "enterprise: a rolling change of gateways and replicas fails no request" {
  load_until "$BATS_TEST_TMPDIR/stop" "${GATEWAY##*:}"
  SUTRA_EDITION=enterprise LOG_LEVEL=debug run -0 sutra deploy
  load_failed_none "$BATS_TEST_TMPDIR/stop"
}

# HAProxy 2.6 does not try again what a dying gateway had not read yet (its kernel answers with a
# reset): those few end without an answer, never with a wrong one.
@test "enterprise: a gateway is killed, the others answer" {
  load_until "$BATS_TEST_TMPDIR/stop" "${GATEWAY##*:}"
  pid_of() { sutra status --json | jq ".services[] | select(.name == \"$1\").pid"; }
  killed=$(pid_of embedding-2)
  kill -9 "$killed"
  back() { [[ $(pid_of embedding-2) != @(null|"$killed") ]] && sutra status -q; }
  eventually back
  touch "$BATS_TEST_TMPDIR/stop"
  wait "$LOAD"
  read -r ok bad first <"$BATS_TEST_TMPDIR/stop.result"
  echo "$ok $bad $first"
  [ "$ok" -gt 100 ] && [ "$bad" -le 4 ] && [[ $first != *' 5'* ]]
}

@test "enterprise: another password and another setting at once; so does what takes them back" {
  SUTRA_EDITION=enterprise HAPROXY_STATS_PASSWORD=another LOG_LEVEL=info run -0 sutra deploy --timeout 20s
  [[ $output == *'replace   embedding-ha '*'replace   embedding-1 '* ]]
  curl -sf -u sutra:another "$STATS/stats;csv" | grep -q '^embedding,embedding-3,'
  SUTRA_EDITION=enterprise SUTRA_PORT_OFFSET=$((SUTRA_PORT_OFFSET + 1)) LOG_LEVEL=debug run -0 sutra deploy --timeout 20s
  run -0 sutra rollback --timeout 20s
  curl -sf -u sutra:another "$STATS/stats;csv" | grep -q '^embedding,embedding-3,'
}

@test "enterprise: cache clear empties every gateway" {
  for n in 2 3 4; do # each gateway at its own address
    address=$(sutra status -o json | jq -r ".services[] | select(.name == \"embedding-$((n - 1))\").address")
    curl -sf "http://$address/embed" -d '{"text":"in every L1"}' >/dev/null
  done
  run -0 sutra cache-stats --json
  [ "$(jq '[.gateways[].l1.size > 0] | all' <<<"$output")" = true ]
  run -0 sutra cache clear
  run -0 sutra cache-stats --json
  [ "$(jq '[.gateways[].l1.size] | add' <<<"$output")" = 0 ]
}

@test "enterprise: cache clear with a gateway frozen fails, and empties the others" {
  third=$(sutra status -o json | jq -r '.services[] | select(.name == "embedding-3").address')
  curl -sf "http://$third/embed" -d '{"text":"behind the one that fails"}' >/dev/null
  sutra_pid=$(sutra status --json | jq '.services[] | select(.name == "embedding-1").pid')
  kill -STOP "$sutra_pid"
  run sutra cache clear
  kill -CONT "$sutra_pid"
  [ "$status" != 0 ]
  [ "$(curl -sf "http://$third/cache/stats" | jq .l1.size)" = 0 ]
}

@test "a port that was open on every address goes to the next edition's gateway on loopback, and back" {
  SUTRA_EDITION=enterprise SUTRA_BIND=0.0.0.0 run -0 sutra deploy --prune
  SUTRA_EDITION=community run -2 sutra deploy
  [[ $output == *"embedding-single needs $GATEWAY, which embedding-ha holds; nothing was touched"*'--prune'* ]]
  SUTRA_EDITION=community run -0 sutra deploy --prune
  run -0 sutra rollback
  run -0 sutra status
  [[ $output == *'9 up'*enterprise* ]]
}

@test "back to one gateway: what is left runs on until --prune" {
  SUTRA_EDITION=community run -0 sutra deploy --prune
  SUTRA_EDITION=simple run -0 sutra deploy
  [[ $output == *'left running: ml-base-2, ml-base-3, ml-base-lb (not in this edition'* ]]
  run -0 sutra status
  [[ $output == *'6 up'* ]]
  break_command sutra-embedding 'exit 3' # what was left is no matter of a deploy that takes itself back
  SUTRA_EDITION=simple run -5 sutra deploy
  [[ $output == *'runs again'* && $output != *'stop  '* ]]
  unset SUTRA_DATA_DIR
  run -0 sutra status
  [[ $output == *'6 up'* ]]
  SUTRA_EDITION=simple run -0 sutra deploy --prune
  run -0 sutra status
  [[ $output == *'3 up  (native, simple'* ]]
}

@test "a plan of a first enterprise stack holds: its credentials are made when it is carried out" {
  sutra down -q
  rm "$SUTRA_STATE_DIR/haproxy-stats.json"
  export SUTRA_EDITION=enterprise
  run -3 sutra deploy --plan -o json
  echo "$output" >"$BATS_TEST_TMPDIR/plan"
  [ ! -e "$SUTRA_STATE_DIR/haproxy-stats.json" ]
  run -0 sutra deploy --from "$BATS_TEST_TMPDIR/plan"
  [[ $output == *'shown this once'* ]]
  run -0 sutra deploy
  [[ $output == *'nothing to do'* ]]
}

@test "down keeps the generations; down --volumes removes them" {
  run -0 sutra down
  [ -d "$SUTRA_STATE_DIR/generations" ]
  run -0 sutra down --volumes --confirm=sutra
  [ ! -e "$SUTRA_STATE_DIR/generations" ]
}
