#!/usr/bin/env bats
# sutra-storage as the cache shard: crashes, expiry, eviction, hostile frames, a full disk, HTTP.
bats_require_minimum_version 1.5.0
load daemon.bash

setup() {
  DIR=$BATS_TEST_TMPDIR/data LOG=$BATS_TEST_TMPDIR/log ACK=$BATS_TEST_TMPDIR/ack PID='' MOUNT=''
}

teardown() {
  [ -z "$PID" ] || { kill -9 "$PID" 2>/dev/null && wait_gone "$PID"; }
  [ -z "$MOUNT" ] || umount "$MOUNT"
  ! grep -E 'runtime error|Sanitizer' "$LOG" # a sanitizer's word is a failure
}

# start [NAME=VALUE...]: a daemon on DIR; sets PID and ADDR when it listens.
start() {
  daemon sutra-storage "$LOG" STORAGE_PATH="$DIR" SUTRA_LISTEN_50052="127.0.0.1:$(free_port)" "$@"
}

stop() { # a clean end: TERM, exit 0
  kill "$PID"
  wait "$PID"
  PID=''
}

client() { "$SUTRA_TESTS/storage_client" "$ADDR" "$@"; }

# acknowledged N: until the load that writes ACK has had N writes acknowledged.
acknowledged() {
  local n
  had() { n=0 && read -r n _ <"$ACK" && [ "${n:-0}" -ge "$1" ]; } 2>/dev/null
  eventually had "$1"
}

# crash MODE: kill -9 in the middle of a load, restart; every acknowledged write is there.
crash() {
  local round n load
  for round in 1 2 3; do
    start WAL_SYNC="$1"
    rm -f "$ACK"
    client load "r$round-" 1000000 64 "$ACK" >/dev/null 3>&- &
    load=$!
    acknowledged $((round * 300))
    kill -9 "$PID"
    wait_gone "$PID"
    ! wait "$load"
    read -r n _ <"$ACK"
    start WAL_SYNC="$1" MAX_CONCEPTS=2000000
    run client verify "r$round-" "$n"
    echo "$output"
    [[ $output == "verified $n, 0 wrong" ]]
    stop
  done
}

@test "kill -9 in the middle of writing loses no acknowledged write (WAL_SYNC=always)" { crash always; }

@test "kill -9 in the middle of writing loses no acknowledged write (interval)" { crash interval; }

@test "TERM keeps everything and exits 0; 100,000 entries are replayed" {
  start MAX_CONCEPTS=200000
  run -0 client load k 100000 16 "$ACK"
  stop
  start MAX_CONCEPTS=200000
  grep -q 'replayed.* records=100000 ' "$LOG"
  run -0 client verify k 100000
  [[ $output == "verified 100000, 0 wrong" ]]
}

@test "HUP restarts in place: the same pid, what was put is there" {
  start
  run -0 client put a one
  kill -HUP "$PID"
  grep -m2 -q 'XX\|listening.*' < <(exec timeout 60 tail -n +1 -s 0.05 -f --pid="$PID" "$LOG" 3>&-)
  run -0 client get a
  [[ $output == "a=one" ]]
  kill -0 "$PID"
}

@test "expiry is by the wall clock and goes on while the server is down" {
  start
  run -0 client put short x 1
  run -0 client put long y 1000
  stop
  start
  expired() { [[ $(client get short) == nil ]]; }
  eventually expired
  run -0 client get short long
  [[ ${lines[0]} == nil && ${lines[1]} == long=y ]]
  stop
  start
  run -0 client get short long
  [[ ${lines[0]} == nil && ${lines[1]} == long=y ]]
}

@test "MAX_CONCEPTS drops the least recently used" {
  start MAX_CONCEPTS=3
  for id in a b c; do client put $id "of $id" >/dev/null; done
  run -0 client get a
  client put d "of d" >/dev/null
  run -0 client get a b c d
  [[ ${lines[*]} == "a=of a nil c=of c d=of d" ]]
  run -0 client stats
  [[ $output == *'"concepts":3,"max_concepts":3,'*'"evictions":1,'* ]]
}

