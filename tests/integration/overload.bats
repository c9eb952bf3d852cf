#!/usr/bin/env bats
# sutra-ml-base when more comes than it can compute: refusals, deadlines, clients that leave, liveness.
#
# One inference thread is held by one huge batch, so that what comes meanwhile waits; that it
# still waited is asked of the metrics, not of a clock.
bats_require_minimum_version 1.5.0

load daemon.bash

setup() {
  find_model || return
  cd "$BATS_TEST_TMPDIR" || return
  PIDS=
}

teardown() {
  local p
  for p in $PIDS; do kill "$p" 2>/dev/null && wait_gone "$p"; done
  return 0
}

# replica [NAME=VALUE...]: one thread whose batches have no bound; sets URL.
replica() {
  daemon sutra-ml-base "$BATS_TEST_TMPDIR/log" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0 SUTRA_THREADS=1 \
    SUTRA_PRECISION=fp32 MAX_BATCH_TOKENS=65536 BATCH_SIZE=2048 "$@"
  URL=http://$ADDR
  REPLICA=$PID
  PIDS="$PIDS $PID"
}

# texts N FILE: a request of N texts of eight tokens.
texts() {
  local i
  {
    printf '{"texts":["number 0 of a few more"'
    for ((i = 1; i < $1; i++)); do printf ',"number %d of a few more"' "$i"; done
    printf ']}'
  } >"$2"
}

metric() { curl -sf "$URL/metrics" | sed -n "s/^sutra_ml_$1 //p"; }

# until_metric NAME VALUE; fails when the replica ends
metric_is() { [ "$(metric "$1")" = "$2" ]; }
until_metric() { eventually -p "$REPLICA" metric_is "$@"; }

# hold: a batch that keeps the only thread for seconds; sets HOLDER.
hold() {
  texts 1500 huge
  curl -s -o /dev/null -w '%{http_code}' "$URL/embed" --data-binary @huge >held 3>&- &
  HOLDER=$!
  busy() { metric_is idle_threads 0 && metric_is queue_texts 0; }
  eventually -p "$HOLDER" busy
}

# balance ADDRESS...: the balancer as it is deployed (or as CONF has it), in front of up to three; sets
# BALANCER and STATS.
balance() {
  local conf=${CONF:-$BATS_TEST_DIRNAME/../../compose/haproxy}
  BALANCER=127.0.0.1:$(free_port)
  STATS=127.0.0.1:$(free_port)
  env SUTRA_LISTEN_8887="$BALANCER" SUTRA_LISTEN_9999="$STATS" ML_BASE_1="$1" ML_BASE_2="${2:-127.0.0.1:1}" \
    ML_BASE_3="${3:-127.0.0.1:1}" haproxy -db -f "$conf/common.cfg" -f "$conf/ml-base-lb.cfg" >haproxy.log 2>&1 3>&- &
  PIDS="$PIDS $!"
  eventually -p "${PIDS##* }" curl -sf -o /dev/null "http://$BALANCER/embed" -d '{"text":"there?"}'
}

# held: the batch of hold still runs.
held() { kill -0 "$HOLDER" && [ "$(metric batches_total)" = "$BATCHES" ]; }

@test "past its deadline a request is dropped, and another one computed" {
  replica
  BATCHES=$(metric batches_total)
  hold
  curl -s -w '\n%{http_code}' -H 'X-Request-Timeout: 1' "$URL/embed" -d '{"text":"late"}' >late 3>&- &
  late=$!
  until_metric queue_texts 1
  curl -s -o /dev/null -w '%{http_code}' -H 'X-Request-Timeout: 600000' "$URL/embed" -d '{"text":"patient"}' >patient 3>&- &
  patient=$!
  until_metric queue_texts 2
  held
  wait "$HOLDER" "$late" "$patient"
  [ "$(cat held) $(cat patient)" = "200 200" ]
  [[ $(cat late) == *'"code":"timeout","message":"the deadline passed while 1 of 1 texts waited"'*504 ]]
  [ "$(metric 'dropped_total{reason="deadline"}')" = 1 ]
  [ "$(metric 'dropped_total{reason="gone"}')" = 0 ]
  [ "$(metric requests_total)" = 2 ]
}

