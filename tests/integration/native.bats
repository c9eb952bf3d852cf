#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
load daemon.bash
# How services run natively: the bytes of their settings, their user and rights, what others can
# reach, and how their end is told.

setup_file() {
  SUTRA_STATE_DIR=$(mktemp -d)
  SUTRA_PORT_OFFSET=$(port_offset)
  export SUTRA_STATE_DIR SUTRA_PORT_OFFSET SUTRA_RUNTIME=native SUTRA_EDITION=simple NO_COLOR=1
  export GATEWAY=127.0.0.1:$((8888 + SUTRA_PORT_OFFSET))
}

setup() { find_model; }

teardown() { sutra down -q >/dev/null 2>&1 || true; }

teardown_file() { rm -rf "$SUTRA_STATE_DIR"; }

pid_of() { sutra status --json | jq ".services[] | select(.name == \"$1\").pid"; }

# environment_of SERVICE NAME: the value as the process has it, every byte.
environment_of() {
  python3 - "$(pid_of "$1")" "$2" <<'PYTHON'
import sys
for entry in open("/proc/%s/environ" % sys.argv[1], "rb").read().split(b"\0"):
    if entry.startswith(sys.argv[2].encode() + b"="):
        sys.stdout.buffer.write(entry.split(b"=", 1)[1])
PYTHON
}

@test "a process gets every byte of a setting" {
  edit_settings
  SUTRA_PROMPT=$'query: http://ml-base-1 \n' run -0 sutra deploy
  has_settings "$(pid_of embedding-single)"
  # A prompt is words: it names no service, and its last blank counts.
  environment_of ml-base-1 SUTRA_PROMPT >"$BATS_TEST_TMPDIR/prompt"
  printf 'query: http://ml-base-1 \n' | cmp - "$BATS_TEST_TMPDIR/prompt"
  [ "$(stat -c %a "$SUTRA_STATE_DIR/native/services/ml-base-1/environ")" = 600 ]
}

@test "a setting that no process can take, or that is not UTF-8, is refused with its name" {
  edit 's["embedding-single"]["environment"]["T_LONG"] = "x y" * 44000'
  run -2 sutra deploy
  [[ $output == *'environment.T_LONG is too long'* ]]
  edit 's["embedding-single"]["environment"]["T_LONG"] = "x y"'
  SUTRA_PROMPT=$'\xff' run -2 sutra deploy
  [[ $output == *'services.ml-base-1: environment.SUTRA_PROMPT is not UTF-8'* ]]
}

@test "a password of any characters opens the balancer's statistics, and nothing else does" {
  local password=' a "b'"'"' $HOME ${X} # \ é%:@/ ' stats=127.0.0.1:$((8404 + SUTRA_PORT_OFFSET))
  SUTRA_EDITION=enterprise HAPROXY_STATS_USER='op "1' HAPROXY_STATS_PASSWORD=$password run -0 sutra deploy --timeout 20s
  curl -sf -o /dev/null -u "op \"1:$password" "http://$stats/stats"
  [ "$(curl -s -o /dev/null -w '%{http_code}' -u "op \"1:${password% }" "http://$stats/stats")" = 401 ]
  run -0 sutra status
  run ! grep -qsaF "${password# }" /proc/[0-9]*/cmdline
  SUTRA_EDITION=enterprise HAPROXY_STATS_PASSWORD=$(printf '%300s' '') run -2 sutra deploy
  [[ $output == *'HAPROXY_STATS_PASSWORD has 300 bytes; 256 are allowed'* ]]
}

@test "services gain no privileges; who was killed is named" {
  run -0 sutra deploy
  local pid
  pid=$(pid_of ml-base-1)
  grep -q 'NoNewPrivs:[[:space:]]*1' "/proc/$pid/status"
  kill -KILL "$pid"
  wait_gone "$pid"
  eventually sutra status -q
  run -0 sutra status
  [[ $output == *'note: ml-base-1 was started again after it was killed by signal 9 (KILL)'* ]]
}

@test "who reached the memory limit is named with it" {
  edit 's["embedding-single"]["deploy"] = {"resources": {"limits": {"memory": "1M"}}}'
  run sutra deploy --timeout 20s --no-rollback
  sutra status --json >"$BATS_TEST_TMPDIR/status" || true
  if [ "$(jq .limits_enforced "$BATS_TEST_TMPDIR/status")" = true ] && [ "$status" != 0 ]; then
    [[ $output == *'embedding-single was killed: memory limit 1.0 MiB reached instead of becoming ready'* ]]
  else
    local root=/sys/fs/cgroup
    [ ! -w "$root/memory/cgroup.procs" ]
    [ ! -w "$root/cgroup.procs" ] || ! grep -qw memory "$root/cgroup.controllers"
  fi
}