@test "put, get, delete, clear, flush and stats answer as the contract says" {
  start
  run -0 client put a one
  [[ $output == "ok 1" ]]
  run -0 client put a two
  [[ $output == "ok 2" ]]
  run -0 client get a
  [[ $output == "a=two" ]]
  run -0 client delete a
  [[ $output == "found 1" ]]
  run -0 client delete a
  [[ $output == "found 0" ]]
  client put b three >/dev/null
  run -0 client flush
  run -0 client clear
  [[ $output == "cleared 1" ]]
  run -0 client get b
  [[ $output == nil ]]
  run -0 client stats
  for field in concepts edges vectors written dropped pending reconciliations uptime_seconds memory_bytes \
    wal_bytes hits misses evictions expired shards; do
    [[ $output == *"\"$field\":"* ]]
  done
}

@test "pipelined requests are answered in order, in both sync modes" {
  for mode in always interval; do
    start WAL_SYNC=$mode
    run -0 client pipeline 3000
    [[ $output == "6000 answers, 0 wrong" ]]
    stop
  done
}

@test "a bad message is an error with its reason, and the connection lives on" {
  start
  # nothing, garbage, an announced array of 4 billion, an unknown name, a request of a later
  # role, a wrong type; then HealthCheck on the same connection
  run -0 client raw "" c1 ddffffffff a3466f6f a8536e617073686f74 \
    81ad44656c657465436f6e6365707481aa636f6e636570745f696407 ab4865616c7468436865636b
  [[ ${lines[0]} == *"the frame is empty"*malformed ]]
  [[ ${lines[1]} == *"not MessagePack"*malformed ]]
  [[ ${lines[2]} == *"cut off"*malformed ]]
  [[ ${lines[3]} == *'unknown request "Foo"'*invalid_value ]]
  [[ ${lines[4]} == *"Snapshot is not supported"*not_supported ]]
  [[ ${lines[5]} == *"concept_id must be a string or bytes, not a number"* ]]
  [[ ${lines[6]} == *HealthCheckOk*healthy* ]]
}

@test "a frame above 64 MiB is refused by its length and passed over" {
  start
  run -0 client bytes ffffffff00
  [[ $output == *"a frame of 4294967295 bytes; the limit is 67108864"*too_large* ]]
  run -0 client bytes 0000000a0102 # cut off: the server goes on
  run -0 client put a one
}

@test "HTTP answers on the same port" {
  start
  run -0 curl -sf "http://$ADDR/health"
  [[ $output == '{"status":"healthy","service":"storage","version":"'*'"uptime_seconds":'*'"writes":"ok"}' ]]
  run -0 curl -sf -o /dev/null -w '%{http_code} %header{x-request-id}' -H 'X-Request-Id: my-7' "http://$ADDR/ping"
  run -0 curl -sf "http://$ADDR/metrics" "http://$ADDR/metrics"
  [[ $output == *"sutra_storage_connections 1"* ]]
  curl -sf "http://$ADDR/metrics" | metrics_are_well_formed
  run -0 curl -s -D - -H 'X-Request-Id: my-7' "http://$ADDR/nothing"
  [[ $output == "HTTP/1.1 404 "*"X-Request-Id: my-7"*'"code":"not_found"'* ]]
  run -0 curl -s -D - -d x "http://$ADDR/health"
  [[ $output == "HTTP/1.1 405 "*"Allow: GET"*'"code":"method_not_allowed"'* ]]
  run -0 client bytes 474554200d0a0d0a
  [[ $output == "HTTP/1.1 400 "* ]]
}

@test "an idle connection is closed, and a client that needs it again has it at once" {
  start IDLE_TIMEOUT_SECONDS=1
  run -0 client idle
  [[ ${lines[*]} == "ok 1 kept=here" ]]
  curl -sf "http://$ADDR/metrics" | grep -qE '^sutra_storage_ends_total\{reason="idle"\} [1-9]'
}

@test "a pipelined flood of flushes is one sync for many, and every write in it is kept" {
  for mode in always interval; do
    start WAL_SYNC=$mode
    run -0 client flushes 2000
    [[ $output == "4000 answers, 0 wrong" ]]
    stop
  done
}

@test "requests whose answers nobody takes are not worked on" {
  start
  exec 5<>"/dev/tcp/${ADDR%:*}/${ADDR##*:}"
  printf 'GET /metrics HTTP/1.1\r\n\r\n%.0s' {1..10000} >&5
  run -0 curl -sf "http://$ADDR/metrics" "http://$ADDR/metrics"
  [[ $output =~ sutra_storage_requests_total\ ([0-9]+) ]]
  [ "${BASH_REMATCH[1]}" -lt 9000 ]
  exec 5<&-
  run -0 curl -sf "http://$ADDR/health"
}

