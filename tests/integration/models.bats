#!/usr/bin/env bats
# sutra-embedding before a model that changes, and before replicas that differ: no text is answered with
# another model's vector, by any level of the cache. The models are models.py's.
bats_require_minimum_version 1.5.0
load daemon.bash

setup() {
  MODELS=$BATS_TEST_TMPDIR/models SHARD=127.0.0.1:$(free_port) PIDS=''
  echo 1 >"$MODELS"
  python3 "$BATS_TEST_DIRNAME/models.py" "$MODELS" 2>"$MODELS.log" 3>&- &
  PIDS=$!
  wait_line "$MODELS.log" listening "$PIDS"
  ML=http://$(sed -n 's/.*addr=//p' "$MODELS.log")
  daemon sutra-storage "$BATS_TEST_TMPDIR/shard" STORAGE_PATH="$BATS_TEST_TMPDIR/data" SUTRA_LISTEN_50052="$SHARD"
  PIDS+=" $PID"
}

teardown() {
  local pid
  for pid in $PIDS; do
    kill -9 "$pid" 2>/dev/null && wait_gone "$pid"
  done
  ! grep -rhE 'runtime error|Sanitizer' "$BATS_TEST_TMPDIR"
}

# gateway [NAME=VALUE...]: sets PID and URL.
gateway() {
  daemon sutra-embedding "$BATS_TEST_TMPDIR/gateway" ML_BASE_URL="$ML" CACHE_SHARD_HOST=127.0.0.1 \
    CACHE_SHARD_PORT="${SHARD##*:}" CACHE_TIMEOUT_MS=2000 SUTRA_LISTEN_8888="127.0.0.1:$(free_port)" "$@"
  URL=http://$ADDR
  PIDS+=" $PID"
}

embed() { curl -sf -m 30 "$URL/embed" -d "$1"; }

# change N: ml-base has this model now, and the gateway has seen it (by a text that nobody has asked for).
change() {
  echo "$1" >"$MODELS"
  seen() {
    embed "{\"texts\":[\"new to $1 at $((tries++))\"]}" >/dev/null
    curl -s "$URL/health" | grep -q "\"fingerprint\":\"print-$1\""
  }
  eventually seen "$1"
}

# of N FILTER: the answer for "same" is of model N, and the filter holds.
of() {
  embed '{"texts":["same"]}' | tee "$BATS_TEST_TMPDIR/answer" |
    jq -e --argjson n "$1" "(.embeddings[0] | all(. == \$n)) and .model == \"model-\\(\$n)\" and ($2)" >/dev/null || {
    echo "model $1: $(jq -c '[.model, .embeddings[0][0], .cached]' "$BATS_TEST_TMPDIR/answer")"
    return 1
  }
}

@test "seventy models after each other, under one gateway: each has its own vectors, from L1 and from L2" {
  gateway
  for n in $(seq 70); do
    change "$n"
    of "$n" '.cached == [false]'
    of "$n" '.cache.l1 == 1'
  done
  change 1
  of 1 '.cached == [true]'
  kill "$PID" && wait_gone "$PID" # what it wrote is in the shard
  gateway
  of 1 '.cache.l2 == 1'
  change 69
  of 69 '.cache.l2 == 1'
}

@test "gateways of two models, or two dimensions, on one shard: none has the other's vectors" {
  gateway
  of 1 '.cached == [false]'
  first=$URL
  echo 2 >"$MODELS"
  gateway
  second=$PID
  of 2 '.cached == [false]'
  URL=$first
  of 1 '.cache.l1 == 1'
  gateway MATRYOSHKA_DIM=128
  of 2 '.cached == [false] and .dimension == 128'
  kill "$second" && wait_gone "$second" # what it wrote is in the shard
  gateway
  of 2 '.cache.l2 == 1'
}

@test "replicas of two models: an answer is of one of them, and names it" {
  echo 1 2 1 1 2 2 1 2 2 2 1 >"$MODELS"
  gateway
  for i in $(seq 60); do
    embed "{\"texts\":[\"a$((i % 7))\",\"b$((i % 5))\",\"c$i\"],\"dimension\":$((i % 2 ? 256 : 128))}" >"$BATS_TEST_TMPDIR/$i"
  done
  jq -es '[.[] | (.embeddings | map(.[0]) | unique | length) == 1] | all' "$BATS_TEST_TMPDIR"/{1..59..2}
  jq -es '[.[] | .model == "model-\(.embeddings[0][0])"] | all' "$BATS_TEST_TMPDIR"/{1..59..2}
  jq -es 'length == 30' "$BATS_TEST_TMPDIR"/{2..60..2}
  jq -es '[.[].model] | unique == ["model-1", "model-2"]' "$BATS_TEST_TMPDIR"/{1..60}
}
