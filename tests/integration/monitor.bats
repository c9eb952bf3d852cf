#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# sutra monitor on a terminal (tmux, a pty that changes its size) and over a real stack.

load daemon.bash
load tmux.bash

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  SESSION=$(cd "$BATS_TEST_DIRNAME/../data" && pwd)/monitor.jsonl
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET SESSION SUTRA_RUNTIME=native LC_ALL=C.UTF-8
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
  # so many sizes the terminal takes, LINES and COLUMNS exported; by hand RESIZES=10000, with SAN= programs
  export RESIZES=${RESIZES:-300}
  sutra deploy --yes >/dev/null 2>&1
}

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

teardown() {
  [ -z "${STOPPED:-}" ] || kill -CONT "$STOPPED" 2>/dev/null
  [ -z "${FLOOD:-}" ] || kill "$FLOOD" 2>/dev/null
  end_tmux
}

pid_of() { sutra status --json | jq ".services[] | select(.name == \"$1\").pid"; }

# sample FILTER: waits until a sample of the stream lets the filter pass; prints how many it took.
sample() {
  sutra monitor -o jsonl --interval 500ms --count 40 |
    jq --unbuffered -n "first(foreach inputs as \$s (0; . + 1; . as \$n | \$s | select($1) | \$n))"
}

@test "keys: screens, help, one service, its log, filter, sort, pause" {
  start 120 40 "sutra monitor"
  shows '^ml-base-1 +up'
  shows 'Hit rates.* ago'
  press Tab; shows '^sutra cache'
  press Tab; shows '^sutra replicas'
  press Tab; shows '^sutra services'
  press Tab; shows '^sutra events'
  shows 'deploy .*run by user [0-9]+: ok'
  press BTab; shows '^sutra services'
  press s; shows 'Services by name'
  press / m l - b a s e Enter; shows '/ml-base'
  run -1 grep -q '^embedding-single' <(frame)
  press Escape; shows '^embedding-single'
  press g Enter; shows '^sutra service '
  shows 'listening addr='
  press Escape; press l; shows 'log of '
  press '?'; shows 'sort services by the next column'
  press '?' p; shows PAUSED
  press p +; shows '500 ms'
  press r; shows 'read-only: start with --admin'
  press q; shows 'CODE 0'
}

@test "the size changes: another layout, no restart" {
  start 200 60 "LINES=10 COLUMNS=40 sutra monitor"
  shows 'Traffic'
  "${T[@]}" resize-window -x 40 -y 10; shows '6 services: 6 up'
  "${T[@]}" resize-window -x 30 -y 8; shows '30x8 is too small'
  "${T[@]}" resize-window -x 80 -y 24; shows 'REPLICA +STATE'
  press q; shows 'CODE 0'
}

@test "hundreds of random sizes harm nothing" {
  for kind in "xterm-256color C.UTF-8" "vt100 C" "screen C.UTF-8"; do
    # shellcheck disable=SC2086 # two words
    set -- $kind
    run -0 env TERM="$1" LC_ALL="$2" LINES=7 COLUMNS=9 "$SUTRA_TESTS/pty_resize" "$RESIZES" 7 sutra monitor --replay "$SESSION"
    echo "$output"
  done
  run -0 env TERM=xterm NO_COLOR=1 "$SUTRA_TESTS/pty_resize" "$RESIZES" 8 sutra monitor
}

@test "the terminal is whole after Ctrl-C, TERM and a crash" {
  local sig
  for sig in INT TERM SEGV; do
    start 80 24 "sutra monitor --replay '$SESSION'"
    shows 'Replicas'
    if [ "$sig" = INT ]; then press C-c; else pkill -"$sig" -P "$("${T[@]}" display-message -p '#{pane_pid}')" -x sutra; fi
    shows 'CODE (130|143|139)'
    shows '^icanon'
    shows '^echo'
    run -1 grep -q Replicas <(frame) # the screen from before is back
    [ "$("${T[@]}" display-message -p '#{cursor_flag}')" = 1 ]
    "${T[@]}" kill-server
  done
}

@test "a terminal that cannot be drawn on is refused, one of little skill is left clean" {
  start 80 12 "TERM=dumb sutra monitor --replay '$SESSION'"
  shows 'TERM is \"dumb\"'
  shows 'CODE 2'
  "${T[@]}" kill-server
  start 80 12 "TERM=vt100 sutra monitor --replay '$SESSION'"
  shows 'ml-base 3/3 up'
  press q; shows 'CODE 0'
  run -1 grep -q 'ml-base' <(frame)
}

@test "without colour no colour, and nothing but ASCII" {
  start 100 30 "NO_COLOR=1 sutra monitor --ascii"
  shows '^ml-base-1 +up'
  run -1 grep -qE $'\033\\[([0-9;]*;)?(3[0-7]|9[0-7]|38;[0-9;]+)m' <("${T[@]}" capture-pane -p -e)
  run -1 grep -qP '[^\x00-\x7F]' <(frame)
}

