# shellcheck shell=bash
# Starting and ending Sutra's services in a test.

# has_model: sets MODEL; whether it is there.
has_model() {
  MODEL=${MODEL_PATH:-${SUTRA_MODEL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/sutra/models}/all-minilm-l6-v2}
  export MODEL
  [ -f "$MODEL/model.safetensors" ]
}

# find_model: without one, fails in CI and skips elsewhere. Not for setup_file, where a skip is a failure.
find_model() {
  ! has_model || return 0
  [ "${CI:-}" = true ] || skip "no model in $MODEL: run sutra model fetch"
  echo "no model in $MODEL: run sutra model fetch" >&2
  return 1
}

# port_offset, free_port: SUTRA_PORT_OFFSET of a stack, and the next port to listen on: this file's own, of
# the block that tests/ports holds for it.
port_offset() { echo "${TEST_PORT_OFFSET:?run it by tests/run or tests/ports}"; }
free_port() {
  local n=0
  [ ! -e "$BATS_RUN_TMPDIR/port" ] || read -r n <"$BATS_RUN_TMPDIR/port"
  echo $((n + 1)) >"$BATS_RUN_TMPDIR/port"
  echo $((${TEST_PORTS:?run it by tests/run or tests/ports} + n % 150))
}

# eventually [-p PID] COMMAND...: until it says yes; fails when the process ends, or after five minutes. For
# what gives no event to wait for: this and tests/wait.h are the only places that ask again and again.
eventually() {
  local its_pid='' its_end=$((SECONDS + 300)) # names that hide none of the command's
  [ "$1" != -p ] || { its_pid=$2 && shift 2; }
  until "$@"; do
    [ -z "$its_pid" ] || kill -0 "$its_pid" || return 1
    [ "$SECONDS" -lt "$its_end" ] || { echo "not within five minutes: $*" >&2 && return 1; }
    sleep 0.05
  done
}

# daemon PROGRAM LOG [NAME=VALUE...]: starts it; sets PID and ADDR when it listens.
daemon() {
  local program=$1 log=$2
  shift 2
  : >"$log"
  env "$@" "$SUTRA_BIN/$program" >/dev/null 2>"$log" 3>&- &
  PID=$!
  wait_line "$log" listening "$PID"
  ADDR=$(sed -n 's/.*listening addr=\([^ ]*\).*/\1/p' "$log" | tail -n 1)
}

# wait_line FILE WORD PID: until the file, which may come later, holds a line with the word; fails if the
# process ends.
wait_line() {
  grep -m1 -q "$2" < <(exec timeout 60 tail -n +1 -s 0.05 -F --pid="$3" "$1" 2>/dev/null 3>&-) || {
    cat "$1" >&2
    return 1
  }
}

# metrics_are_well_formed: `promtool check metrics` has nothing to say of the page on stdin. Without
# promtool (package prometheus), and beside it, what it asks: HELP and TYPE before each metric, counters
# alone end in _total, times are in seconds; buckets grow, and the last has the count.
metrics_are_well_formed() {
  local page said
  page=$(cat)
  if command -v promtool >/dev/null; then
    said=$(promtool check metrics <<<"$page" 2>&1) && [ -z "$said" ] || {
      printf '%s\n' "$said"
      return 1
    }
  fi
  awk '
    function bad(what) { print name ": " what; wrong = 1 }
    $1 == "#" { name = $3 }
    $1 == "#" && $2 == "HELP" { help[name] = NF > 3 }
    $1 == "#" && $2 == "TYPE" {
      if (name in type) bad("a second TYPE")
      if (($4 == "counter") != (name ~ /_total$/)) bad("a " $4)
      if (name ~ /(micro|milli|nano)seconds|_[mun]s(_|$)/) bad("not in seconds")
      type[name] = $4
    }
    $1 != "#" && NF {
      name = $1; sub(/[{].*/, "", name); samples++
      base = name; sub(/_(bucket|sum|count)$/, "", base)
      if (type[base] == "histogram") {
        series = $1; sub(/,?le="[^"]*"/, "", series); sub(/_(bucket|sum|count)[{]/, "{", series)
        if (name ~ /_bucket$/ && $2 < last[series]) bad("a bucket less than the one before: " $0)
        if (name ~ /_bucket$/) last[series] = $2
        if (name ~ /_count$/ && $2 != last[series]) bad("a count that is not the last bucket: " $0)
        name = base
      }
      if (!help[name]) bad("no help text")
      if (!(name in type)) bad("no type")
      if ($0 !~ /^[a-z0-9_]+([{][a-z]+="[^"]*"(,[a-z]+="[^"]*")*[}])? -?[0-9.e+-]+$/) bad("not a sample: " $0)
    }
    END { exit wrong || !samples }' <<<"$page"
}

# take_in_passing PORT: a connection has it as its own for the next three seconds, as a client would.
take_in_passing() {
  python3 - "$1" "$BATS_TEST_TMPDIR/taken" 3>&- <<'PYTHON' &
import socket, struct, sys
server = socket.create_server(("127.0.0.1", 0))
client = socket.socket()
client.bind(("127.0.0.1", int(sys.argv[1])))
client.connect(server.getsockname())
other, _ = server.accept()
open(sys.argv[2], "w").close()
other.settimeout(3)
try:
    other.recv(1)
except TimeoutError:
    pass
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
PYTHON
  eventually -p "$!" [ -e "$BATS_TEST_TMPDIR/taken" ]
}

wait_gone() { timeout 60 tail -s 0.05 -f --pid="$1" /dev/null 3>&-; }

# start_engine: a Docker engine, when none answers and one may be started; tests/run ends it behind the last
# file that shares it. own_engine: whether it is the suite's, to be stopped and held.
start_engine() {
  docker version >/dev/null 2>&1 && return 0
  command -v dockerd >/dev/null && [ "$(id -u)" = 0 ] || return 1
  setsid dockerd >"$TEST_RUN/engine.log" 2>&1 3>&- 4>&- &
  echo $! >"$TEST_RUN/engine.pid"
  timeout 60 grep -m1 -q 'API listen on' < <(exec tail -n +1 -s 0.1 -f --pid=$! "$TEST_RUN/engine.log" 3>&-)
}
own_engine() { [ -e "$TEST_RUN/engine.pid" ]; }

stop_engine() {
  local pid
  pid=$(cat "$TEST_RUN/engine.pid")
  kill "$pid" && wait_gone "$pid"
}

# build_images: all of them, of this tree, once in a run; shows what was said when it fails.
build_images() {
  [ ! -e "$TEST_RUN/images" ] || return 0
  "$BATS_TEST_DIRNAME/../../scripts/build-all" >"$BATS_FILE_TMPDIR/build" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/build"
    return 1
  }
  touch "$TEST_RUN/images"
}

