#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# What an operator writes into compose/: .env, env_file and the compose file, against what the composes
# of this machine make of the same files. No service runs.

setup() {
  top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state NO_COLOR=1
  mkdir -p "$SUTRA_DATA_DIR"
  cp -r "$top/compose" "$SUTRA_DATA_DIR/"
  rm -f "$SUTRA_DATA_DIR/compose/.env"
}

@test "the table of env_files is what the composes of this machine make of them" {
  run python3 "$BATS_TEST_DIRNAME/env_cases.py" "$top/tests/data/env-cases.json" "$SUTRA_TESTS/compose_dump"
  echo "$output"
  [ "$status" -ne 3 ] || [ "${CI:-}" = true ] || skip "$output"
  [ "$status" -eq 0 ]
}

@test "a comment behind a value of .env is no part of it, and an edition's file is read the same" {
  printf '\357\273\277SUTRA_PROMPT="query: " # before every text\r\nexport MAX_QUEUE = 7 # few\r\n' \
    >"$SUTRA_DATA_DIR/compose/.env"
  printf '\nWAL_SYNC="always" # each\n' >>"$SUTRA_DATA_DIR/compose/editions/community.env"
  run --separate-stderr -0 sutra config --json
  [ "$(jq -r '.settings[] | select(.name == "SUTRA_PROMPT").value' <<<"$output")" = "query: " ]
  [ "$(jq -r '.settings[] | select(.name == "MAX_QUEUE").value' <<<"$output")" = 7 ]
  [ "$(jq -r '.settings[] | select(.name == "WAL_SYNC").value' <<<"$output")" = always ]
}

@test "a variable without a value in .env is told, a fault has its line and no value" {
  echo "HAPROXY_STATS_PASSWORD=pa\$word" >"$SUTRA_DATA_DIR/compose/.env"
  run --separate-stderr -0 sutra config
  # shellcheck disable=SC2154 # run sets it
  [[ $stderr == "sutra: compose/.env: the variable word has no value and is taken as empty; \$\$ is a dollar" ]]
  printf '# x\nHAPROXY_STATS_PASSWORD="hunter2\n' >"$SUTRA_DATA_DIR/compose/.env"
  run --separate-stderr -2 sutra config
  [[ $stderr == *"compose/.env:2: HAPROXY_STATS_PASSWORD: the quote \" is not closed"* ]]
  [[ $stderr != *hunter2* ]]
}

@test "a service's name that leads out of the state folder is refused, and nothing is written there" {
  sed -i 's|^  ml-base-1:|  "../../evil":|' "$SUTRA_DATA_DIR/compose/docker-compose.yml"
  run --separate-stderr -2 sutra deploy --runtime native --yes
  [[ $stderr == *'docker-compose.yml:'*': services: "../../evil" is no name'* ]]
  run find "$BATS_TEST_TMPDIR" -name evil
  [ -z "$output" ]
}

@test "a file that compose would merge is an error that names it, a second document one with its line" {
  echo 'services: { ml-base-1: { restart: "no" } }' >"$SUTRA_DATA_DIR/compose/docker-compose.override.yml"
  run --separate-stderr -2 sutra deploy --plan --runtime native
  [[ $stderr == *"compose/docker-compose.override.yml is not read: docker-compose.yml alone is"* ]]
  [[ $stderr == *"write what it says into docker-compose.yml or .env"* ]]
  rm "$SUTRA_DATA_DIR/compose/docker-compose.override.yml"
  printf -- '---\nservices: {}\n' >>"$SUTRA_DATA_DIR/compose/docker-compose.yml"
  run --separate-stderr -2 sutra manifest swarm
  [[ $stderr =~ docker-compose.yml:[0-9]+:\ a\ second\ document\ begins ]]
}