@test "256 colours, 16 or 8: what the terminal says it has" {
  local term=(python3 "$BATS_TEST_DIRNAME/terminal.py" sutra monitor --replay "$SESSION" -- Replicas q)
  run -0 env -u NO_COLOR TERM=xterm-256color "${term[@]}"
  [[ $output == *'[38;5;'* ]]
  for name in xterm linux xterm-16color; do
    infocmp "$name" >/dev/null 2>&1 || continue # a terminal that this machine does not know
    run -0 env -u NO_COLOR TERM=$name "${term[@]}"
    [[ $output != *'[38;5;'* ]]
    grep -qE $'\033\\[([0-9;]*;)?3[2-6]m' <<<"$output"
  done
}

@test "a frame of the stack, and the stream: ages, rates, no negative figure" {
  run -0 --separate-stderr sutra monitor --once --size 100x30
  [ "${#lines[@]}" -ge 20 ]
  [[ $output == *"6 services"* || $output == *"ml-base-3 "*up* ]]
  sutra monitor -o jsonl --count 3 --interval 200ms | jq -es 'length == 3 and all(.[]; .schema == "sutra.monitor/1" and
    (.services | length) == 6 and all(.services[]; .age_ms != null) and all(.. | numbers; . >= -1))'
}

@test "it costs little of a core and 16 MB" {
  ldd "$(command -v sutra)" | grep -qE 'lib[atu]b?san' && skip "sanitizers cost more"
  local pid before after
  start 120 40 "sutra monitor"
  shows '^ml-base-3 '
  pid=$(pgrep -x sutra -P "$("${T[@]}" display-message -p '#{pane_pid}')")
  ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
  drawn "$(frame)" # with all that comes first
  before=$(ticks)
  for _ in 1 2 3 4 5; do drawn "$(frame)"; done
  after=$(ticks)
  echo "$((after - before)) ticks of its own for five frames, $(grep VmHWM "/proc/$pid/status")"
  [ $((after - before)) -le 15 ] # quiet: 2; a machine with busy neighbours has shown 8
  [ "$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")" -le 16384 ]
}

@test "a killed replica shows within two samples" {
  local pid stream=$BATS_TEST_TMPDIR/stream seen
  pid=$(pid_of ml-base-3)
  sutra monitor -o jsonl --interval 500ms >"$stream" 3>&- &
  local monitor=$!
  wait_line "$stream" '"restarts"' "$monitor"
  kill -9 "$pid"
  # samples that began before it was dead
  seen=$(wc -l <"$stream")
  another() { jq -e 'any(.services[]; .name == "ml-base-3" and .pid != '"$pid"')' "$stream" | grep -q true; }
  eventually -p "$monitor" another
  run -0 jq -n '[inputs | any(.services[]; .name == "ml-base-3" and .pid != '"$pid"')] | index(true)' "$stream"
  # one may be under way; the next must show it
  echo "killed after $seen samples, seen in the one after $output"
  [ "$output" -le $((seen + 1)) ]
  kill "$monitor"
  wait "$monitor" || true
  run -0 sample 'all(.services[]; .state == "up") and ([.services[].restarts] | max) > 0'
}

@test "what happens is an event: on the screen, in the stream once, in a replay" {
  local pid record=$BATS_TEST_TMPDIR/record.jsonl
  pid=$(pid_of ml-base-2)
  sutra monitor -o jsonl --interval 500ms --record "$record" >"$BATS_TEST_TMPDIR/stream" 3>&- &
  local stream=$!
  start 120 40 "sutra monitor --interval 500ms"
  shows 'Latest events'
  kill -9 "$pid"
  shows 'ml-base-2 +[0-9]+ restarts by its supervisor'
  # the stream has seen it too, before the cache is cleared
  wait_line "$BATS_TEST_TMPDIR/stream" '"kind":"restart"' "$stream"
  sutra cache clear >/dev/null
  shows 'embedding-single +cache cleared'
  press Tab Tab Tab Tab; shows '^sutra events'
  press / c l e a r e d Enter; shows '/cleared'
  run -1 grep -q 'restarts by its supervisor' <(frame)
  press Enter; shows '^sutra service '
  press q; shows 'CODE 0'
  wait_line "$BATS_TEST_TMPDIR/stream" 'cache cleared' "$stream"
  kill "$stream"
  wait "$stream" || true
  # each once, though every sample goes on after it
  [ "$(jq -c '.events[] | select(.kind == "restart" and .subject == "ml-base-2")' "$record" | wc -l)" = 1 ]
  [ "$(jq -c '.events[] | select(.kind == "cache")' "$record" | wc -l)" = 1 ]
  run -0 sutra monitor --replay "$record" --once --size 120x60
  [[ $output == *'cache cleared'*'restarts by its supervisor'* ]]
}

