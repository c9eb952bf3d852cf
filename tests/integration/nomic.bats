#!/usr/bin/env bats
# A small nomic_bert (tests/data/nomic-tiny) served as a model folder: its vectors are the reference
# implementation's, over HTTP, by ids and by text; prompts, by request and by setting; refusals.
bats_require_minimum_version 1.5.0
load daemon.bash

DATA=$BATS_TEST_DIRNAME/../data/nomic-tiny

# make_model FOLDER CONFIG WEIGHTS: with a vocabulary of 512 words, w0 to w511, but for the special tokens.
make_model() {
  mkdir -p "$1"
  cp "$DATA/$2" "$1/config.json"
  cp "$DATA/$3" "$1/model.safetensors"
  awk 'BEGIN { s[0] = "[PAD]"; s[100] = "[UNK]"; s[101] = "[CLS]"; s[102] = "[SEP]"; s[103] = "[MASK]"
               for (i = 0; i < 512; i++) print (i in s ? s[i] : "w" i) }' >"$1/vocab.txt"
  echo '{"prompts":{"search_query":"w5 ","search_document":"w6 w7 "}}' >"$1/config_sentence_transformers.json"
}

setup_file() {
  export TINY=$BATS_FILE_TMPDIR/tiny
  make_model "$TINY" config.json model.safetensors
  start_ml "$BATS_FILE_TMPDIR/ml"
  export ML_PID=$PID ML=http://$ADDR
  daemon sutra-embedding "$BATS_FILE_TMPDIR/gateway" ML_BASE_URL="$ML" MATRYOSHKA_DIM=64 \
    SUTRA_LISTEN_8888="127.0.0.1:$(free_port)"
  export GW_PID=$PID GW=http://$ADDR
}

teardown_file() {
  local pid
  for pid in ${GW_PID:-} ${ML_PID:-}; do kill "$pid" && wait_gone "$pid"; done
}

teardown() {
  [ -z "${OWN_PID:-}" ] || { kill "$OWN_PID" && wait_gone "$OWN_PID"; }
  ! grep -hE 'runtime error|Sanitizer' "$BATS_FILE_TMPDIR/ml" "$BATS_FILE_TMPDIR/gateway"
}

# start_ml LOG [NAME=VALUE...]: in fp32; sets PID and ADDR.
start_ml() {
  daemon sutra-ml-base "$1" MODEL_PATH="$TINY" SUTRA_LISTEN_8887=127.0.0.1:0 SUTRA_PRECISION=fp32 "${@:2}"
}

# vector URL BODY: the answer's first vector.
vector() { curl -sf -m 60 "$1/embed" -d "$2" | jq -c '.embeddings[0]'; }

# equals_reference URL: every case of expected.json, by ids and by text.
equals_reference() {
  local kind
  for kind in '.ids' '.ids[1:-1] | map({"0":"[PAD]","100":"[UNK]","101":"[CLS]","102":"[SEP]","103":"[MASK]"}["\(.)"] // "w\(.)") | join(" ")'; do
    jq -c "{dimension: 64, texts: [.cases[] | select((.ids | length) > 2) | $kind]}" "$DATA/expected.json" \
      >"$BATS_TEST_TMPDIR/asked"
    curl -sf -m 60 "$1/embed" -d @"$BATS_TEST_TMPDIR/asked" >"$BATS_TEST_TMPDIR/got"
    jq -e -n --slurpfile got "$BATS_TEST_TMPDIR/got" --slurpfile want "$DATA/expected.json" '
      def dot($a; $b): reduce range($a | length) as $i (0; . + $a[$i] * $b[$i]);
      [$want[0].cases[] | select((.ids | length) > 2) | .full] as $w | $got[0].embeddings as $g
      | ($g | length) == ($w | length) and ($g | length) == 8
        and all(range($g | length); dot($g[.]; $w[.]) / ((dot($g[.]; $g[.]) * dot($w[.]; $w[.])) | sqrt) >= 0.99999)'
  done
}

@test "vectors equal the reference's, by ids and by text" {
  equals_reference "$ML"
  curl -sf "$ML/info" | jq -e '.architecture == "nomic_bert" and .max_tokens == 256 and .native_dimension == 64'
}