@test "what a client that left has asked for is not computed" {
  replica
  BATCHES=$(metric batches_total)
  before=$(metric texts_total)
  hold
  texts 100 many
  curl -s -o /dev/null "$URL/embed" --data-binary @many 3>&- &
  client=$!
  until_metric queue_texts 100
  kill "$client"
  curl -s -o /dev/null -w '%{http_code}' "$URL/embed" -d '{"text":"stays"}' >stays 3>&- &
  stays=$!
  until_metric queue_texts 101
  held
  wait "$HOLDER" "$stays"
  [ "$(cat stays)" = 200 ]
  [ "$(metric 'dropped_total{reason="gone"}')" = 1 ]
  [ "$(($(metric texts_total) - before))" = 1501 ]
}

@test "a balancer passes on that the client left" {
  command -v haproxy >/dev/null || skip "no haproxy"
  replica
  BATCHES=$(metric batches_total)
  balance "${URL#http://}"
  BATCHES=$(metric batches_total)
  hold
  curl -s -o /dev/null "http://$BALANCER/embed" -d '{"text":"leaves"}' 3>&- &
  client=$!
  until_metric queue_texts 1
  kill "$client"
  held
  wait "$HOLDER"
  until_metric queue_texts 0
  [ "$(metric 'dropped_total{reason="gone"}')" = 1 ]
}

@test "the gateway sends its deadline on" {
  replica
  BATCHES=$(metric batches_total)
  daemon sutra-embedding "$BATS_TEST_TMPDIR/gateway.log" ML_BASE_URL="$URL" SUTRA_LISTEN_8888=127.0.0.1:0 \
    SUTRA_CACHE_ENABLED=false
  PIDS="$PIDS $PID"
  gateway=http://$ADDR
  eventually -p "$PID" curl -sf -o /dev/null "$gateway/health"
  curl -sf -o /dev/null -H 'X-Request-Timeout: 60000' "$gateway/embed" -d '{"text":"in time"}'
  BATCHES=$(metric batches_total)
  hold
  for body in '{"text":"late"}' '{"text":"late","normalize":false}'; do
    run -0 curl -s -w '\n%{http_code}' -H 'X-Request-Timeout: 300' "$gateway/embed" -d "$body"
    [ "${lines[-1]}" = 504 ]
  done
  run -0 curl -s -w '\n%{http_code}' -H 'X-Request-Timeout: 300' "$gateway/v1/embeddings" -d '{"input":"late"}'
  [ "${lines[-1]}" = 504 ]
  run -0 curl -sf "$gateway/health"	# a client's haste says nothing about ml-base
  [[ $output == *'"ml_base":"up"'* ]]
  run -0 curl -s -w '\n%{http_code}' -H 'X-Request-Timeout: soon' "$gateway/embed" -d '{"text":"a"}'
  [[ $output == *'X-Request-Timeout is \"soon\"; allowed are 1 to 86400000'*422 ]]
  held
  wait "$HOLDER"
  until_metric queue_texts 0
  # the deadline is over, and the gateway has hung up: the replica finds the one or the other
  [ "$(($(metric 'dropped_total{reason="deadline"}') + $(metric 'dropped_total{reason="gone"}')))" = 3 ]
}

@test "more than MAX_QUEUE is refused whole and at once, and health answers meanwhile" {
  replica MAX_QUEUE=1600
  BATCHES=$(metric batches_total)
  hold
  texts 100 many
  texts 1550 more
  curl -s -o /dev/null -w '%{http_code}' "$URL/embed" --data-binary @many >queued 3>&- &
  queued=$!
  until_metric queue_texts 100
  run -0 curl -s -D headers -w '\n%{http_code}' "$URL/embed" --data-binary @more
  [ "${lines[-1]}" = 429 ]
  [[ $output == *'100 texts are waiting; 1550 more do not fit into MAX_QUEUE, which is 1600'* ]]
  grep -qi "^Retry-After: [1-9]" headers
  for path in health ready ping metrics info; do
    curl -sf -o /dev/null "$URL/$path"
  done
  [ "$(metric queue_texts)" = 100 ]
  held
  wait "$HOLDER" "$queued"
  [ "$(cat held) $(cat queued)" = "200 200" ]
  [ "$(metric busy_total)" = 1 ]
}

