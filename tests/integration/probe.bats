#!/usr/bin/env bats
# Probes against a server that misbehaves on purpose: one row per reason, and many at once.

setup_file() {
  coproc FAULT { exec "$SUTRA_TESTS/fault_server"; }
  read -r PORT REFUSED FULL <&"${FAULT[0]}"
  export PORT REFUSED FULL
  # The server ends with its input; this shell holds the other end until teardown_file.
  exec 9>&"${FAULT[1]}"
  export FAULT_PID
}

teardown_file() {
  kill "$FAULT_PID"
}

# reason_of URL: the verdict on one document URL, as "state reason status".
reason_of() {
  echo "$1" | "$SUTRA_TESTS/probe_all" "${2:-400}" | cut -d' ' -f1-3
}

@test "each fault has its reason" {
  while read -r want_state want_reason want_status url; do
    got=$(reason_of "$url")
    [ "$got" = "$want_state $want_reason $want_status" ] || {
      echo "$url: $got, not $want_state $want_reason $want_status"
      false
    }
  done <<END
up ok 200 http://127.0.0.1:$PORT/ok
degraded degraded 200 http://127.0.0.1:$PORT/degraded
down unhealthy 503 http://127.0.0.1:$PORT/unhealthy
down body 200 http://127.0.0.1:$PORT/html
down status 500 http://127.0.0.1:$PORT/status/500
down status 404 http://127.0.0.1:$PORT/status/404
down first-byte-timeout 0 http://127.0.0.1:$PORT/hang
down transfer-timeout 200 http://127.0.0.1:$PORT/hang-body
down empty-answer 0 http://127.0.0.1:$PORT/close
down reset 200 http://127.0.0.1:$PORT/cut
down too-large 200 http://127.0.0.1:$PORT/huge
down protocol 0 http://127.0.0.1:$PORT/garbage
down refused 0 http://127.0.0.1:$REFUSED/ok
down connect-timeout 0 http://127.0.0.1:$FULL/ok
down dns 0 http://no-such-name.invalid/ok
down tls 0 https://127.0.0.1:$PORT/ok
END
}

@test "a slow first byte shows in its own phase" {
  read -r state _ _ connect first total < <(echo "http://127.0.0.1:$PORT/slow" | "$SUTRA_TESTS/probe_all" 5000)
  [ "$state" = up ]
  # The server waits 150 ms after the connection stands.
  awk -v c="$connect" -v f="$first" -v t="$total" 'BEGIN { exit !(f - c >= 149 && t >= f) }'
}

@test "500 endpoints at once, one hanging, under a limit of 256 descriptors" {
  for i in $(seq 499); do echo "http://127.0.0.1:$PORT/ok$i"; done >"$BATS_TEST_TMPDIR/urls"
  echo "http://127.0.0.1:$PORT/hang" >>"$BATS_TEST_TMPDIR/urls"
  (ulimit -n 256 && "$SUTRA_TESTS/probe_all" 3000) <"$BATS_TEST_TMPDIR/urls" >"$BATS_TEST_TMPDIR/out"
  [ "$(grep -c '^up ok 200' "$BATS_TEST_TMPDIR/out")" = 499 ]
  [ "$(grep -c '^down first-byte-timeout' "$BATS_TEST_TMPDIR/out")" = 1 ]
}

@test "endpoints are asked together, not one after another" {
  # None of the forty answers before all forty are asked.
  for i in $(seq 40); do echo "http://127.0.0.1:$PORT/together/40/$i"; done >"$BATS_TEST_TMPDIR/urls"
  "$SUTRA_TESTS/probe_all" 60000 <"$BATS_TEST_TMPDIR/urls" >"$BATS_TEST_TMPDIR/out"
  [ "$(grep -c '^up ok 200' "$BATS_TEST_TMPDIR/out")" = 40 ]
}

@test "a process without descriptors tells of itself: nobody is down" {
  got=$(echo "http://127.0.0.1:$PORT/ok" | (exec 3>&- 4>&- 9>&-; ulimit -n 5; exec "$SUTRA_TESTS/probe_all" 400) | cut -d' ' -f1-3)
  [ "$got" = "unknown internal 0" ]
}

@test "sutra status without descriptors: unknown, and exit 6" {
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR
  printf '{"schema":"sutra.deployment/1","runtime":"native","edition":"simple","dimension":256,"services":[%s]}\n' \
    "{\"name\":\"one\",\"group\":\"one\",\"program\":\"sutra-ml-base\",\"address\":\"127.0.0.1:$PORT\",\"health_url\":\"http://127.0.0.1:$PORT/ok\",\"hash\":\"x\",\"depends_on\":[]}" \
    >"$SUTRA_STATE_DIR/deployment.json"
  dir=$SUTRA_STATE_DIR/native/services/one/supervise
  mkdir -p "$dir"
  mkfifo "$dir/control"
  exec 8<>"$dir/control" # as runsv, which holds it
  printf '\x40\0\0\0\x69\0\0\0\0\0\0\0\1\0\0\0\0u\0\1' >"$dir/status"
  out=$(exec 3>&- 4>&- 8>&- 9>&-; ulimit -n 5; sutra status 2>&1) && code=0 || code=$?
  echo "$out"
  exec 8>&-
  [ "$code" = 6 ]
  [[ $out == *"unknown"*"cannot open a socket: Too many open files"* ]]
}
