#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# sutra shell: as a script, and on a terminal.

setup() {
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state PATH=$SUTRA_BIN:$PATH NO_COLOR=1
  prompt=$'\ndeployed)> '
  export SUTRA_DATA_DIR=$BATS_TEST_DIRNAME/../..
}

on_terminal() { python3 "$BATS_TEST_DIRNAME/terminal.py" sutra shell -- "$@"; }

@test "a script runs its lines, with the name, settings, quotes and comments" {
  run -0 --separate-stderr sutra shell <<'EOF'
version
  # nothing

sutra version --json  # the name may stand there
MATRYOSHKA_DIM=64 sutra config --explain 'MATRYOSHKA_DIM'
LOG_LEVEL="debug" config --explain LOG\_LEVEL
exit
version
EOF
  [ "$(head -n 2 <<<"$output")" = $'sutra 0.1.0\n{"schema":"sutra.version/1","version":"0.1.0"}' ]
  [[ $output == *"* environment    64"*"* environment    debug"* ]]
  [ "$(grep -c '^sutra 0' <<<"$output")" = 1 ]
  # shellcheck disable=SC2154 # stderr is what run --separate-stderr leaves
  [ -z "$stderr" ]
}

@test "a script stops at the first failure with its code, and names the line" {
  run -6 --separate-stderr sutra shell <<<$'version\n\nstatus\nversion'
  [ "$output" = "sutra 0.1.0" ]
  [[ $stderr == *"sutra shell: line 3 ended with 6: status" ]]
  run -2 sutra shell <<<$'version "a\nversion'
  [[ $output == *"the quote \" is not closed"* ]]
  # shellcheck disable=SC2016 # the shell under test sees it
  for line in 'version | cat' 'version > x' 'version; version' 'help $HOME'; do
    run -2 sutra shell <<<"$line"
    [[ $output == *"is for a shell of the system"* ]]
  done
  run -0 sutra shell <<<"help 'version'"
  run -2 sutra shell <<<shell
  run -2 sutra shell extra
}

@test "--keep-going goes on; the worst code by the order of all commands" {
  run -2 --separate-stderr sutra shell --keep-going <<<$'status\nvalidate nosuch\nversion'
  [ "$output" = "sutra 0.1.0" ]
  [[ $stderr == *"line 1 ended with 6: status"*"line 2 ended with 2: validate"* ]]
  run -6 sutra shell --keep-going <<<$'status\nversion'
}

@test "a command does not read the script's next lines" {
  run -1 --separate-stderr sutra shell <<<$'cache --url 127.0.0.1:1 warm /nonexistent\nversion'
  run -0 --separate-stderr sutra shell <<<$'cache --url 127.0.0.1:1 warm -\nversion'
  [[ $output == *"sutra 0.1.0" ]]
}

@test "on a terminal: prompt, Tab, history; exit leaves" {
  run -0 on_terminal "sutra (nothing deployed)> " 'vers\t\r' "sutra 0.1.0$prompt" 'config --expl\tLOG_LE\t\r' \
    "* built-in       info$prompt" 'status\r' "nothing is deployed$prompt" 'exit\r'
  [ "$(stat -c %a "$SUTRA_STATE_DIR/shell_history")" = 600 ]
  [ "$(sed 's/ *$//' "$SUTRA_STATE_DIR/shell_history")" = $'version\nconfig --explain LOG_LEVEL\nstatus\nexit' ]
  # The next shell has them: up, up is "status".
  run -0 on_terminal "deployed)> " '\x1b[A\x1b[A\r' "nothing is deployed$prompt" '\x04'
}

@test "the prompt counts what is well, of what is deployed" {
  mkdir -p "$SUTRA_STATE_DIR"
  cat >"$SUTRA_STATE_DIR/deployment.json" <<<'{"schema": "sutra.deployment/1", "edition": "simple", "runtime": "native",
    "services": [{"name": "ml-base-1", "program": "sutra-ml-base", "address": "127.0.0.1:1", "group": "g", "hash": "x"}]}'
  run -0 on_terminal "sutra simple 0/1> " 'logs ml\t\r' "logs ml-base-1" '' "simple 0/1> " '\x04'
}

@test "Ctrl-C ends a command, or what is typed, and not the shell" {
  run -0 on_terminal "deployed)> " 'cache-stats --url 127.0.0.1:{port}\r' '{asked}' '\x03' "deployed)> " 'nonsense\x03version\r' \
    "sutra 0.1.0$prompt" '\x04'
  [[ $output != *"unknown command"* ]]
}

@test "the history keeps no secrets" {
  run -0 on_terminal "deployed)> " 'HAPROXY_STATS_PASSWORD=abc1 version\r' "sutra 0.1.0$prompt" \
    'cache-stats --url http://me:abc2@127.0.0.1:1\r' "sutra cache-stats: $prompt" 'version --token=abc3\r' \
    "unknown option$prompt" 'help "Bearer abc4"\r' "hint$prompt" ' version\r' "sutra 0.1.0$prompt" 'version\r' \
    "sutra 0.1.0$prompt" '\x04'
  [ "$(cat "$SUTRA_STATE_DIR/shell_history")" = version ]
}

@test "the terminal is as before" {
  command -v stty >/dev/null || skip "no stty"
  run -0 python3 "$BATS_TEST_DIRNAME/terminal.py" bash -c 'stty -g; sutra shell; stty -g' -- "> " 'version\r' "0.1.0$prompt" '\x04'
  [ "$(grep -cE '^[0-9a-f]+:' <<<"$output")" = 2 ]
  [ "$(grep -E '^[0-9a-f]+:' <<<"$output" | sort -u | wc -l)" = 1 ]
}