@test "what cannot be in time is refused at once when the speed is known" {
  replica MAX_QUEUE_MS=10 MAX_BATCH_TOKENS=16384
  texts 1500 huge
  curl -sf -o /dev/null "$URL/embed" --data-binary @huge
  [ "$(metric tokens_per_second)" -gt 0 ]
  BATCHES=$(metric batches_total)
  hold
  curl -s -o /dev/null "$URL/embed" --data-binary @huge 3>&- &
  queued=$!
  until_metric queue_texts 1500
  run -0 curl -s -w '\n%{http_code}' "$URL/embed" -d '{"text":"a"}'
  held
  [[ $output == *'1500 texts are waiting; the next would wait '*' s, above MAX_QUEUE_MS, which is 10'*429 ]]
  wait "$HOLDER" "$queued"
}

@test "TERM under load: unhealthy, finished, exit 0" {
  replica
  hold
  texts 100 many
  clients='' line=''
  for i in 1 2 3; do
    curl -s -o /dev/null -w '%{http_code}\n' "$URL/embed" --data-binary @many >"answer$i" 3>&- &
    clients="$clients $!"
  done
  until_metric queue_texts 300
  exec 7<>"/dev/tcp/127.0.0.1/${URL##*:}" # accepted before the listening stops
  printf 'GET /ping HTTP/1.1\r\nHost: x\r\n\r\n' >&7
  until [[ $line == *pong* ]]; do read -r line <&7; done
  kill "$REPLICA"
  wait_line "$BATS_TEST_TMPDIR/log" stopping "$REPLICA"
  printf 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&7
  [[ $(cat <&7) == *' 503 '*'"reason":"stopping"'* ]]
  exec 7>&-
  for c in $clients $HOLDER; do wait "$c"; done
  [ "$(cat answer1 answer2 answer3 | sort | uniq -c | tr -s ' ')" = " 3 200" ]
  wait_gone "$REPLICA"
  rc=0
  wait "$REPLICA" || rc=$?
  PIDS=
  [ "$rc" = 0 ]
}

