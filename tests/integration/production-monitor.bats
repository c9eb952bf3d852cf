#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# sutra production-monitor on a small real stack: looks, alerts, hooks, serving, the report.
load daemon.bash

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET NO_COLOR=1 PATH=$SUTRA_BIN:$PATH
  export SUTRA_RUNTIME=native SUTRA_EDITION=simple GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
  has_model || return 0
  sutra deploy --yes >"$BATS_FILE_TMPDIR/deploy" 2>&1 || { cat "$BATS_FILE_TMPDIR/deploy" && false; }
}

setup() { find_model; }

teardown_file() {
  sutra down >/dev/null 2>&1
  rm -rf "$SUTRA_STATE_DIR"
}

monitor() { sutra production-monitor --interval 200ms --requests 2 "$@"; }
pid_of() { sutra status --json | jq ".services[] | select(.name == \"$1\").pid"; }

# watched OPTIONS: the monitor in the background; sets MONITOR, its lines in $out.
watched() {
  out=$BATS_TEST_TMPDIR/out
  "$SUTRA_BIN/sutra" production-monitor --interval 200ms --requests 2 -o jsonl "$@" >"$out" 2>"$out.err" 3>&- &
  MONITOR=$!
}

ended_by() { # signal, exit code
  local code=0
  kill "-$1" "$MONITOR"
  wait "$MONITOR" || code=$?
  [ "$code" = "$2" ]
}

@test "a line an interval, a report, exit 0 when nothing rang" {
  run -0 --separate-stderr monitor --for 900ms
  [[ ${lines[0]} == 20*Z*"3/3 up  P50 "*" ms  P95 "*" ms"* ]]
  [[ $output == *"Report: "*"all services up"*"own requests      "*", 0 failed"*"alerts            0" ]]
  run -0 --separate-stderr monitor --for 500ms -o jsonl
  jq -es 'all(.[:-1][]; .schema == "sutra.production-monitor/1" and .up == 3 and .alerts == []) and
    (.[-1] | .schema == "sutra.production-monitor-report/1" and .requests_failed == 0 and .looks >= 2)' <<<"$output"
  run -0 monitor --for 300ms -q
  [ -z "$output" ]
}

@test "the hit rate is the clients', of the interval; its limit rings" {
  watched --min-hit-rate 99 --bad 1 --for 30s
  wait_line "$out" '"up":3' "$MONITOR"
  curl -s "$GATEWAY/embed" -d '{"texts":["a new one","another","a third"]}' >/dev/null
  wait_line "$out" '"alert":"hit-rate"' "$MONITOR"
  ended_by INT 130
  jq -es '[.[] | select(.schema == "sutra.production-monitor/1") | .texts] | add == 3' "$out"
  tail -n 1 "$out" | jq -e '.schema == "sutra.production-monitor-report/1" and .texts == 3 and .hits == 0'
}

@test "a hung service: raised after N looks, served as 503, passed on, cleared after M" {
  local pid port state
  pid=$(pid_of ml-base-1)
  port=$(free_port)
  export HOOKED=$BATS_TEST_TMPDIR/hooked
  : >"$HOOKED"
  watched --bad 2 --good 2 --requests 0 --serve "127.0.0.1:$port" --for 60s \
    --exec 'echo "$SUTRA_ALERT $SUTRA_ALERT_STATE" >>"$HOOKED"; echo "$SUTRA_ALERT_MESSAGE" >"$HOOKED.message"'
  wait_line "$out" '"up":3' "$MONITOR"
  [ "$(curl -s -o /dev/null -w '%{http_code}' "127.0.0.1:$port/health")" = 200 ]
  kill -STOP "$pid"
  wait_line "$out" '"state":"raised"' "$MONITOR"
  wait_line "$HOOKED" 'down raised' "$MONITOR"
  state=$(curl -s -w '\n%{http_code}' "127.0.0.1:$port/health")
  [ "$(tail -n 1 <<<"$state")" = 503 ]
  head -n 1 <<<"$state" >"$BATS_TEST_TMPDIR/health"
  jq -e '.status == "unhealthy" and .alerts[0].alert == "down"' "$BATS_TEST_TMPDIR/health"
  ! python3 -c 'import jsonschema' || python3 "$BATS_TEST_DIRNAME/schemas.py" "$BATS_TEST_DIRNAME/../.." "$BATS_TEST_TMPDIR/health"
  curl -s "127.0.0.1:$port/metrics" >"$BATS_TEST_TMPDIR/metrics"
  metrics_are_well_formed <"$BATS_TEST_TMPDIR/metrics"
  grep -qx 'sutra_monitor_alert{alert="down"} 1' "$BATS_TEST_TMPDIR/metrics"
  grep -qx 'sutra_monitor_service_up{service="ml-base-1"} 0' "$BATS_TEST_TMPDIR/metrics"
  kill -CONT "$pid"
  wait_line "$out" '"state":"cleared"' "$MONITOR"
  wait_line "$HOOKED" 'down cleared' "$MONITOR"
  ended_by TERM 143
  tail -n 1 "$out" | jq -e '.passed_on == 2 and .not_passed_on == 0 and (.alerts | length) == 1'
  # Two bad looks before the alert, and two good ones behind the last bad one.
  jq -es '[.[] | select(.schema == "sutra.alert/1")] | length == 2' "$out"
  [ "$(cat "$HOOKED")" = $'down raised\ndown cleared' ]
}

