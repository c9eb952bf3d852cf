#!/usr/bin/env bats
# sutra-embedding between the real model and a real cache shard: where answers come from, bad
# input, slow and vanishing clients, neighbours that die.
bats_require_minimum_version 1.5.0
load daemon.bash

PARIS='{"texts":["The Eiffel Tower is in Paris"]}'

setup_file() {
  has_model || return 0
  daemon sutra-ml-base "$BATS_FILE_TMPDIR/ml" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0
  export ML_PID=$PID ML=http://$ADDR
}

teardown_file() {
  [ -z "${ML_PID:-}" ] || { kill "$ML_PID" && wait_gone "$ML_PID"; }
}

# Every test has its own shard and gateway, so that one may break them.
setup() {
  find_model
  LOG=$BATS_TEST_TMPDIR/gateway SHARD_LOG=$BATS_TEST_TMPDIR/shard SHARD=127.0.0.1:$(free_port) PID=''
  start_shard
  start_gateway
}

teardown() {
  local pid
  for pid in $PID $SHARD_PID ${BALANCER_PID:-}; do
    kill -9 "$pid" 2>/dev/null && wait_gone "$pid"
  done
  [ -z "${MOUNT:-}" ] || umount "$MOUNT"
  ! grep -hE 'runtime error|Sanitizer' "$LOG" "$SHARD_LOG"
}

start_shard() {
  daemon sutra-storage "$SHARD_LOG" SUTRA_ROLE=cache_shard STORAGE_PATH="$BATS_TEST_TMPDIR/data" \
    SUTRA_LISTEN_50052="$SHARD"
  SHARD_PID=$PID
}

# start_gateway [NAME=VALUE...]: sets PID and URL.
start_gateway() {
  daemon sutra-embedding "$LOG" ML_BASE_URL="$ML" CACHE_SHARD_HOST=127.0.0.1 CACHE_SHARD_PORT="${SHARD##*:}" \
    CACHE_TIMEOUT_MS=60000 SUTRA_LISTEN_8888="127.0.0.1:$(free_port)" "$@"
  URL=http://$ADDR
}

# embed BODY: as long as a busy machine takes; the gateway's own time limit is 10 s.
embed() { curl -sf -H 'X-Request-Timeout: 600000' "$URL/embed" -d "$1"; }
source_of() { embed "$1" | jq -r '"\(.cache.l1) \(.cache.l2) \(.cache.miss)"'; }
stat_of() { curl -sf "$URL/cache/stats" | jq -r "$1"; }

# until_stat EXPRESSION: until /cache/stats makes it true.
stat_is() { [ "$(stat_of "$1")" = true ]; }
until_stat() { eventually -p "$PID" stat_is "$1"; }
cache_up() { curl -sf "$URL/health" | grep -q '"cache":"up"'; }