# A deadline of 1 ms is a 504 of the replica's, unless a thread was free.
@test "clients' deadlines and aborts take no replica out of the balancer, and others lose nothing" {
  command -v haproxy >/dev/null || skip "no haproxy"
  replica
  first=${URL#http://}
  replica
  balance "$first" "${URL#http://}"
  downs() { curl -sf "http://$STATS/stats;csv" | awk -F, '$2 == "ml-base-1" || $2 == "ml-base-2" { n += $23; up += $18 == "UP" } END { print up, n }'; }
  both_up() { [ "$(downs)" = "2 0" ]; }
  eventually -p "${PIDS##* }" both_up
  load_until "$BATS_TEST_TMPDIR/stop" "${BALANCER##*:}" 50
  texts 64 many
  for _ in 1 2 3 4; do
    for _ in $(seq 50); do
      printf 'next\nurl = "http://%s/embed"\ndata = "@many"\nheader = "X-Request-Timeout: 1"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\n' "$BALANCER"
      # hangs up in the middle of its body
      printf 'POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{' >"/dev/tcp/${BALANCER/://}"
    done | sed 1d | curl -s -K - >>codes
  done
  sort codes | uniq -c
  grep -q 504 codes
  run -1 grep -v -e 200 -e 504 codes
  [ "$(downs)" = "2 0" ]
  load_failed_none "$BATS_TEST_TMPDIR/stop" || { cat haproxy.log; return 1; }
}

# The limits are a fortieth of what is deployed: no test may open thousands of files.
@test "idle connections to a balancer leave room for other addresses, and for the checks of its health" {
  command -v haproxy >/dev/null || skip "no haproxy"
  CONF=$BATS_TEST_TMPDIR/conf
  cp -r "$BATS_TEST_DIRNAME/../../compose/haproxy" "$CONF"
  sed -i 's/fd-hard-limit 8220/fd-hard-limit 240/' "$CONF/common.cfg"
  sed -i 's/maxconn 4000$/maxconn 100/; s/sc0_conn_cur gt 2000 /sc0_conn_cur gt 50 /' "$CONF"/*.cfg
  [ "$(grep -lE 'maxconn 100$' "$CONF"/*.cfg | wc -l) $(grep -l 'sc0_conn_cur gt 50 ' "$CONF"/*.cfg | wc -l)" = "2 2" ]
  replica
  balance "${URL#http://}"
  python3 - "${BALANCER##*:}" "${STATS##*:}" <<'END'
import socket, sys
balancer, stats = int(sys.argv[1]), int(sys.argv[2])

def connect(source, refused=False):
    s = socket.socket()
    s.settimeout(30)
    s.bind((source, 0))
    try:
        s.connect(("127.0.0.1", balancer))
        assert not refused or s.recv(1) == b""
    except ConnectionResetError:
        assert refused
    return s

def ask(source, port):
    with socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return s.recv(99)[9:12].decode()

first = [connect("127.0.0.2") for _ in range(50)]
for _ in range(40):
    connect("127.0.0.2", refused=True)
assert ask("127.0.0.3", balancer) == "200"
others = [connect(f"127.0.0.{4 + i // 50}") for i in range(100)]
assert ask("127.0.0.3", stats) == "200"
END
}

@test "TERM alone, behind a balancer: requests come until it has noticed, and none fails" {
  command -v haproxy >/dev/null || skip "no haproxy"
  replica
  first=$REPLICA address=${URL#http://}
  replica
  balance "$address" "${URL#http://}"
  load_until "$BATS_TEST_TMPDIR/stop" "${BALANCER##*:}"
  is() { [ "$(curl -sf "http://$STATS/stats;csv" | awk -F, -v s="$1" '$2 == s { print $18 }')" = "$2" ]; }
  for _ in 1 2 3; do
    kill "$first"
    wait "$first"
    eventually -p "$LOAD" is ml-base-1 DOWN
    replica SUTRA_LISTEN_8887="$address"
    first=$REPLICA
    eventually -p "$LOAD" is ml-base-1 UP
  done
  load_failed_none "$BATS_TEST_TMPDIR/stop" || { cat haproxy.log; return 1; }
}

@test "the stages' times are the requests' time" {
  replica MAX_BATCH_TOKENS=512
  texts 120 many
  seq 8 | xargs -P 8 -I{} curl -sf -o /dev/null "$URL/embed" --data-binary @many
  for i in 1 2 3 4 5 6 7 8 9 10; do
    curl -sf -D headers -o /dev/null "$URL/embed" -d "{\"text\":\"number $i\"}"
  done
  grep -qE '^Server-Timing: receive;dur=[0-9.]+, parse;dur=[0-9.]+, tokenizer;dur=[0-9.]+, queue;dur=[0-9.]+, encoder;dur=[0-9.]+, pooling;dur=[0-9.]+' headers
  curl -sf "$URL/metrics" >metrics
  [ "$(grep -c '^sutra_ml_stage_seconds_total{stage="' metrics)" = 7 ]
  awk '/^sutra_ml_stage_seconds_total/ { sum += $2; zero += $2 == 0 }
    /^sutra_ml_request_seconds_total/ { all = $2 }
    END { print sum, all, zero; exit !(all > 0 && !zero && sum > all * 0.95 && sum < all * 1.05) }' metrics
  grep -q '^sutra_ml_batch_room_tokens_total [1-9]' metrics
}

@test "threads: the cores by the replicas, pinned to their own when asked" {
  cores=$(nproc)
  for replicas in 1 2 3; do
    daemon sutra-ml-base "$BATS_TEST_TMPDIR/log" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0 \
      SUTRA_REPLICAS=$replicas SUTRA_PIN=true INSTANCE_ID=$replicas
    PIDS=$PID
    want=$(((cores + replicas - 1) / replicas))
    [ "$(curl -sf "http://$ADDR/info" | jq -c '[.threads, .pinned]')" = "[$want,true]" ]
    [ "$(for t in /proc/"$PID"/task/*; do [ "$(cut -d' ' -f19 "$t/stat")" = 0 ] || sed -n 's/^Cpus_allowed_list:\t//p' "$t/status"; done |
      grep -cx '[0-9]*')" = "$want" ]
    kill "$PID" && wait_gone "$PID"
  done
}

# FLOOD_REQUESTS=1000000 for the long run.
@test "resident memory is flat over requests of mixed lengths" {
  daemon sutra-ml-base "$BATS_TEST_TMPDIR/log" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0
  PIDS=$PID
  resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$PID/status"; }
  "$SUTRA_TESTS/flood" "${ADDR##*:}" 400 - mixed 20 >warm
  before=$(resident)
  run -0 "$SUTRA_TESTS/flood" "${ADDR##*:}" "${FLOOD_REQUESTS:-600}" - mixed 20
  after=$(resident)
  echo "$output; resident $before, then $after kB"
  [[ $output == *" ok ${FLOOD_REQUESTS:-600} refused 0 failed 0 "* ]]
  [ "$((after - before))" -le 4096 ]
}