@test "the newer names of tensors and settings give the same bits" {
  make_model "$BATS_TEST_TMPDIR/v5" config-v5.json model-v5-names.safetensors
  start_ml "$BATS_TEST_TMPDIR/ml" MODEL_PATH="$BATS_TEST_TMPDIR/v5"
  OWN_PID=$PID
  equals_reference "http://$ADDR"
  [ "$(vector "http://$ADDR" '{"text":"w9 w8 w7"}')" = "$(vector "$ML" '{"text":"w9 w8 w7"}')" ]
}

@test "an input_type puts its prefix before each text" {
  plain=$(vector "$ML" '{"text":"w9"}')
  query=$(vector "$ML" '{"text":"w9","input_type":"search_query"}')
  [ "$query" = "$(vector "$ML" '{"text":"w5 w9"}')" ]
  [ "$query" = "$(vector "$ML" '{"texts":["w9"],"input_type":"query"}')" ]
  [ "$query" = "$(vector "$ML" '{"texts":[{"text":"w9","input_type":"search_query"}]}')" ]
  [ "$query" != "$plain" ]
  [ "$(vector "$ML" '{"text":"w9","input_type":"passage"}')" = "$(vector "$ML" '{"text":"w6 w7 w9"}')" ]
  [ "$(vector "$ML" '{"text":"w9","input_type":null}')" = "$plain" ]
  run -0 curl -sf "$ML/tokenize" -d '{"text":"w9","input_type":"search_document"}'
  [[ $output == '{"ids":[[101,6,7,9,102]],"tokens_before_truncation":[5],'* ]]
}

@test "an input_type that the model does not have is refused, here and at the gateway" {
  for url in "$ML/embed" "$GW/embed" "$ML/tokenize"; do
    run -0 curl -s -w '%{http_code}' "$url" -d '{"text":"w9","input_type":"clustering"}'
    [[ $output == *'\"clustering\"; allowed is search_query, search_document'*422 ]]
    run -0 curl -s -w '%{http_code}' "$url" -d '{"text":"w9","input_type":7}'
    [[ $output == *input_type*422 ]]
  done
  run -0 curl -s -w '%{http_code}' "$GW/v1/embeddings" -d '{"input":"w9","input_type":"clustering"}'
  [[ $output == *'allowed is search_query, search_document'*'"param":"input_type"'*400 ]]
  run -0 curl -s -w '%{http_code}' "$GW/v1/embeddings" -d '{"input":[101,9,102],"input_type":"search_query"}'
  [[ $output == *'token ids'*400 ]]
  run -0 curl -s -w '%{http_code}' "$ML/embed" -d '{"texts":[[101,9,102]],"input_type":"search_query"}'
  [[ $output == *'token ids'*422 ]]
}

@test "a query and a document of the same words are two texts to the cache" {
  local none query document
  source_of() { curl -sf -m 30 "$GW/embed" -d "$1" | jq -r '"\(.cache.l1) \(.cache.l2) \(.cache.miss)"'; }
  none='{"text":"w20 w21"}' query='{"text":"w20 w21","input_type":"search_query"}'
  document='{"text":"w20 w21","input_type":"search_document"}'
  for body in "$none" "$query" "$document"; do [ "$(source_of "$body")" = "0 0 1" ]; done
  for body in "$none" "$query" "$document" '{"text":"w20 w21","input_type":"query"}'; do
    [ "$(source_of "$body")" = "1 0 0" ]
    [ "$(vector "$GW" "$body")" = "$(vector "$ML" "$body")" ]
  done
  # OpenAI's shape asks the same cache
  hits() { curl -sf "$GW/cache/stats" | jq .l1.hits; }
  before=$(hits)
  run -0 curl -sf "$GW/v1/embeddings" -d '{"input":["w20 w21"],"input_type":"search_query"}'
  [ "$(jq -c '.data[0].embedding' <<<"$output")" = "$(vector "$ML" "$query")" ]
  [ "$(hits)" = $((before + 1)) ]
  # one of them is dropped, the others stay
  run -0 curl -sf "$GW/cache/invalidate" -d "$query"
  [[ $output == '{"invalidated":1}'* ]]
  [ "$(source_of "$document")" = "1 0 0" ]
  [ "$(source_of "$query")" = "0 0 1" ]
  run -0 curl -sf "$GW/cache/warm" -d '{"texts":["w22"],"input_type":"search_document"}'
  [ "$(source_of '{"text":"w22","input_type":"search_document"}')" = "1 0 0" ]
  [ "$(source_of '{"text":"w22"}')" = "0 0 1" ]
}

@test "past the cache the input_type counts too" {
  asked='{"text":"w9","input_type":"search_query","normalize":false}'
  [ "$(vector "$GW" "$asked")" = "$(vector "$ML" '{"text":"w5 w9","normalize":false}')" ]
}

@test "a setting chooses the prefix of texts that name none; the fingerprint says so" {
  start_ml "$BATS_TEST_TMPDIR/one" SUTRA_INPUT_TYPE=search_document
  OWN_PID=$PID
  own=http://$ADDR
  [ "$(vector "$own" '{"text":"w9"}')" = "$(vector "$ML" '{"text":"w6 w7 w9"}')" ]
  [ "$(vector "$own" '{"text":"w9","input_type":"query"}')" = "$(vector "$ML" '{"text":"w5 w9"}')" ]
  curl -sf "$own/info" | jq -e '.input_type == "search_document" and .prompt == "w6 w7 "'
  [ "$(curl -sf "$own/info" | jq .fingerprint)" != "$(curl -sf "$ML/info" | jq .fingerprint)" ]
  kill "$OWN_PID" && wait_gone "$OWN_PID"
  start_ml "$BATS_TEST_TMPDIR/two" SUTRA_PROMPT='w30 '
  OWN_PID=$PID
  [ "$(vector "http://$ADDR" '{"text":"w9"}')" = "$(vector "$ML" '{"text":"w30 w9"}')" ]
}

@test "without a file that names them, nomic_bert has the prompts it was trained with" {
  make_model "$BATS_TEST_TMPDIR/bare" config.json model.safetensors
  rm "$BATS_TEST_TMPDIR/bare/config_sentence_transformers.json"
  start_ml "$BATS_TEST_TMPDIR/ml" MODEL_PATH="$BATS_TEST_TMPDIR/bare"
  OWN_PID=$PID
  curl -sf "http://$ADDR/info" | jq -e '.input_type == null and .prompt == "" and .prompts ==
    {search_query: "search_query: ", search_document: "search_document: ", clustering: "clustering: ", classification: "classification: "}'
}

# refused WORD [NAME=VALUE...]: does not start, with one line that says the word.
refused() {
  run -2 env MODEL_PATH="$BATS_TEST_TMPDIR/m" SUTRA_PRECISION=auto SUTRA_LISTEN_8887=127.0.0.1:0 "${@:2}" "$SUTRA_BIN/sutra-ml-base"
  [[ $output == *"$1"* && ${#lines[@]} = 1 ]] || {
    echo "wanted \"$1\", got: $output"
    return 1
  }
}

@test "what cannot be served is refused at the start, naming file, field and value" {
  local m=$BATS_TEST_TMPDIR/m
  make_model "$m" config.json model.safetensors
  refused 'SUTRA_INPUT_TYPE' SUTRA_INPUT_TYPE=clustering
  refused 'one of them is allowed' SUTRA_INPUT_TYPE=query SUTRA_PROMPT=x
  jq '.model_type = "distilbert"' "$DATA/config.json" >"$m/config.json"
  refused 'config.json: "model_type" is "distilbert"; the architectures supported are bert, nomic_bert'
  jq '.num_experts = 8' "$DATA/config.json" >"$m/config.json"
  refused 'config.json: "num_experts" is 8'
  jq '.n_embd = 1000000000' "$DATA/config.json" >"$m/config.json"
  refused 'config.json: "n_embd" is 1000000000; allowed are 1 to 8192'
  jq '.n_embd = 8192 | .n_inner = 32768' "$DATA/config.json" >"$m/config.json"
  refused 'model.safetensors: tensor "embeddings.word_embeddings.weight" has the shape [512, 64]; config.json asks for [512, 8192]'
  jq '.n_layer = 4' "$DATA/config.json" >"$m/config.json"
  refused 'model.safetensors: there is no tensor "encoder.layers.3.attn.Wqkv.weight"'
  jq '.vocab_size = 500 | .pad_vocab_size_multiple = 1' "$DATA/config.json" >"$m/config.json"
  refused 'vocab.txt: 512 tokens, but config.json'
  cp "$DATA/config.json" "$m/config.json"
  printf '\0\0\300\177' | dd of="$m/model.safetensors" bs=1 seek=$(($(stat -c %s "$m/model.safetensors") - 4)) conv=notrunc status=none
  refused 'model.safetensors: tensor "'
  [[ $output == *'holds nan at place'* ]]
}

@test "a native deployment serves it" {
  SUTRA_STATE_DIR=$(mktemp -d)
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET SUTRA_RUNTIME=native
  SUTRA_PORT_OFFSET=$(port_offset)
  export MODEL_PATH=$TINY MATRYOSHKA_DIM=64 SUTRA_PRECISION=fp32 SUTRA_EDITION=simple SUTRA_INPUT_TYPE=search_document
  run sutra deploy
  url=http://127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
  got=$(vector "$url" '{"text":"w9"}') asked=$(vector "$url" '{"text":"w9","input_type":"search_query"}')
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
  [ "$status" -eq 0 ]
  [ "$got" = "$(vector "$ML" '{"text":"w6 w7 w9"}')" ]
  [ "$asked" = "$(vector "$ML" '{"text":"w5 w9"}')" ]
}
