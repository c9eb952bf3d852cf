#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# sutra completion: what Tab gives in each shell that is here, and that it follows what there is.

setup() {
  top=$BATS_TEST_DIRNAME/../..
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state SUTRA_MODEL_DIR=$BATS_TEST_TMPDIR/models
  export SUTRA_DATA_DIR=$top PATH=$SUTRA_BIN:$PATH
  mkdir -p "$SUTRA_STATE_DIR/generations/7" "$SUTRA_MODEL_DIR/own/model"
  touch "$SUTRA_MODEL_DIR/own/model"/{config.json,vocab.txt,model.safetensors}
}

record() {
  cat >"$SUTRA_STATE_DIR/deployment.json" <<<'{"schema": "sutra.deployment/1", "services": [
    {"name": "ml-base-1", "program": "sutra-ml-base", "address": "127.0.0.1:1", "group": "ml-base", "hash": "x"},
    {"name": "ml-base-2", "program": "sutra-ml-base", "address": "127.0.0.1:2", "group": "ml-base", "hash": "x"}]}'
  echo '{"settings": {}, "runtime": "native", "cause": "deploy", "deployed_at": "2026-11-21T01:02:03.000004Z"}' \
    >"$SUTRA_STATE_DIR/generations/7/generation.json"
}

# words LINE...: the last word is what is typed.
words() { sutra completion words -- "$@" | cut -f1 | xargs; }

@test "commands, options, choices, formats" {
  [ "$(words dep)" = deploy ]
  [ "$(words deploy --runtime nat)" = native ]
  [ "$(words deploy --runtime=nat)" = --runtime=native ]
  [ "$(words deploy --runtime = nat)" = native ]
  [ "$(words config --exp)" = --explain ]
  [ "$(words status -o '')" = "table wide json prom" ]
  [ "$(words -o json stat)" = status ]
  [ "$(words model ver)" = verify ]
  [ "$(words cache wa)" = warm ]
  [ "$(words cache warm '')" = :files ]
  [ "$(words deploy --from '')" = :files ]
  [ "$(words config --explain MATR)" = MATRYOSHKA_DIM ]
  [ "$(words help roll)" = rollback ]
  [ -z "$(words deploy -- --ti)" ]
}

@test "every command of help completes, and every option of its -h" {
  for c in $(sutra help | awk '/^  [a-z-]+ / && !/^  sutra / { print $1 }'); do
    [[ " $(words "$c") " == *" $c "* ]]
    for o in $(sutra "$c" -h | sed -n '/^usage:/,$p' | grep '^  ' | grep -oE -- '--[a-z0-9-]+' | sort -u); do
      [[ " $(words "$c" "$o") " == *" $o "* ]]
    done
  done
}

@test "services, generations, models and suites are those there are" {
  run -0 words logs ml
  [ -z "$output" ]
  record
  [ "$(words logs ml)" = "ml-base-1 ml-base-2" ]
  [ "$(words restart ml-base-1 ml-base-2)" = ml-base-2 ]
  [ "$(words rollback '')" = 7 ]
  [[ "$(sutra completion words -- rollback 7)" == $'7\tdeploy 2026-11-21T01:02:03' ]]
  [ "$(words model fetch own)" = own/model ]
  [[ "$(words model fetch all-)" == *all-minilm-l6-v2* ]]
  [[ "$(words validate '')" == *checklist*failover*smoke* ]]
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data
  mkdir -p "$SUTRA_DATA_DIR/validate" "$SUTRA_DATA_DIR/compose"
  touch "$SUTRA_DATA_DIR/validate/mine.json"
  [ "$(words validate '')" = mine ]
}

@test "bash" {
  diff "$top/scripts/bash-completion" <(sutra completion bash)
  record
  # shellcheck disable=SC1091
  . "$top/scripts/bash-completion"
  complete -p sutra
  line() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _sutra
    echo "${COMPREPLY[*]}"
  }
  [ "$(line sutra dep)" = deploy ]
  [ "$(line sutra deploy --runtime nat)" = native ]
  [ "$(line sutra deploy --runtime = nat)" = native ]
  [ "$(line sutra logs -n 5 ml-base-)" = "ml-base-1 ml-base-2" ]
  cd "$BATS_TEST_TMPDIR" && touch plan.json
  [ "$(line sutra deploy --from pl)" = plan.json ]
}

@test "bash, through the keyboard" {
  command -v script >/dev/null || skip "needs script(1)"
  record
  # What Tab makes of a line, seen by a command that prints its words.
  sutra completion bash >"$BATS_TEST_TMPDIR/rc"
  printf 'PS1=\nbind "set enable-bracketed-paste off"\n' >>"$BATS_TEST_TMPDIR/rc"
  # shellcheck disable=SC2016
  run -0 script -qec "bash --noprofile --rcfile $BATS_TEST_TMPDIR/rc -i" /dev/null \
    < <(printf 'sutra vers\t-o js\t\nexit\n')
  [[ $output == *'{"schema":"sutra.version/1"'* ]]
}

@test "zsh" {
  command -v zsh >/dev/null || skip "no zsh"
  record
  sutra completion zsh >"$BATS_TEST_TMPDIR/_sutra"
  zsh -n "$BATS_TEST_TMPDIR/_sutra"
  # shellcheck disable=SC2016 # zsh expands it
  run -0 zsh -f -c '
    compdef() { print "$1 $2"; }
    source "$1"
    _describe() { print -l -- "${(P@)3}"; }
    words=(sutra logs ml) CURRENT=3; _sutra' zsh "$BATS_TEST_TMPDIR/_sutra"
  [[ $output == *"_sutra sutra"*"ml-base-1:sutra-ml-base"*"ml-base-2:"* ]]
}

@test "fish" {
  command -v fish >/dev/null || skip "no fish"
  record
  sutra completion fish >"$BATS_TEST_TMPDIR/sutra.fish"
  run -0 fish --no-config -c "source $BATS_TEST_TMPDIR/sutra.fish; complete -C 'sutra logs ml'; complete -C 'sutra deploy --runtime=n'"
  [[ $output == *ml-base-1*sutra-ml-base*ml-base-2*--runtime=native* ]]
}

@test "a service that is not there gets the nearest that is" {
  record
  run -2 sutra logs ml-bse-1
  [[ $output == *'no service is called "ml-bse-1"'*"did you mean ml-base-1?" ]]
  run -2 sutra restart gateway
  [[ $output == *"there are ml-base-1, ml-base-2" ]]
}

@test "another shell, or none, is usage" {
  run -2 sutra completion tcsh
  run -2 sutra completion
  run -2 sutra completion bash zsh
}
