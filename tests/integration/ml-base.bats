#!/usr/bin/env bats
# sutra-ml-base on the real model: the contract's shapes, bad input, drain, restart in place, no model.
bats_require_minimum_version 1.5.0

load daemon.bash

setup_file() {
  has_model || return 0
  start "$BATS_FILE_TMPDIR/main"
  export URL PID
}

setup() { find_model; }

teardown_file() {
  [ -z "${PID:-}" ] || { kill "$PID" && wait_gone "$PID"; }
}

# start LOG [NAME=VALUE...]: a daemon on a free port; sets URL and PID when it listens.
start() {
  daemon sutra-ml-base "$1" MODEL_PATH="$MODEL" SUTRA_LISTEN_8887=127.0.0.1:0 "${@:2}"
  URL=http://$ADDR
}

# refused STATUS WORD BODY: /embed answers with that status, as an error that says the word.
refused() {
  local got
  got=$(curl -s -m 60 -w '\n%{http_code}' --data-binary "$3" "$URL/embed")
  [[ ${got##*$'\n'} = "$1" && $got == '{"error":{"code":"'*'","message":"'*"$2"*'"hint":"'* ]] || {
    echo "wanted $1 and \"$2\", got: ${got:0:300} for ${3:0:100}"
    return 1
  }
}

@test "embed answers the contract's shape" {
  run -0 curl -sf "$URL/embed" -d '{"texts":["The Eiffel Tower is in Paris","x"],"dimension":64,"extra":[1]}'
  [[ $output == '{"embeddings":[['*']],"dimension":64,"model":"all-minilm-l6-v2","count":2,"tokens":13,"truncated":0,'*'"processing_time_ms":'* ]]
  first=${output#*[[}
  first=${first%%]*}
  awk -v v="$first" 'BEGIN { n = split(v, x, ","); for (i in x) s += x[i] ^ 2; exit !(n == 64 && s > 0.999999 && s < 1.000001) }'
  run -0 curl -sf "$URL/embed" -d '{"text":"The Eiffel Tower is in Paris","dimension":64}'
  [[ $output == '{"embeddings":[['"$first"']],"embedding":['"$first"'],"dimension":64,'* ]]
}

@test "the default dimension is 256, the native one has no layer norm" {
  run -0 curl -sf "$URL/embed" -d '{"texts":["a b c"]}'
  [[ $output == *'"dimension":256'* ]]
  start "$BATS_TEST_TMPDIR/exact" SUTRA_PRECISION=fp32
  run -0 curl -sf "$URL/embed" -d '{"texts":["The Eiffel Tower is in Paris"],"dimension":384}'
  kill "$PID" && wait_gone "$PID"
  [[ $output == '{"embeddings":[[0.0668'*'"dimension":384'* ]]	# as in tests/data/minilm-reference.json
}

@test "normalize false leaves the length alone" {
  run -0 curl -sf "$URL/embed" -d '{"text":"x","dimension":64,"normalize":false}'
  v=${output#*[[}
  awk -v v="${v%%]*}" 'BEGIN { n = split(v, x, ","); for (i in x) s += x[i] ^ 2; exit !(n == 64 && s > 4) }'
}

@test "octet-stream carries the same floats" {
  cd "$BATS_TEST_TMPDIR"
  curl -sf "$URL/embed" -H 'Accept: application/octet-stream' -D headers -o rows \
    -d '{"texts":["The Eiffel Tower is in Paris","x"],"dimension":64}'
  [ "$(stat -c %s rows)" = 512 ]
  grep -qi '^X-Embedding-Shape: 2,64' headers
  grep -qi '^X-Embedding-Tokens: 13' headers
  grep -qi '^X-Embedding-Truncated: 0' headers
  grep -qi '^X-Embedding-Lengths: 10,3' headers
  fingerprint=$(curl -sf "$URL/info" | grep -o '"fingerprint":"[0-9a-f]*"' | cut -d'"' -f4)
  [ "${#fingerprint}" = 32 ]
  grep -qi "^X-Embedding-Fingerprint: $fingerprint" headers
  curl -sf "$URL/embed" -d '{"texts":["The Eiffel Tower is in Paris","x"],"dimension":64}' >json
  sed 's/.*\[\[//; s/\]\].*//; s/\],\[/,/' json | tr , '\n' >from-json
  od -An -v -w4 -t f4 rows >from-rows
  paste from-json from-rows | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-7) bad++ } END { exit !(NR == 128 && !bad) }'
}

@test "a text has one vector alone, in a batch and among others" {
  cd "$BATS_TEST_TMPDIR"
  get() { curl -sf "$URL/embed" -H 'Accept: application/octet-stream' -d "$1"; }
  get '{"texts":["The Eiffel Tower is in Paris"]}' >alone
  pids=
  for i in 1 2 3 4 5 6; do
    get '{"texts":["one","The Eiffel Tower is in Paris","a longer text that stands beside it and is not the same"]}' >"batch$i" &
    pids="$pids $!"
    get '{"texts":["noise '"$i"'"]}' >/dev/null &
    pids="$pids $!"
  done
  for pid in $pids; do wait "$pid"; done
  for i in 1 2 3 4 5 6; do
    cmp alone <(tail -c +1025 "batch$i" | head -c 1024)
  done
}

@test "tokenize gives the reference's ids" {
  run -0 curl -sf "$URL/tokenize" -d '{"texts":["The Eiffel Tower is in Paris","[SEP]"]}'
  [ "$output" = '{"ids":[[101,1996,1041,13355,2884,3578,2003,1999,3000,102],[101,102,102]],"tokens_before_truncation":[10,3],"max_tokens":256}' ]
}

@test "info, health and metrics tell what runs" {
  run -0 curl -sf "$URL/info"
  [[ $output == *'"model":"all-minilm-l6-v2"'*'"native_dimension":384,"allowed_dimensions":[64, 128, 256, 384],"matryoshka_trained":false'*'"precision":"'*'"precision_why":"'*'"cosine_to_fp32":{"min":'*'"max_tokens":256'*'"weights_sha256":"53aa51172d142c89'* ]]
  run -0 curl -sf "$URL/health"
  [[ $output == '{"status":"healthy","service":"ml-base","version":"'*'"uptime_seconds":'* ]]
  run -0 curl -sf "$URL/ping"
  before=$(curl -sf "$URL/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  curl -sf "$URL/embed" -d '{"texts":["a","b","c"]}' >/dev/null
  after=$(curl -sf "$URL/metrics" | sed -n 's/^sutra_ml_texts_total //p')
  [ "$((after - before))" = 3 ]
}

@test "metrics: batches that an idle thread helped with" {
  start "$BATS_TEST_TMPDIR/two" SUTRA_THREADS=2
  counts() { curl -sf "$URL/metrics" | sed -nE 's/^sutra_ml_(batches|helped_batches)_total //p' | paste -sd' '; }
  text=$(printf 'word %.0s' {1..250})
  read -r before helped <<<"$(counts)"
  # A long text at a time: the other thread gets to help with one of them, sooner or later.
  for ((n = 1; n <= 200; n++)); do
    curl -sf -o /dev/null "$URL/embed" -d "{\"text\":\"$text\"}"
    read -r batches after <<<"$(counts)"
    [ "$after" = "$helped" ] || break
  done
  kill "$PID" && wait_gone "$PID"
  [ "$((batches - before))" = "$n" ]
  [ "$((after - helped))" = 1 ]
}

@test "auto is close to fp32 and says why; what it packed is damaged: packed again" {
  cp -rL "$MODEL" "$BATS_TEST_TMPDIR/own"
  rm -f "$BATS_TEST_TMPDIR"/own/packed-*
  run -0 env MODEL_PATH="$BATS_TEST_TMPDIR/own" SUTRA_PRECISION=int8 "$SUTRA_BIN/sutra-ml-base" --pack
  [ "$output" = 'own: int8: it was asked for' ]
  [ -s "$(echo "$BATS_TEST_TMPDIR"/own/packed-int8-*.bin)" ]
  for precision in fp32 auto auto; do
    start "$BATS_TEST_TMPDIR/own-$precision" MODEL_PATH="$BATS_TEST_TMPDIR/own" SUTRA_PRECISION="$precision"
    curl -sf "$URL/info" >"$BATS_TEST_TMPDIR/info"
    curl -sf "$URL/embed" -d '{"text":"The Eiffel Tower is in Paris"}' >>"$BATS_TEST_TMPDIR/vectors"
    kill "$PID" && wait_gone "$PID"
    [ "$precision" = fp32 ] || jq -e '.cosine_to_fp32.min >= 0.995 and (.precision_why | length > 20)' "$BATS_TEST_TMPDIR/info"
    for f in "$BATS_TEST_TMPDIR"/own/packed-*; do printf x | dd of="$f" bs=1 seek=9000 conv=notrunc status=none; done
  done
  jq -se 'map(.embeddings[0]) | .[1] == .[2] and ([.[0], .[1]] | transpose | map(.[0] * .[1]) | add) >= 0.99' "$BATS_TEST_TMPDIR/vectors"
}

@test "the request id comes back" {
  run -0 curl -sf -D - -o /dev/null -H 'X-Request-Id: abc-1' "$URL/embed" -d '{"text":"a"}'
  [[ $output == *'X-Request-Id: abc-1'* ]]
}

@test "malformed bodies are 400" {
  refused 400 'malformed JSON' '{"texts":["a"'
  refused 400 'malformed JSON' ''
  refused 400 'malformed JSON' 'Hello'
  refused 400 'object' '["a"]'
  refused 400 'object' '"a"'
  refused 400 'malformed JSON' $'{"texts":["\xff\xfe"]}'
  refused 400 'malformed JSON' '{"texts":["\ud800"]}'
  refused 400 'malformed JSON' "$(printf '[%.0s' {1..5000})"
}

@test "wrong types are 422 and name field and types" {
  refused 422 'field \"texts\" must be a list of strings, not a string' '{"texts":"a"}'
  refused 422 'field \"texts[1]\" must be a string, not an integer' '{"texts":["a",1]}'
  refused 422 'field \"texts[0]\" must be a string, not null' '{"texts":[null]}'
  refused 422 'field \"text\" must be a string, not an array' '{"text":["a"]}'
  refused 422 'field \"dimension\" must be an integer, not a string' '{"text":"a","dimension":"256"}'
  refused 422 'field \"dimension\" must be an integer, not a number' '{"text":"a","dimension":64.5}'
  refused 422 'field \"normalize\" must be true or false, not an integer' '{"text":"a","normalize":1}'
}

@test "wrong values are 422 and name the limit" {
  refused 422 'field \"texts\" is missing' '{}'
  refused 422 'field \"texts\" is missing' '{"texts":null}'
  refused 422 'empty list' '{"texts":[]}'
  refused 422 'field \"texts[1]\" is an empty text' '{"texts":["a",""]}'
  refused 422 'field \"text\" is an empty text' '{"text":""}'
  refused 422 'exclude' '{"texts":["a"],"text":"a"}'
  for d in 0 -1 1 257 512 1000000000 9223372036854775807; do
    refused 422 "field \\\"dimension\\\" is $d; allowed are 64, 128, 256, 384" "{\"text\":\"a\",\"dimension\":$d}"
  done
  many=$(printf '"a",%.0s' {1..10000})
  refused 422 'holds 10000 texts; the limit is 2048' "{\"texts\":[${many%,}]}"
}

@test "token ids stand for a text, within the vocabulary and the length" {
  texts='"The Eiffel Tower is in Paris","x"'
  ids=$(curl -sf "$URL/tokenize" -d "{\"texts\":[$texts]}" | jq -c '.ids | .[0], "x"' | paste -sd,)
  get() { curl -sf "$URL/embed" -d "{\"texts\":[$1]}" | jq -c '[.embeddings, .tokens]'; }
  [ "$(get "$ids")" = "$(get "$texts")" ]
  refused 422 'texts[1]\" holds 0 token ids; the model takes 1 to 256' '{"texts":["a",[]]}'
  refused 422 'holds 257 token ids' "{\"texts\":[[$(yes 7 | head -n 257 | paste -sd,)]]}"
  refused 422 "texts[0][1] is 30522; the model's vocabulary ends at 30521" '{"texts":[[101,30522]]}'
  refused 422 'texts[0][0] is -1' '{"texts":[[-1]]}'
  refused 422 'texts[0][0] is a string; it must be an integer' '{"texts":[["a"]]}'
}

@test "a NUL in a text is accepted and dropped" {
  run -0 curl -sf "$URL/tokenize" -d '{"text":"hel\u0000lo"}'
  [[ $output == '{"ids":[[101,7592,102]]'* ]]
}

@test "blank texts have a vector" {
  run -0 curl -sf "$URL/embed" -d '{"texts":[" ","\u200b"]}'
  [[ $output == *'"count":2,"tokens":4,'* ]]
}

@test "a text of 10 MB is cut, or refused with both lengths" {
  cd "$BATS_TEST_TMPDIR"
  { printf '{"text":"'; yes 'hello world' | head -c 10000000 | tr '\n' ' '; printf '"}'; } >body
  run -0 curl -sf "$URL/embed" --data-binary @body
  [[ $output == *'"tokens":256,"truncated":1,'* ]]
  curl -sf -D headers -o /dev/null "$URL/embed" --data-binary @body
  grep -qi '^X-Embedding-Lengths: 256t' headers
  sed 's/}$/,"truncate":false}/' body >strict
  run -0 curl -s -w '\n%{http_code}' "$URL/embed" --data-binary @strict
  [ "${lines[-1]}" = 422 ]
  [[ $output == *'has 1666669 tokens; the model takes 256'* ]]
}

@test "a body above 16 MiB is 413" {
  cd "$BATS_TEST_TMPDIR"
  head -c 17000000 /dev/zero | tr '\0' a >body
  run -0 curl -s -o /dev/null -w '%{http_code}' "$URL/embed" --data-binary @body
  [ "$output" = 413 ]
}

@test "a body cut off harms nobody" {
  port=${URL##*:}
  for i in 1 2 3 4 5; do
    exec 7<>"/dev/tcp/127.0.0.1/$port"
    printf 'POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"texts":["a' >&7
    exec 7>&-
  done
  run -0 curl -sf "$URL/embed" -d '{"text":"a"}'
}

@test "other methods and paths are 405 and 404" {
  run -0 curl -s -D - "$URL/embed"
  [[ $output == *' 405 '*'Allow: POST'* ]]
  run -0 curl -s -o /dev/null -w '%{http_code}' "$URL/nothing"
  [ "$output" = 404 ]
}

@test "a full queue is 429 with Retry-After, whole batches are answered or refused" {
  cd "$BATS_TEST_TMPDIR"
  start "$BATS_TEST_TMPDIR/log" MAX_QUEUE=64 INSTANCE_ID=small
  pid=$PID
  body=$(printf '"number %s and a few more words",' {1..60})
  printf '{"texts":[%s]}' "${body%,}" >body
  seq 12 | xargs -P 12 -I{} curl -s -o /dev/null -D headers{} -w '%{http_code}\n' "$URL/embed" --data-binary @body >codes
  kill "$pid"
  wait_gone "$pid"
  [ "$(wc -l <codes)" = 12 ]
  [ "$(sort codes | uniq -c | awk '$2 != 200 && $2 != 429' | wc -l)" = 0 ]
  grep -q 200 codes
  grep -q 429 codes
  grep -l ' 429' headers* | xargs grep -qi 'Retry-After: 1'
}

@test "TERM finishes what is queued, then exits 0" {
  cd "$BATS_TEST_TMPDIR"
  start "$BATS_TEST_TMPDIR/log"
  pid=$PID
  body=$(printf '"number %s and a few more words",' {1..200})
  printf '{"texts":[%s]}' "${body%,}" >body
  curl -s -o answer -w '%{http_code}' "$URL/embed" --data-binary @body >code &
  client=$!
  # under way once its texts are counted in the queue or done
  under_way() { curl -s "$URL/metrics" | grep -qE '^sutra_ml_(queue_texts|texts_total) ([2-9]|[0-9]{2,})'; }
  eventually -p "$pid" under_way
  kill "$pid"
  wait "$client"
  [ "$(cat code)" = 200 ]
  grep -q '"count":200' answer
  wait_gone "$pid"
  rc=0
  wait "$pid" || rc=$?
  [ "$rc" = 0 ]
}

@test "HUP restarts in place: no connection is refused, the pid stays" {
  start "$BATS_TEST_TMPDIR/first" # only to learn a free port: port 0 would not be the same again
  kill "$PID"
  wait_gone "$PID"
  start "$BATS_TEST_TMPDIR/log" SUTRA_LISTEN_8887="${URL#http://}"
  pid=$PID
  kill -HUP "$pid"
  wait_line "$BATS_TEST_TMPDIR/log" restarting "$pid"
  for i in 1 2 3; do
    curl -sf -m 30 "$URL/embed" -d '{"text":"a"}' >/dev/null
  done
  [ "$(grep -c listening "$BATS_TEST_TMPDIR/log")" = 2 ]
  kill "$pid"
  wait_gone "$pid"
}

@test "no model: exit 2 and the three ways to get one" {
  run -2 env MODEL_PATH="$BATS_TEST_TMPDIR/none" "$SUTRA_BIN/sutra-ml-base"
  [ "${#lines[@]}" = 1 ]
  [[ $output == *'sutra model fetch`'*'MODEL_PATH'*'owner/name'* ]]
}

@test "wrong settings: exit 2 with name, value and what is allowed" {
  wrong() { run -2 env MODEL_PATH="$MODEL" "$1" "$SUTRA_BIN/sutra-ml-base" && [[ $output == *"$2"* ]] && [ "${#lines[@]}" = 1 ]; }
  wrong MATRYOSHKA_DIM=257 'MATRYOSHKA_DIM is 257; all-minilm-l6-v2 allows 64, 128, 256, 384'
  wrong MATRYOSHKA_DIM=big 'MATRYOSHKA_DIM is "big"'
  wrong SUTRA_PRECISION=int4 'SUTRA_PRECISION is "int4"; allowed are auto|fp32|bf16|int8'
  wrong SUTRA_MRL=none 'SUTRA_MRL is "none"; allowed are layer_norm|plain'
  wrong SUTRA_THREADS=0 'SUTRA_THREADS is "0"; allowed are whole numbers from 1 to 256'
}

@test "a damaged weight file: exit 2 and its name" {
  cp -rL "$MODEL" "$BATS_TEST_TMPDIR/bad"
  truncate -s -4096 "$BATS_TEST_TMPDIR/bad/model.safetensors"
  run -2 env MODEL_PATH="$BATS_TEST_TMPDIR/bad" "$SUTRA_BIN/sutra-ml-base"
  [[ $output == *'bad/model.safetensors'* ]]
}

@test "the port in use is named" {
  run -1 env MODEL_PATH="$MODEL" SUTRA_LISTEN_8887="${URL#http://}" "$SUTRA_BIN/sutra-ml-base"
  [[ $output == *"${URL##*:}"* ]]
}
