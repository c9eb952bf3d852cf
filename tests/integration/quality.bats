#!/usr/bin/env bats
# sutra model quality on the real model, from the tree and installed.

bats_require_minimum_version 1.5.0
load daemon

setup() {
  find_model || return
  home=$(mktemp -d)
  cd "$BATS_TEST_DIRNAME/../.." || return
  export MODEL_PATH=$MODEL HOME=$home
}

teardown() { rm -rf "${home:-}"; }

@test "a row a precision, mode and dimension; a smaller dimension is no better; the table says the same" {
  run --separate-stderr sutra model quality --dims 384,64 -q --json
  [ "$status" -eq 0 ]
  jq -e '.schema == "sutra.model-quality/1" and .dimension == 384 and .pairs >= 300 and .queries >= 100 and
    ([.rows[] | select(.precision == "fp32") | "\(.mrl) \(.dimension)"] == ["none 384", "layer_norm 64", "plain 64"]) and
    all(.rows[]; .spearman > 0.7 and .spearman < 1 and .retrieval_at_10 > 0.95 and .retrieval_at_10 <= 1 and
      .retrieval_at_1 < .retrieval_at_10 and .least_cosine >= 0.99) and
    (.rows[0].spearman > .rows[1].spearman)' <<<"$output"
  jq '.pairs |= .[:80]' validate/quality/pairs.json >"$home/some.json"
  spearman=$(sutra model quality --dims 384 -q --json --pairs "$home/some.json" | jq '.rows[0].spearman * 10000 | round / 10000')
  sutra model quality --dims 384 -q --pairs "$home/some.json" | grep -E "^fp32 +none +384 +$spearman"
}

@test "pairs of one's own; a dimension that the model has not" {
  echo '{"pairs": [{"grade": 5, "first": "A dog runs.", "second": "A dog is running."},
    {"grade": 0, "first": "A dog runs.", "second": "Interest rates fell."}]}' >"$home/pairs.json"
  sutra model quality -q --json --pairs "$home/pairs.json" |
    jq -e '.pairs == 2 and .queries == 1 and all(.rows[]; .spearman > 0.999 and .retrieval_at_1 == 1)'
  run -2 sutra model quality -q --dims 64,100
  [[ $output == *'dimension "100" of "64,100"; '*' has 64, 128, 256, 384'* ]]
  run -2 sutra model quality -q --dims 64,64
}

@test "installed, it finds its pairs; and ends in time" {
  make -s -o all install BIN="$SUTRA_BIN" PROGRAMS="$(echo "$SUTRA_BIN"/sutra*)" DESTDIR="$home/stage" PREFIX=/usr
  unset SUTRA_DATA_DIR
  cd /
  run -4 --separate-stderr "$home/stage/usr/bin/sutra" model quality --timeout 1ms
  [[ ${stderr:?} == *'sutra-ml-base did not end in time'* ]]
  "$home/stage/usr/bin/sutra" model quality -q --dims 64 | grep -E '^fp32 +plain +64 '
}