@test "a stopped balancer and a stopped gateway are stale, and come back" {
  local name
  start 120 40 "sutra monitor --interval 500ms"
  for name in ml-base-lb embedding-single; do
    shows '^embedding-single +up'
    STOPPED=$(pid_of "$name")
    kill -STOP "$STOPPED"
    shows 'stale [0-9.]+ s: first-byte'
    shows "^$name +down"
    kill -CONT "$STOPPED"
    shows "^$name +up"
    run -1 grep -qE 'stale [0-9]' <(frame)
  done
}

@test "a stopped cache shard: what it holds is stale on the cache's screen, and comes back" {
  start 120 40 "sutra monitor --interval 500ms"
  shows '^storage-cache-shard +up'
  press Tab; shows '^embedding-single +L2 +[0-9]+/100'
  STOPPED=$(pid_of storage-cache-shard)
  kill -STOP "$STOPPED"
  shows '^embedding-single +L2 +[0-9]+/100.* stale [0-9.]+ s: the shard does not answer'
  run -0 sutra cache-stats
  [[ $output == *'does not answer'* ]]
  kill -CONT "$STOPPED"
  # its end is an event, upon which the levels are read again
  shows '^embedding-single +L2 +[0-9]+/100.*us *$'
  press Escape; shows 'storage-cache-shard +up, was down'
}

@test "a log of 100,000 lines a second, with a line of 10 MB: keys are answered, memory is bounded" {
  local log=$SUTRA_STATE_DIR/native/log/noisy record=$SUTRA_STATE_DIR/deployment.json
  cp "$record" "$BATS_TEST_TMPDIR/record"
  jq '.services += [.services[0] | .name = "noisy" | .group = "noisy"]' "$BATS_TEST_TMPDIR/record" >"$record"
  mkdir -p "$log"
  printf 's4194304\nn5\n' >"$log/config"
  "$SUTRA_TESTS/log_flood" "${LOG_RATE:-100000}" 10000000 2>"$BATS_TEST_TMPDIR/flood" > >(exec svlogd -ttt "$log" 3>&-) 3>&- &
  FLOOD=$!
  run -0 "$SUTRA_TESTS/pty_keys" 30 $'/noisy\nl' sutra monitor
  echo "$output"
  grep -qE 'lib[atu]b?san' <(ldd "$(command -v sutra)") ||
    [ "$(sed -n 's/.* \([0-9]*\) KiB at most.*/\1/p' <<<"$output")" -le 20480 ]
  # held still: what comes is counted, through the log's rotations
  start 120 20 "sutra monitor"
  shows '^noisy'
  press / n o i s y Enter l; shows 'lines let go'
  press k; shows 'held still.* [0-9]+\+? new lines' # at least so many, where files went unread
  press q; shows 'CODE 0'
  kill "$FLOOD"
  wait "$FLOOD"
  cat "$BATS_TEST_TMPDIR/flood"
  cp "$BATS_TEST_TMPDIR/record" "$record"
}

@test "status --watch draws in place; without a terminal, frames one after another" {
  start 100 20 "NO_COLOR=1 sutra status --watch 300ms"
  shows '6 services: 6 up'
  drawn "$(frame)"
  [ "$(frame | grep -c '^ml-base-1')" = 1 ]
  press C-c; shows 'CODE 130'
  sutra cache-stats --watch 300ms >"$BATS_TEST_TMPDIR/frames" 3>&- &
  twice() { [ "$(grep -c '^LEVEL' "$BATS_TEST_TMPDIR/frames")" -ge 2 ]; }
  eventually -p "$!" twice
  kill "$!"
  run ! grep -q $'\033' "$BATS_TEST_TMPDIR/frames"
}

@test "drain and restart ask first, and do what they say with --admin" {
  start 120 40 "sutra monitor --admin"
  shows '^ml-base-1 +up'
  press Tab Tab; shows '^sutra replicas'
  press d; shows 'drain.* ml-base-1\? \[y/N\]'
  press n; shows 'nothing was done'
  press d; shows 'y/N'
  press y; shows 'ml-base-1 is drained'
  shows '^ml-base-1 +NOLB'
  press d; shows 'y/N'; press y
  shows 'ml-base-1 is ready again'
  shows '^ml-base-1 +UP'
  press r; shows 'restart ml-base-1\?'; press y
  shows 'ml-base-1 is healthy again'
  press q; shows 'CODE 0'
}

@test "a stack that goes away and comes back is found again" {
  start 100 30 "sutra monitor"
  shows '^ml-base-1 +up'
  sutra down >/dev/null
  shows 'not supervised|unsupervised|nothing is deployed|no record'
  sutra deploy --yes >/dev/null 2>&1
  shows '^ml-base-1 +up'
}
