#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# sutra logs -f on a log that is being written: no line is lost, none told twice, trouble is an error.

setup() {
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state NO_COLOR=1
  DIR=$SUTRA_STATE_DIR/native/log/one
  mkdir -p "$DIR"
  printf '{"schema":"sutra.deployment/1","runtime":"native","edition":"simple","dimension":256,"services":[%s]}\n' \
    '{"name":"one","group":"one","program":"sutra-ml-base","address":"127.0.0.1:1","hash":"x","depends_on":[]}' \
    >"$SUTRA_STATE_DIR/deployment.json"
}

# say FROM TO: numbered lines in svlogd's form, as they would come.
say() {
  local i
  for ((i = $1; i <= $2; i++)); do printf '2026-01-01_00:00:00.00000 line %d\n' "$i"; done >>"$DIR/current"
}

stop() { kill "$1" && ! wait "$1"; }

# numbers: of the lines that were followed, one a line.
numbers() { sed -n 's/.*line //p' "$BATS_TEST_TMPDIR/out"; }

@test "what is said while following begins is told once" {
  for _ in 1 2 3 4 5; do
    rm -f "$DIR/current" "$BATS_TEST_TMPDIR/out"
    say 1 50
    (exec 3>&-; for ((k = 51; k <= 2000; k += 10)); do say $k $((k + 9)); done) &
    local writer=$!
    sutra logs -f -n 100000 one >"$BATS_TEST_TMPDIR/out" 3>&- &
    local follower=$!
    wait $writer
    wait_line "$BATS_TEST_TMPDIR/out" 'line 2000$' "$follower"
    stop $follower
    numbers | cmp - <(seq 2000)
  done
}

@test "a rotation is followed; a line comes when it is whole; -n 0 begins with nothing" {
  say 1 3
  sutra logs -f -n 1 one >"$BATS_TEST_TMPDIR/out" 3>&- &
  local follower=$!
  wait_line "$BATS_TEST_TMPDIR/out" 'line 3$' "$follower"
  printf '2026-01-01_00:00:00.00000 line' >>"$DIR/current"
  printf ' 4\n' >>"$DIR/current"
  mv "$DIR/current" "$DIR/@old.s"
  say 5 6
  wait_line "$BATS_TEST_TMPDIR/out" 'line 6$' "$follower"
  stop $follower
  [ "$(numbers | paste -sd' ')" = "3 4 5 6" ]
  rm "$BATS_TEST_TMPDIR/out"
  sutra logs -f -n 0 one >"$BATS_TEST_TMPDIR/out" 3>&- &
  follower=$!
  another() { say 7 7 && [ -s "$BATS_TEST_TMPDIR/out" ]; }
  eventually -p "$follower" another
  stop $follower
  [ "$(numbers | sort -u)" = 7 ]
}

@test "a log that cannot be followed is an error, not silence" {
  rm -r "$DIR"
  run -1 sutra logs -f one
  [[ $output == *"one cannot be followed: $DIR: No such file"* ]]
  run -0 sutra logs one
}