@test "a limit that is passed is exit 1; a hook that fails is told and counted" {
  run -1 --separate-stderr monitor --for 900ms --max-p95 1us --bad 2 --exec 'echo broken; exit 3'
  [[ $output == *"ALERT p95"*"alerts            1:"*"not cleared: P95 "*"passed on         0, 1 failed" ]]
  # shellcheck disable=SC2154 # stderr is what run --separate-stderr leaves
  [[ $stderr == *"alert p95 raised: P95 "*"not passed on: --exec ended with 3: broken"* ]]
  run -1 --separate-stderr monitor --for 500ms --max-p95 1us --bad 1 --webhook http://127.0.0.1:1/
  [[ $stderr == *"not passed on: "*refused* ]]
}

# receiver FILE: takes POSTs until FILE holds a body, and FILE.line its request line; sets $port.
receiver() {
  port=$(free_port)
  python3 - "$port" "$1" 3>&- <<'EOF' &
import http.server, os, sys
class Once(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open(sys.argv[2] + ".line", "w").write(self.requestline)
        open(sys.argv[2], "wb").write(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Once)
while not os.path.exists(sys.argv[2]):
    server.handle_request()
EOF
  local server=$!
  listens() { (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
  eventually -p "$server" listens
}

@test "a webhook gets the document" {
  receiver "$BATS_TEST_TMPDIR/posted"
  run -1 monitor --for 400ms --max-p95 1us --bad 1 --webhook "http://127.0.0.1:$port/x"
  jq -e '.schema == "sutra.alert/1" and .state == "raised"' "$BATS_TEST_TMPDIR/posted"
}

@test "a webhook to another host goes through the proxy; services and loopback are asked directly" {
  local proxy local_posted=$BATS_TEST_TMPDIR/local
  receiver "$BATS_TEST_TMPDIR/proxied"
  proxy=http://127.0.0.1:$port
  http_proxy=$proxy run -1 monitor --for 400ms --max-p95 1us --bad 1 --webhook "http://alerts.invalid/x"
  [[ $output == *"3/3 up"*"own requests      "*", 0 failed"* ]]
  [ "$(cat "$BATS_TEST_TMPDIR/proxied.line")" = "POST http://alerts.invalid/x HTTP/1.1" ]
  receiver "$local_posted"
  http_proxy=http://127.0.0.1:1 run -1 monitor --for 400ms --max-p95 1us --bad 1 --webhook "http://127.0.0.1:$port/x"
  [ "$(cat "$local_posted.line")" = "POST /x HTTP/1.1" ]
  no_proxy=alerts.invalid http_proxy=$proxy run -1 monitor --for 400ms --max-p95 1us --bad 1 --webhook "http://alerts.invalid/x"
  [[ $output == *"not passed on: "*"dns"* ]]
}

@test "wrong usage touches nothing; nothing deployed is inconclusive" {
  run -2 monitor --webhook ftp://x
  run -2 monitor --serve nowhere
  run -2 monitor --interval 0s
  run -2 monitor -o json
  run -2 monitor extra
  SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/none run -6 monitor
}