@test "the connections that fit the descriptors are taken; who waits longest makes room, and the log says so" {
  # shellcheck disable=SC3045
  ulimit -Sn 200 && ulimit -Hn 200
  start
  grep -q 'descriptor limit allows fewer connections MAX_CONNECTIONS=8192 allowed=136' "$LOG"
  run -0 client crowd 180
  [[ $output == "180 answered, 0 failed" ]]
  wait_line "$LOG" 'ended or refused for want of room' "$PID"
}

@test "a second one on the same folder is refused with the holder's pid, exit 7" {
  start
  run -7 --separate-stderr env STORAGE_PATH="$DIR" SUTRA_LISTEN_50052=127.0.0.1:0 "$SUTRA_BIN/sutra-storage"
  # shellcheck disable=SC2154
  [[ $stderr == *"$DIR is in use by another sutra-storage (pid $PID)"* ]]
}

@test "PORT and STORAGE_HOST are where it listens, unless SUTRA_LISTEN says" {
  local port
  port=$(free_port)
  daemon sutra-storage "$LOG" STORAGE_PATH="$DIR" PORT="$port" STORAGE_HOST=127.0.0.2
  [ "$ADDR" = "127.0.0.2:$port" ]
  stop
  daemon sutra-storage "$LOG" STORAGE_PATH="$DIR" PORT="$port" STORAGE_HOST=127.0.0.2 SUTRA_LISTEN=127.0.0.3
  [ "$ADDR" = "127.0.0.3:$port" ]
}

@test "a wrong setting stops it with the name, the value and what is allowed, exit 2" {
  for wrong in SUTRA_ROLE=main EVICTION_POLICY=s3fifo WAL_SYNC=never MAX_CONCEPTS=0 WAL_SYNC_INTERVAL_MS=x; do
    run -2 --separate-stderr env STORAGE_PATH="$DIR" "$wrong" "$SUTRA_BIN/sutra-storage"
    [[ $stderr == *"${wrong%=*} is \"${wrong#*=}\"; allowed are "* ]]
  done
}

@test "a torn end is cut and told; damage is told with its place and the rest kept" {
  start
  for id in a b c; do client put $id "of $id" >/dev/null; done
  kill -9 "$PID"
  wait_gone "$PID"
  printf 'FRAM torn' >>"$DIR/000001.wal"
  run -0 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  [[ $output == *"3 records in 3 frames"*"torn end: 9 bytes"* ]]
  start
  grep -q 'left out a torn end of the log bytes=9' "$LOG"
  run -0 client get a b c
  [[ ${lines[*]} == "a=of a b=of b c=of c" ]]
  stop
  run -0 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  printf X | dd of="$DIR/000001.wal" bs=1 seek=190 conv=notrunc status=none
  run -1 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  [[ $output == *"damage: 1 ranges,"*"000001.wal at 128: checksum, "*"; 1 records are lost (LSN 1-1)"* ]]
  [[ $output == *"lost: 1 records; a delete or a newer value may be among them"* ]]
  start
  grep -q 'damage in the log range="000001.wal at 128: checksum' "$LOG"
  grep -q 'the log is damaged.* lost_records=1 note="a delete or a newer value may be among them' "$LOG"
  run -0 curl -sf "http://$ADDR/metrics"
  [[ $output == *"sutra_storage_damaged_ranges 1"*"sutra_storage_lost_records 1"* ]]
  run -0 client stats
  [[ $output == *'"damaged_ranges":1,"lost_records":1,'* ]]
  run -0 client get a b c
  [[ ${lines[*]} == "nil b=of b c=of c" ]]
}

@test "a segment that is gone, or swapped, is named; a log of the version before is read" {
  for id in a b c; do
    start
    client put $id "of $id" >/dev/null
    [ $id != b ] || run -0 client delete a
    stop
  done
  cp -r "$DIR" "$DIR.whole"
  rm "$DIR/000002.wal"
  run -1 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  [[ $output == *"1 segments missing"*"000002.wal at 0: the segment is missing, 0 bytes; 2 records are lost (LSN 2-3)"* ]]
  start
  grep -q 'the log is damaged.* missing_segments=1 lost_records=2 note="a delete' "$LOG"
  run -0 client get a c
  [[ ${lines[*]} == "a=of a c=of c" ]] # a's delete was in it, as the note says
  stop
  rm -rf "$DIR"
  mv "$DIR.whole" "$DIR"
  mv "$DIR/000001.wal" "$DIR/x"
  mv "$DIR/000003.wal" "$DIR/000001.wal"
  mv "$DIR/x" "$DIR/000003.wal"
  run -1 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  [[ $output == *"its header has another number"* && $output != *lost:* ]]
  start
  run -0 client get a b c
  [[ ${lines[*]} == "nil b=of b c=of c" ]]
  stop
  rm -rf "$DIR"
  cp -r "$BATS_TEST_DIRNAME/../data/wal-1" "$DIR"
  run -0 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  [[ $output == "7 records in 7 frames in 2 segments"* ]]
  start
  run -0 client get a b gone
  [[ ${lines[*]} == "a=four b=two nil" ]]
}