@test "SUTRA_USER runs services as another user, who owns their data and reads no more" {
  [ "$(id -u)" = 0 ] || skip "only root may choose"
  local service pid model=$BATS_TEST_TMPDIR/models
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
  cp -rL "$SUTRA_BIN/." "$BATS_TEST_TMPDIR/bin" # root's home may be closed to others
  export PATH=$BATS_TEST_TMPDIR/bin:$PATH SUTRA_DATA_DIR=$BATS_TEST_DIRNAME/../..
  mkdir -m 700 "$model"
  cp -rL "$MODEL" "$model/m"
  chmod -R a+rX "$model/m"
  SUTRA_USER=nobody MODEL_PATH=$model/m run -1 sutra deploy
  [[ $output == *"the user nobody (SUTRA_USER) cannot read $model"* ]]
  chmod 755 "$model"
  run -0 sutra deploy
  [[ $output == *'note: the services run as root; SUTRA_USER=NAME gives them another user'* ]]
  SUTRA_USER=nobody MODEL_PATH=$model/m run -0 sutra deploy
  [[ $output != *'run as root'* ]]
  for service in ml-base-1 storage-cache-shard embedding-single; do
    [ "$(stat -c %U "/proc/$(pid_of "$service")")" = nobody ]
  done
  [ "$(stat -c %U "$SUTRA_STATE_DIR/volumes/storage-cache-data")" = nobody ]
  # Its restart in place runs through the same script, without root's rights.
  pid=$(pid_of embedding-single)
  run -0 sutra restart embedding-single
  [ "$(pid_of embedding-single)" = "$pid" ]
  run -0 sutra deploy
  [ "$(stat -c %U "/proc/$(pid_of embedding-single)")" = root ]
  SUTRA_USER=nobody-at-all run -2 sutra deploy
  [[ $output == *'SUTRA_USER is "nobody-at-all", and this machine has no such user'* ]]
}

@test "few open files: the balancer takes what fits and says so; a better shell's deploy starts all anew" {
  export SUTRA_EDITION=community
  (ulimit -n 1024 && run -0 sutra deploy
    [[ $output == *'note: a service may open 1024 files, so a balancer takes about 502 connections, not 4,100'* ]])
  run -0 sutra status
  [[ $output == *'note: a service may open 1024 files'* ]]
  curl -s "http://127.0.0.1:$((9999 + SUTRA_PORT_OFFSET))/metrics" | grep -Ex 'haproxy_process_max_connections (49.|50.)'
  [ "$(ulimit -Hn)" -ge 8220 ] || return 0
  run -0 sutra deploy
  [[ $output == *'its supervisor may open fewer files'* && $output != *'note: a service may open'* ]]
  curl -s "http://127.0.0.1:$((9999 + SUTRA_PORT_OFFSET))/metrics" | grep -Ex 'haproxy_process_max_connections (409.|410.)'
}

# reachable PORT: whether it is open on an address of this machine that is not loopback.
reachable() {
  local host
  for host in $(hostname -I); do
    [[ $host == *:* ]] || ! (exec 4<>"/dev/tcp/$host/$(($1 + SUTRA_PORT_OFFSET))") 2>/dev/null || return 0
  done
  return 1
}

@test "SUTRA_BIND publishes the gateway alone, --insecure the rest too; status says so" {
  [ -n "$(hostname -I)" ] || skip "no address but loopback"
  export SUTRA_EDITION=community SUTRA_BIND=0.0.0.0
  run -0 sutra deploy
  [[ $output == *"note: embedding-single serves whoever reaches 0.0.0.0:$((8888 + SUTRA_PORT_OFFSET)), without a key"* ]]
  reachable 8888
  run ! reachable 8887
  run ! reachable 9999
  run ! reachable 50052
  curl -sf "http://127.0.0.1:$((9999 + SUTRA_PORT_OFFSET))/health"
  run -0 sutra deploy --insecure
  reachable 50052
  reachable 9999
  run -0 sutra status
  [[ $output == *"note: storage-cache-shard is published on 0.0.0.0:$((50052 + SUTRA_PORT_OFFSET)) without a key"* ]]
  run -0 sutra deploy
  run ! reachable 50052
}