# refused PATH STATUS WORD BODY-FILE-OR-TEXT: an error in the contract's shape that says the word.
refused() {
  local got
  got=$(curl -s -w '\n%{http_code}' --data-binary "$4" "$URL$1")
  [[ ${got##*$'\n'} = "$2" && ${got%$'\n'*} == '{"error":{'*"$3"* ]] || {
    echo "wanted $2 and \"$3\", got: ${got:0:300} for ${4:0:100}"
    return 1
  }
}

@test "a new text is computed, then comes from L1, after a restart from L2, after kill -9 of the shard too" {
  first=$(embed "$PARIS" | jq -c .embeddings)
  [ "$(jq '.[0] | length' <<<"$first")" = 256 ]
  jq -e '.[0] | map(. * .) | add | . > 0.99999 and . < 1.00001' <<<"$first"
  run -0 embed "$PARIS"
  [[ $output == *'"cached":[true],"cache":{"l1":1,"l2":0,"miss":0}'* ]]
  [ "$(jq -c .embeddings <<<"$output")" = "$first" ]
  kill -HUP "$PID"
  wait_line "$LOG" restarting "$PID"
  run -0 embed "$PARIS"
  [[ $output == *'"cached":[true],"cache":{"l1":0,"l2":1,"miss":0}'* ]]
  [ "$(jq -c .embeddings <<<"$output")" = "$first" ]
  curl -sf "$URL/metrics" | grep -q '^sutra_gateway_requests_total 1$' # another process, the same pid
  kill -9 "$SHARD_PID"
  wait_gone "$SHARD_PID"
  local gateway=$PID
  start_shard
  PID=$gateway
  kill -HUP "$PID"
  eventually -p "$PID" cache_up
  run -0 embed "$PARIS"
  [[ $output == *'"cache":{"l1":0,"l2":1,"miss":0}'* ]]
  [ "$(jq -c .embeddings <<<"$output")" = "$first" ]
}

@test "a batch asks for what is missing only, and computes an equal text once" {
  embed '{"texts":["one"]}' >/dev/null
  curl -sf "$URL/metrics" | metrics_are_well_formed
  curl -sf "$ML/metrics" | metrics_are_well_formed
  before=$(curl -sf "$ML/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  run -0 embed '{"texts":["one","two","two","three"]}'
  [[ $output == *'"cached":[true,false,false,false]'* ]]
  after=$(curl -sf "$ML/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  [ $((after - before)) = 2 ]
  jq -e '.embeddings | .[1] == .[2] and .[1] != .[3]' <<<"$output"
}

@test "more texts than one GetConcepts takes come from L2 all the same" {
  texts=$(seq 1500 | sed 's/.*/"number &"/' | paste -sd,)
  while read -r some; do # so that no request takes long
    run -0 embed "{\"texts\":[$some]}"
    jq -e '.cache.miss == 100' <<<"$output"
  done < <(seq 1500 | sed 's/.*/"number &"/' | xargs -d '\n' -n 100 | sed 's/" "/","/g')
  until_stat '.l2.writes == 1500'
  kill -HUP "$PID"
  wait_line "$LOG" restarting "$PID"
  run -0 embed "{\"texts\":[$texts]}"
  jq -e '.cache == {"l1": 0, "l2": 1500, "miss": 0}' <<<"$output"
}

@test "twenty callers of one new text cause one inference" {
  before=$(curl -sf "$ML/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  long=$(yes 'a long text that takes a while' | head -n 60 | paste -sd' ')
  seq 20 | xargs -P 20 -I{} curl -sf -H 'X-Request-Timeout: 600000' -o /dev/null "$URL/embed" -d "{\"text\":\"$long\"}"
  after=$(curl -sf "$ML/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  [ $((after - before)) = 1 ]
}

@test "clear empties both levels, by GET, POST and DELETE" {
  for how in "GET /cache/clear" "POST /cache/clear" "DELETE /cache"; do
    embed '{"texts":["a","b"]}' >/dev/null
    until_stat '.l2.writes % 2 == 0 and .l2.writes > 0 and .l2.size == 2'
    run -0 curl -sf -X "${how% *}" "$URL${how#* }"
    [ "$output" = '{"cleared":true,"l1":2,"l2":2}' ]
    [ "$(source_of '{"texts":["a","b"]}')" = "0 0 2" ]
    curl -sf "$URL/cache/clear" >/dev/null
  done
}

@test "one stored vector serves the smaller dimensions: what ml-base itself answers" {
  embed "$PARIS" >/dev/null
  for d in 64 128; do
    run -0 embed "{\"text\":\"The Eiffel Tower is in Paris\",\"dimension\":$d}"
    [[ $output == *'"cache":{"l1":1,"l2":0,"miss":0}'* ]]
    curl -sf "$ML/embed" -d "{\"text\":\"The Eiffel Tower is in Paris\",\"dimension\":$d}" >"$BATS_TEST_TMPDIR/ml$d"
    jq -e --argjson d "$d" --slurpfile ml "$BATS_TEST_TMPDIR/ml$d" '.embedding as $a | $ml[0].embedding as $b |
      ($a | length) == $d and all(range($d); ($a[.] - $b[.]) | . < 1e-6 and . > -1e-6)' <<<"$output"
  done
}

@test "at the native dimension a smaller one has its layer norm" {
  kill "$PID" && wait_gone "$PID"
  start_gateway MATRYOSHKA_DIM=384
  embed "$PARIS" >/dev/null
  got=$(embed '{"text":"The Eiffel Tower is in Paris","dimension":256}')
  jq -e '.cache.l1 == 1' <<<"$got"
  curl -sf "$ML/embed" -d '{"text":"The Eiffel Tower is in Paris","dimension":256}' >"$BATS_TEST_TMPDIR/ml"
  jq -e --slurpfile ml "$BATS_TEST_TMPDIR/ml" '.embedding as $a | $ml[0].embedding as $b |
    all(range(256); ($a[.] - $b[.]) | . < 1e-6 and . > -1e-6)' <<<"$got"
}

@test "normalize false goes past the cache" {
  embed "$PARIS" >/dev/null
  run -0 embed '{"text":"The Eiffel Tower is in Paris","normalize":false}'
  jq -e '.embedding | map(. * .) | add > 2' <<<"$output"
  curl -sf "$URL/metrics" | grep -q '^sutra_gateway_bypassed_total 1$'
}

@test "malformed bodies are 400" {
  for path in /embed /v1/embeddings /cache/warm; do
    refused "$path" 400 'malformed JSON' '{"texts":["a"'
    refused "$path" 400 'malformed JSON' $'{"texts":["\xff\xfe"],"input":"\xff"}'
    refused "$path" 400 'must be a JSON object' '[1]'
  done
  refused /embed 400 'malformed JSON' ''
  refused /embed 400 'malformed JSON' "$(printf '[%.0s' {1..5000})"
}

@test "wrong values are 422 and name the field and the limit" {
  refused /embed 422 'must be a list of strings, not a string' '{"texts":"a"}'
  refused /embed 422 'texts[1]\" must be a string, not an integer' '{"texts":["a",1]}'
  refused /embed 422 'must be a string, not an array' '{"texts":[[101]]}'
  refused /embed 422 'empty list' '{"texts":[]}'
  refused /embed 422 'texts[0]\" is an empty text' '{"texts":[""]}'
  for d in 0 -1 257 384 1000000000; do
    refused /embed 422 "\\\"dimension\\\" is $d; allowed are 64, 128, 256" "{\"text\":\"a\",\"dimension\":$d}"
  done
  refused /embed 422 'must be an integer, not a string' '{"text":"a","dimension":"256"}'
  many=$(printf '"a",%.0s' {1..10000})
  refused /embed 422 'holds 10000 texts; the limit is 2048' "{\"texts\":[${many%,}]}"
  refused /cache/invalidate 422 'missing' '{}'
  [ "$(stat_of .total.misses)" = 0 ]
}

@test "unknown fields are ignored, NUL characters and 10 MB are taken, 17 MB is 413" {
  cd "$BATS_TEST_TMPDIR"
  run -0 embed '{"texts":["a"],"colour":"red","nested":{"x":[1]}}'
  run -0 embed '{"texts":["hel\u0000lo","hello"]}'
  jq -e '.embeddings | .[0] == .[1]' <<<"$output"
  [ "$(source_of '{"texts":["hel\u0000lo"]}')" = "1 0 0" ]
  { printf '{"text":"'; yes 'hello world' | head -c 10000000 | tr '\n' ' '; printf '"}'; } >body
  run -0 curl -sf "$URL/embed" --data-binary @body
  [[ $output == *'"tokens":256,"truncated":1,'* ]]
  run -0 curl -sf "$URL/embed" --data-binary @body
  [[ $output == *'"truncated":1,"cached":[true]'* ]]
  head -c 17000000 /dev/zero | tr '\0' a >body
  refused /embed 413 'at most 16777216 are taken' @body
}

@test "methods, paths and types: 405 with Allow, 404, 415; the request id comes back" {
  run -0 curl -s -D - "$URL/embed"
  [[ $output == *' 405 '*'Allow: POST'* ]]
  run -0 curl -s -o /dev/null -w '%{http_code}' "$URL/nothing"
  [ "$output" = 404 ]
  run -0 curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: image/png' -d x "$URL/embed"
  [ "$output" = 415 ]
  run -0 curl -s -D - -o /dev/null -H 'X-Request-Id: mine-7' -d '{"text":"a"}' "$URL/embed"
  [[ $output == *'X-Request-Id: mine-7'* ]]
}

@test "two lengths of one body are refused, and the connection closed" {
  for headers in 'Content-Length: 14\r\nContent-Length: 0' 'Content-Length: 14\r\nTransfer-Encoding: chunked'; do
    exec 7<>"/dev/tcp/127.0.0.1/${URL##*:}"
    printf "POST /embed HTTP/1.1\r\nHost: x\r\n$headers\r\n\r\n"'{"text":"abc"}' >&7
    answer=$(timeout 10 cat <&7 || true)
    exec 7>&-
    [[ $answer == *' 400 '*'more than one length'* ]]
  done
}

@test "a client that sends its body a byte at a time holds nobody up, and is answered" {
  exec 7<>"/dev/tcp/127.0.0.1/${URL##*:}"
  body='{"text":"slow"}'
  printf 'POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' ${#body} >&7
  for ((i = 0; i < ${#body}; i++)); do
    printf %s "${body:i:1}" >&7
    embed '{"text":"between"}' >/dev/null
  done
  read -r -t 30 status <&7
  [[ $status == *' 200 '* ]]
  exec 7>&-
}

@test "a body cut off harms nobody" {
  for _ in 1 2 3 4 5; do
    exec 7<>"/dev/tcp/127.0.0.1/${URL##*:}"
    printf 'POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"texts":["a' >&7
    exec 7>&-
  done
  embed "$PARIS" >/dev/null
  curl -sf "$URL/metrics" | grep -q '^sutra_gateway_errors_total 0$'
}

@test "5,000 open connections, and the next request is answered" {
  ulimit -n 6000 || skip "cannot open 6,000 files"
  python3 - "${URL##*:}" <<'PYTHON'
import json, socket, sys, urllib.request
port = int(sys.argv[1])
held = [socket.create_connection(("127.0.0.1", port)) for _ in range(5000)]
for s in held[::2]:  # half of them in the middle of a request
    s.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
request = urllib.request.Request("http://127.0.0.1:%d/embed" % port, b'{"text":"one more"}')
assert json.load(urllib.request.urlopen(request, timeout=30))["count"] == 1
held[1].sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
assert b" 200 " in held[1].recv(100)
PYTHON
}

@test "without the shard answers go on, and health says so" {
  embed "$PARIS" >/dev/null
  kill -9 "$SHARD_PID"
  wait_gone "$SHARD_PID"
  [ "$(source_of '{"texts":["new without a shard"]}')" = "0 0 1" ]
  [ "$(source_of "$PARIS")" = "1 0 0" ]
  run -0 curl -sf "$URL/health"
  [[ $output == *'"status":"healthy"'*'"cache":"down: answers go on without L2"'* ]]
  [ "$(stat_of '.l2.errors > 0')" = true ]
  run -0 curl -s -w '\n%{http_code}' "$URL/cache/clear"
  [[ ${lines[-1]} = 503 && $output == *'"cleared":false'*'"code":"'*'L1 was emptied of 2 entries; the cache shard did not clear'*'"hint":"'* ]]
  embed "$PARIS" >/dev/null
  run -0 curl -s -D - "$URL/cache/invalidate" -d '{"text":"The Eiffel Tower is in Paris"}'
  [[ $output == *' 503 '*'Retry-After: 1'*'"invalidated":1,"error":{"code":"'*'removed from L1; the cache shard did not remove it'* ]]
  run -6 sutra cache invalidate --url "$URL" "nobody has it"
  [[ $output == *'L1 did not hold the text; the cache shard did not remove it'* ]]
}

@test "a full disk under the shard: answers go on, health and status say so, space mends it" {
  kill "$SHARD_PID" && wait_gone "$SHARD_PID"
  mkdir -p "$BATS_TEST_TMPDIR/data"
  mount -t tmpfs -o size=1m sutra-test "$BATS_TEST_TMPDIR/data" 2>/dev/null || skip "no right to mount a tmpfs"
  MOUNT=$BATS_TEST_TMPDIR/data
  local gateway=$PID
  start_shard
  PID=$gateway
  eventually -p "$PID" cache_up
  embed '{"text":"early"}' >/dev/null
  until_stat '.l2.writes == 1'
  head -c 2000000 /dev/zero >"$MOUNT/fill" || true
  for i in $(seq 40); do texts="${texts:-}\"text $i\","; done
  embed "{\"texts\":[${texts%,}]}" | jq -e '.count == 40'
  until_stat '.l2.write_errors > 0'
  run -0 curl -sf "$URL/health"
  [[ $output == *'"cache":"up, but refuses writes'* ]]
  run -0 "$SUTRA_TESTS/probe_all" 1000 <<<"http://$SHARD/health"
  [[ $output == degraded* ]]
  rm "$MOUNT/fill"
  written() { embed "{\"text\":\"later $((i++))\"}" >/dev/null && cache_up; }
  eventually -p "$PID" written
}

@test "a frozen shard costs its time limit, not the answer" {
  kill "$PID" && wait_gone "$PID"
  start_gateway CACHE_TIMEOUT_MS=50
  kill -STOP "$SHARD_PID"
  [ "$(source_of '{"texts":["shard frozen"]}')" = "0 0 1" ]
  kill -CONT "$SHARD_PID"
  [ "$(stat_of '.l2.errors > 0')" = true ]
  eventually -p "$PID" cache_up
}

@test "without ml-base what is cached is served, the rest is 503 with Retry-After" {
  kill "$PID" && wait_gone "$PID"
  daemon sutra-ml-base "$BATS_TEST_TMPDIR/ml" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0
  local ml=$PID
  ML=http://$ADDR start_gateway
  embed "$PARIS" >/dev/null
  kill "$ml" && wait_gone "$ml"
  [ "$(source_of "$PARIS")" = "1 0 0" ]
  local ample='X-Request-Timeout: 600000' # who waited for it would not end within the test's limit
  curl -s -H "$ample" -o "$BATS_TEST_TMPDIR/openai" "$URL/v1/embeddings" -d '{"input":"cannot be computed either"}' &
  run -0 curl -s -H "$ample" -D - "$URL/embed" -d '{"text":"cannot be computed"}' # refused
  [[ $output == *' 503 '*'Retry-After: '*'"error":{"code":"unavailable","message":"ml-base cannot be reached'* ]]
  wait "$!"
  grep -q '"type":"server_error"' "$BATS_TEST_TMPDIR/openai"
  for i in 1 2 3; do # known to be gone: no window for each; 400 wait together without one being late
    run -0 curl -s -H "$ample" -o /dev/null -w '%{http_code}' "$URL/embed" -d "{\"text\":\"nor $i\"}"
    [ "$output" = 503 ]
  done
  curl -s -H "$ample" -Z --parallel-max 100 -o /dev/null -w '%{http_code}\n' -d '{"text":"nor one of many"}' "$URL/embed?[1-400]" >"$BATS_TEST_TMPDIR/many"
  [ "$(sort "$BATS_TEST_TMPDIR/many" | uniq -c | tr -s ' ')" = " 400 503" ]
}

# balancer PORT: a HAProxy in front of ml-base; sets BALANCER_PID when it takes requests.
balancer() {
  printf '%s\n' 'defaults' ' mode http' ' timeout connect 1s' ' timeout client 60s' ' timeout server 60s' \
    "listen ml-base" " bind 127.0.0.1:$1" " server one ${ML#http://}" >"$BATS_TEST_TMPDIR/haproxy.cfg"
  haproxy -db -f "$BATS_TEST_TMPDIR/haproxy.cfg" >/dev/null 2>&1 3>&- &
  BALANCER_PID=$!
  curl -s -o /dev/null --retry 200 --retry-connrefused --retry-delay 0 --retry-max-time 20 "http://127.0.0.1:$1/ping"
}

# away ROUND: the balancer is gone while 20 requests come; their codes into the file codes. Says no when
# the machine took longer to bring it back than the 2 s that the gateway tries again.
away() {
  local i began back requests asked
  for i in $(seq 20); do
    printf '%s\n' next "url = $URL/embed" "data = \"{\\\"text\\\":\\\"meanwhile $1 $i\\\"}\"" 'output = /dev/null' 'write-out = "%{http_code}\n"'
  done >"$BATS_TEST_TMPDIR/requests"
  asked=$(stat_of .l2.misses)
  began=${EPOCHREALTIME/./}
  kill -9 "$BALANCER_PID" && wait_gone "$BALANCER_PID"
  curl -s -Z --parallel-max 20 --parallel-immediate -K "$BATS_TEST_TMPDIR/requests" >"$BATS_TEST_TMPDIR/codes" &
  requests=$!
  until_stat ".l2.misses == $((asked + 20))" # next they ask who is away
  balancer "$port"
  back=${EPOCHREALTIME/./}
  wait "$requests"
  [ $((back - began)) -lt 1900000 ]
}

@test "a balancer that is away for a moment, twice: no request fails" {
  kill "$PID" && wait_gone "$PID"
  local port round try
  port=$(free_port)
  balancer "$port"
  ML=http://127.0.0.1:$port start_gateway
  for round in 1 2; do # the window is whole again the second time
    for ((try = 0; try < 20; try++)); do
      ! away "$round.$try" || break
    done
    [ "$try" -lt 20 ] || skip "the machine does not bring a balancer back within 1.9 s"
    [ "$(sort "$BATS_TEST_TMPDIR/codes" | uniq -c | tr -s ' ')" = " 20 200" ]
  done
}

@test "a gateway that never met ml-base listens, is unhealthy, and says why" {
  kill "$PID" && wait_gone "$PID"
  ML=http://127.0.0.1:1 start_gateway
  run -0 curl -s -w '\n%{http_code}' "$URL/health"
  [[ ${lines[-1]} = 503 && $output == *'"reason":"starting: the model of ml-base is not known yet"'* ]]
  refused /embed 503 'the model is not known yet' '{"text":"a"}'
}

@test "TERM: exit 0, and what was written is in the shard's log" {
  embed '{"texts":["a","b","c"]}' >/dev/null
  kill "$PID"
  wait "$PID"
  PID=''
  kill -9 "$SHARD_PID"
  wait_gone "$SHARD_PID"
  start_shard
  start_gateway
  [ "$(source_of '{"texts":["a","b","c"]}')" = "0 3 0" ]
}

@test "USR1: /ready turns 404, requests are answered on" {
  [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/ready")" = 200 ]
  kill -USR1 "$PID"
  not_ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/ready")" = 404 ]; }
  eventually -p "$PID" not_ready
  embed "$PARIS" | jq -e '.embeddings[0] | length == 256'
  curl -sf -D "$BATS_TEST_TMPDIR/headers" "$URL/health"
  grep -qi "^Connection: close" "$BATS_TEST_TMPDIR/headers" # who keeps a connection goes elsewhere
}

@test "ML_BASE_TIMEOUT ends the wait for a frozen ml-base; a longer one is waited for" {
  local first=$PID url client answer=$BATS_TEST_TMPDIR/answer
  kill "$first" && wait_gone "$first"
  start_gateway ML_BASE_TIMEOUT=600.5
  first=$PID url=$URL
  LOG=$LOG.short start_gateway ML_BASE_TIMEOUT=1.5
  kill -STOP "$ML_PID"
  curl -s -o /dev/null -w '%{http_code}' "$url/embed" -d '{"texts":["patient"]}' >"$answer" 3>&- &
  client=$!
  run -0 curl -s -o /dev/null -w '%{http_code}' "$URL/embed" -d '{"texts":["hasty"]}'
  kill -CONT "$ML_PID"
  wait "$client"
  kill "$first" && wait_gone "$first"
  [ "$output" = 504 ]
  [ "$(cat "$answer")" = 200 ]
}

@test "PORT and the original platform's names of the cache are taken" {
  local port
  port=$(free_port)
  kill "$PID" && wait_gone "$PID"
  daemon sutra-embedding "$LOG" ML_BASE_URL="$ML" SUTRA_CACHE_HOST=127.0.0.1 SUTRA_CACHE_PORT="${SHARD##*:}" \
    SUTRA_CACHE_TTL=60 EMBEDDING_CACHE_SIZE=7 CACHE_TIMEOUT_MS=60000 PORT="$port"
  [ "$ADDR" = "127.0.0.1:$port" ]
  URL=http://$ADDR
  embed "$PARIS" >/dev/null
  until_stat '.l2.size == 1'
  [ "$(stat_of .l1.max_size)" = 7 ]
  kill "$PID" && wait_gone "$PID"
  daemon sutra-embedding "$LOG" ML_BASE_URL="$ML" PORT=1 EMBEDDING_PORT="$port"
  [ "$ADDR" = "127.0.0.1:$port" ]
  grep 'used=EMBEDDING_PORT ignored=PORT' "$LOG"
}

@test "wrong settings: exit 2 with name, value and what is allowed" {
  wrong() { run -2 env "$1" "$SUTRA_BIN/sutra-embedding" && [[ $output == *"$2"* ]] && [ "${#lines[@]}" = 1 ]; }
  wrong MATRYOSHKA_DIM=0 'MATRYOSHKA_DIM is "0"'
  wrong CACHE_TIMEOUT_MS=soon 'CACHE_TIMEOUT_MS is "soon"'
  wrong L1_CACHE_SIZE=0 'L1_CACHE_SIZE is "0"; allowed are whole numbers from 1 to 10000000'
  wrong SUTRA_TENANTS_FILE=/x 'tenants are not in this version'
  run -2 env ML_BASE_URL="$ML" MATRYOSHKA_DIM=100 SUTRA_LISTEN_8888=127.0.0.1:0 "$SUTRA_BIN/sutra-embedding"
  [[ $output == *'MATRYOSHKA_DIM is 100; the model all-minilm-l6-v2 allows 64, 128, 256, 384'* ]]
}

@test "warm and invalidate" {
  run -0 curl -sf "$URL/cache/warm" -d '{"texts":["w1","w2"]}'
  [ "$output" = '{"warmed":2,"computed":2}' ]
  run -0 curl -sf "$URL/cache/warm" -H 'Content-Type: application/x-ndjson' --data-binary $'"w2"\n\n{"text":"w3"}\n'
  [ "$output" = '{"warmed":2,"computed":1}' ]
  [ "$(source_of '{"texts":["w1","w2","w3"]}')" = "3 0 0" ]
  until_stat '.l2.size == 3'
  run -0 curl -sf "$URL/cache/invalidate" -d '{"text":"w1"}'
  [ "$output" = '{"invalidated":1}' ]
  [ "$(source_of '{"texts":["w1","w2"]}')" = "1 0 1" ]
  # a file as an editor of another system writes it
  printf '\357\273\277w4\r\n\r\nw5' >"$BATS_TEST_TMPDIR/texts"
  run -0 sutra cache warm --url "$URL" "$BATS_TEST_TMPDIR/texts"
  run -0 curl -sf "$URL/cache/warm" -d '{"texts":["w4","w5"]}'
  [ "$output" = '{"warmed":2,"computed":0}' ]
}

@test "OpenAI's shape: lists, token ids, dimensions, base64, usage, errors" {
  run -0 curl -sf "$URL/v1/embeddings" -d '{"input":["The Eiffel Tower is in Paris","x"],"model":"any","dimensions":64}'
  jq -e '.object == "list" and (.data | length) == 2 and (.data[1] | .index == 1 and .object == "embedding" and
    (.embedding | length) == 64) and .usage == {"prompt_tokens": 13, "total_tokens": 13}' <<<"$output"
  ids=$(curl -sf "$ML/tokenize" -d "$PARIS" | jq -c '.ids[0]')
  text=$(curl -sf "$URL/v1/embeddings" -d '{"input":"The Eiffel Tower is in Paris"}' | jq -c .data)
  [ "$(curl -sf "$URL/v1/embeddings" -d "{\"input\":$ids}" | jq -c .data)" = "$text" ]
  run -0 curl -sf "$URL/v1/embeddings" -d "{\"input\":[$ids,\"x\",[101,1060,102]]}"
  jq -e --argjson text "$text" '.data[0].embedding == $text[0].embedding and .data[1].embedding == .data[2].embedding' <<<"$output"
  [ "$(stat_of .l1.hits)" -ge 3 ] # ids are cached as texts are
  refused /v1/embeddings 400 'input[0] is 30522' '{"input":[30522]}'
  refused /v1/embeddings 400 '"param":"input"' '{"input":[["a"]]}'
  refused /v1/embeddings 400 '"param":"dimensions"' '{"input":"a","dimensions":7}'
  refused /v1/embeddings 400 '"param":"encoding_format"' '{"input":"a","encoding_format":"hex"}'
  [ "$(curl -sf "$URL/v1/models/all-minilm-l6-v2" | jq -r .id)" = all-minilm-l6-v2 ]
  run -0 curl -s -w '\n%{http_code}' "$URL/v1/models/a%2Fb"
  [[ $output == *'the model \"a/b\" is not served here'*'"type":"invalid_request_error"'*404 ]]
}

@test "the official openai client" {
  local venv=$BATS_FILE_TMPDIR/venv
  { python3 -m venv "$venv" && "$venv/bin/pip" install -q openai; } >"$BATS_TEST_TMPDIR/pip" 2>&1 || {
    cat "$BATS_TEST_TMPDIR/pip"
    skip "openai cannot be installed"
  }
  "$venv/bin/python" - "$URL/v1" <<'PYTHON'
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none")
texts = ["The Eiffel Tower is in Paris", "x"]
answer = client.embeddings.create(model="any", input=texts)
assert [len(d.embedding) for d in answer.data] == [256, 256] and answer.usage.total_tokens == 13
floats = client.embeddings.create(model="any", input=texts, encoding_format="float")
for a, b in zip(answer.data, floats.data):  # the client's own default is base64
    assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-6
assert len(client.embeddings.create(model="any", input="x", dimensions=128).data[0].embedding) == 128
ids = [101, 1996, 1041, 13355, 2884, 3578, 2003, 1999, 3000, 102]
assert client.embeddings.create(model="any", input=[ids]).data[0].embedding == answer.data[0].embedding
try:
    client.embeddings.create(model="any", input="x", dimensions=7)
    raise SystemExit("dimensions=7 was taken")
except openai.BadRequestError as e:
    assert e.param == "dimensions", e
assert client.models.list().data[0].id == "all-minilm-l6-v2"
assert client.models.retrieve("all-minilm-l6-v2").id == "all-minilm-l6-v2"
try:
    client.models.retrieve("org/another é")
    raise SystemExit("another model was found")
except openai.NotFoundError as e:
    assert "org/another é" in e.message and e.code == "not_found", e
PYTHON
}