@test "a FIFO in the place of a segment or the manifest is an error, and nothing waits for it" {
  for name in 000001.wal manifest; do
    rm -rf "$DIR"
    mkdir "$DIR"
    mkfifo "$DIR/$name"
    run -1 timeout 60 "$SUTRA_BIN/sutra-storage" --check "$DIR"
    [[ $output == *"cannot read $DIR/$name"* ]]
  done
}

@test "starts without writes leave no segments behind" {
  start
  run -0 client put one here
  stop
  for _ in 1 2 3; do
    start
    stop
  done
  [ "$(find "$DIR" -name '*.wal' | wc -l)" -le 2 ]
  start
  run -0 client get one
  [[ $output == one=here ]]
  stop
}

# read_only WHY: the daemon that has just started reads, refuses writes, and health says why.
read_only() {
  run -0 client get early
  [[ $output == early=here ]]
  run -1 client put more x
  [[ $output == "error read_only" ]]
  run -1 client delete early
  [[ $output == "error read_only" ]]
  run -0 curl -sf "http://$ADDR/health"
  [[ $output == *'"status":"healthy"'*'"writes":"read_only"'*'"degraded":"'*"$1"* ]]
  wait_line "$LOG" "takes no writes now.*$1" "$PID"
}

@test "it starts on a full and on a read-only disk, reads, and writes again when that ends" {
  mkdir -p "$DIR"
  mount -t tmpfs -o size=1m,nr_inodes=16 sutra-test "$DIR" 2>/dev/null || skip "no right to mount a tmpfs"
  MOUNT=$DIR
  start
  run -0 client put early here
  stop
  for way in bytes inodes readonly readonly-without-lock; do
    case $way in
    bytes) ! dd if=/dev/zero of="$DIR/filler" bs=4k 2>/dev/null ;;
    inodes) rm "$DIR/lock" && ! touch "$DIR"/filler{1..16} 2>/dev/null ;;
    readonly) mount -o remount,ro "$DIR" ;;
    readonly-without-lock) rm "$DIR/lock" && mount -o remount,ro "$DIR" ;;
    esac
    start
    case $way in
    readonly*) read_only "Read-only file system" && mount -o remount,rw "$DIR" ;;
    *) read_only "No space left" && rm -f "$DIR"/filler* ;;
    esac
    eventually client put "$way" y
    wait_line "$LOG" 'takes writes again' "$PID"
    stop
    run -0 "$SUTRA_BIN/sutra-storage" --check "$DIR"
  done
  start
  run -0 client get early bytes inodes readonly readonly-without-lock
  [[ ${lines[*]} == "early=here bytes=y inodes=y readonly=y readonly-without-lock=y" ]]
  stop
}

@test "a full disk: puts answer storage_full, gets go on, health says so, space brings them back" {
  mkdir -p "$DIR"
  mount -t tmpfs -o size=1m sutra-test "$DIR" 2>/dev/null || skip "no right to mount a tmpfs"
  MOUNT=$DIR
  start
  run -0 client put early here
  run -1 client load k 100000 256 "$ACK"
  read -r n _ <"$ACK"
  [ "$n" -gt 100 ]
  run -1 client put more x
  [[ $output == "error storage_full" ]]
  run -0 client get early
  [[ $output == early=here ]]
  run -0 client verify k "$n"
  run -0 curl -sf "http://$ADDR/health"
  [[ $output == *'"status":"healthy"'*'"writes":"read_only"'*'"degraded":"'*"No space left"* ]]
  wait_line "$LOG" 'takes no writes now' "$PID"
  mount -o remount,size=64m "$DIR"
  eventually client put more y
  run -0 client get more
  [[ $output == more=y ]]
  run -0 curl -sf "http://$ADDR/health"
  [[ $output == *'"writes":"ok"'* ]]
  wait_line "$LOG" 'takes writes again' "$PID"
  stop
  start
  run -0 client get early more
  [[ ${lines[*]} == "early=here more=y" ]]
  stop
}