# docker_stack: what a file's tests of the docker runtime stand on: a state folder, project and ports of
# a stack's own, images of this tree; nothing is deployed yet. has_engine: whether there is one to do so.
docker_stack() {
  # A busy machine must not turn a hit in L2 into a miss.
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET PROJECT SUTRA_RUNTIME=docker NO_COLOR=1 CACHE_TIMEOUT_MS=2000
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  PROJECT=sutra-$(printf %s "$(realpath "$SUTRA_STATE_DIR")" | sha256sum | cut -c1-8)
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET)) BALANCER=127.0.0.1:$((8887 + SUTRA_PORT_OFFSET))
  start_engine || { touch "$BATS_FILE_TMPDIR/no-engine"; return 0; }
  build_images
}

has_engine() { [ ! -e "$BATS_FILE_TMPDIR/no-engine" ]; }

# docker_test: before each test on a docker_stack. An engine that has gone since is no reason to skip.
docker_test() {
  has_engine || skip "no Docker engine answers, and none could be started"
  find_model
}

# end_docker_stack: nothing of it is left.
end_docker_stack() {
  sutra down --volumes --confirm=sutra >/dev/null 2>&1 || true
  rm -rf "$SUTRA_STATE_DIR"
}

# containers, id_of SERVICE: the stack's, one's.
containers() { docker ps -aq --filter "label=com.docker.compose.project=$PROJECT"; }
id_of() { docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1"; }

# runs_again ID N: whether the engine has started the container N times again.
runs_again() { [ "$(docker inspect -f '{{.State.Running}} {{.RestartCount}}' "$1")" = "true $2" ]; }

# deploy_says N: sutra deploy in the background until it has said N lines, or all; sets DEPLOY. deploy_ends:
# waits for it, and has its exit code.
deploy_says() {
  local n
  exec 9< <(exec sutra deploy 2>&1 3>&-)
  DEPLOY=$!
  for ((n = 0; n < $1; n++)); do read -r _ <&9 || break; done
}
deploy_ends() {
  local code=0
  wait "$DEPLOY" || code=$?
  exec 9<&-
  return "$code"
}

# load_until FILE PORT [RATE]: requests in the background until the file is there; sets LOAD.
load_until() {
  python3 "$BATS_TEST_DIRNAME/load.py" "$2" "$1" "${3:-200}" >"$1.result" 3>&- &
  LOAD=$!
  eventually -p "$LOAD" [ -e "$1.begun" ]
}

# load_failed_none FILE: ends the load; whether it ran and no request failed.
load_failed_none() {
  local ok bad
  touch "$1"
  wait "$LOAD"
  read -r ok bad _ <"$1.result"
  [ "$ok" -gt 10 ] && [ "$bad" = 0 ] || {
    cat "$1.result"
    return 1
  }
}

# edit SCRIPT: a copy of the data folder, its compose file changed by python (services: s).
edit() {
  export SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data
  mkdir -p "$SUTRA_DATA_DIR"
  cp -r "$BATS_TEST_DIRNAME/../../compose" "$BATS_TEST_DIRNAME/../../validate" "$SUTRA_DATA_DIR"
  python3 - "$SUTRA_DATA_DIR/compose/docker-compose.yml" "$1" <<'PYTHON'
import sys, yaml
path, script = sys.argv[1:]
doc = yaml.safe_load(open(path))
exec(script, {"s": doc["services"]})
yaml.safe_dump(doc, open(path, "w"))
PYTHON
}

# edit_settings, has_settings PID: settings of embedding-single that a careless reader changes; whether the
# process has every byte of them.
edit_settings() {
  edit 's["embedding-single"]["environment"].update({
    "T_BLANKS": "  a b\t ", "T_LINES": "\none\n\ntwo\n", "T_QUOTES": "\"a\" '"'"'b'"'"' \\ $$HOME $$(id) `id` #",
    "T_EMPTY": "", "T_LONG": "x y" * 34000, "T_UTF8": "\u00e9\u4e2d\U0001f600 \u00e0"})'
}
has_settings() {
  python3 - "$1" <<'PYTHON'
import sys
want = {"T_BLANKS": b"  a b\t ", "T_LINES": b"\none\n\ntwo\n", "T_QUOTES": b"\"a\" 'b' \\ $HOME $(id) `id` #",
        "T_EMPTY": b"", "T_LONG": b"x y" * 34000, "T_UTF8": "\u00e9\u4e2d\U0001f600 \u00e0".encode()}
have = dict(e.split(b"=", 1) for e in open("/proc/%s/environ" % sys.argv[1], "rb").read().split(b"\0") if e)
for name, value in want.items():
    assert have.get(name.encode()) == value, (name, have.get(name.encode()))
PYTHON
}
