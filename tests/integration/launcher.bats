#!/usr/bin/env bats
# ./sutra and scripts/test in a tree of their own, with stand-ins for dpkg-query, apt-get, make: what they
# ask, install, build and run, and when. Locks are held against the real apt-get.
bats_require_minimum_version 1.5.0
load daemon.bash

setup() {
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,lib,cmd,scripts,build/bin,tests}
  cp "$BATS_TEST_DIRNAME/../../sutra" "$tree/sutra"
  cp "$BATS_TEST_DIRNAME"/../../scripts/{packages,build,test} "$tree/scripts"
  ln -s "$BATS_TEST_DIRNAME/../cli" "$tree/tests/cli"
  touch "$tree/Makefile"
  export PATH=$tree/bin:/usr/bin:/bin SAID=$tree/said LACKING=
  unset CI MAKEFLAGS
  # All packages are installed but those in LACKING; apt-get "installs" the rest.
  stand_in dpkg-query 'for p; do case " $LACKING " in *" $p "*) ;; *) echo "$p installed" ;; esac; done; [ -z "$LACKING" ]'
  stand_in apt-get 'echo "apt-get $*" >>"$SAID"'
  stand_in sudo '[ "$1" != -n ] || shift; "$@"'
  stand_in program 'echo "ran $*"'
  stand_in make '[ "$1" != -n ] || { printf "echo \'\''  CC   %s\'\''\\n" a b; exit; }
    echo "made ${*:2}" >>"$SAID"; printf "  CC   %s\\n" a b; cp "$(dirname "$0")/program" "$(dirname "$0")/../build/bin/sutra"'
  : >"$SAID"
}

teardown() { rm -rf "$tree"; }

stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$tree/bin/$1"
  chmod +x "$tree/bin/$1"
}

@test "the first run builds and passes its arguments on" {
  run -0 --separate-stderr "$tree/sutra" deploy --plan "two words" </dev/null
  [ "$output" = "ran deploy --plan two words" ]
  # shellcheck disable=SC2154 # stderr is what run --separate-stderr leaves
  [ "$stderr" = "sutra: building (once, a minute or two)" ]
  [ "$(cat "$SAID")" = "made " ]
}

@test "a second run builds nothing; a newer source, also a new folder's, does" {
  "$tree/sutra" status </dev/null
  : >"$SAID"
  "$tree/sutra" status </dev/null
  [ ! -s "$SAID" ]
  mkdir "$tree/lib/base"
  touch -d '1 hour' "$tree/lib/base/new.c"
  run -0 --separate-stderr "$tree/sutra" status </dev/null
  [ "$stderr" = "sutra: building what has changed" ]
  [ "$(cat "$SAID")" = "made " ]
}

@test "Tab neither builds nor asks" {
  run -2 "$tree/sutra" completion words -- dep </dev/null
  [ -z "$output" ]
  "$tree/sutra" status </dev/null
  : >"$SAID"
  touch -d '1 hour' "$tree/Makefile"
  run -0 "$tree/sutra" completion words -- dep </dev/null
  [ "$output" = "ran completion words -- dep" ]
  [ ! -s "$SAID" ]
}

@test "without a terminal it installs nothing, names the packages and the flag, exits 2" {
  LACKING="haproxy runit" run "$tree/sutra" deploy </dev/null
  [ "$status" -eq 2 ]
  [[ $output == *"haproxy runit"*--yes* ]]
  [ ! -s "$SAID" ]
}

@test "--yes, -y or CI=true installs what is missing, and only that" {
  LACKING="haproxy runit" run "$tree/sutra" deploy --yes </dev/null
  [ "$status" -eq 0 ]
  grep -q 'apt-get .*install .*haproxy runit$' "$SAID"
  run ! grep -q 'gcc' "$SAID"
  rm "$tree/build/bin/sutra"
  LACKING=gcc run "$tree/sutra" deploy -y </dev/null
  grep -q 'apt-get .*install .*gcc$' "$SAID"
  rm "$tree/build/bin/sutra"
  LACKING=unzip CI=true run "$tree/sutra" deploy </dev/null
  grep -q 'apt-get .*install .*unzip$' "$SAID"
}

@test "on a terminal it asks; no is an answer" {
  command -v script >/dev/null || skip "needs script(1)"
  answer() { LACKING=runit script -qec "$tree/sutra deploy" /dev/null <<<"$1"; }
  run answer n
  [ "$status" -eq 2 ]
  [[ $output == *"Install runit?"*"nothing was installed"* ]]
  [ ! -s "$SAID" ]
  run answer y
  [ "$status" -eq 0 ]
  grep -q 'apt-get .*install .*runit$' "$SAID"
}

@test "a failed installation or build ends it" {
  stand_in apt-get 'echo "E: no network" >&2; exit 100'
  LACKING=runit run "$tree/sutra" deploy --yes </dev/null
  [ "$status" -ne 0 ]
  [[ $output == *"no network"* ]]
  [[ $output != *"ran deploy"* ]]
  stand_in make 'echo "error: x" >&2; exit 2'
  LACKING="" run "$tree/sutra" deploy </dev/null
  [ "$status" -ne 0 ]
  [[ $output != *"ran deploy"* ]]
}

@test "it is found through a link" {
  ln -s "$tree/sutra" "$tree/bin/link"
  run --separate-stderr link status </dev/null
  [ "$output" = "ran status" ]
}

@test "help and version are shown before there is a program, and what is shown is what it says" {
  LACKING="gcc make"
  for how in help version --version -h --help 'status -h' 'deploy --help'; do
    # shellcheck disable=SC2086
    run -0 --separate-stderr "$tree/sutra" $how </dev/null
    shown=$output
    # shellcheck disable=SC2086
    run -0 --separate-stderr "${SUTRA_BIN:-build/bin}/sutra" $how
    [ "$shown" = "$output" ]
  done
  [ ! -s "$SAID" ]
  run -2 "$tree/sutra" deploy </dev/null
}

@test "a build tells on a terminal how far it is" {
  command -v script >/dev/null || skip "needs script(1)"
  run -0 script -qec "$tree/sutra status" /dev/null </dev/null
  [[ $output == *"1 of 2 files"*"2 of 2 files"*"ran status"* ]]
}

@test "without the right to install, an administrator's line is shown, with --yes and without" {
  [ "$(id -u)" != 0 ] || stand_in id '[ "$1" != -u ] || { echo 1000; exit; }; echo me'
  stand_in sudo 'echo "sudo: a password is required" >&2; exit 1'
  LACKING="haproxy runit" run -2 "$tree/sutra" deploy --yes </dev/null
  [[ $output == *"sudo does not let "*" do it"*"apt-get update && apt-get install -y --no-install-recommends haproxy runit" ]]
  rm "$tree/bin/sudo"
  for tool in bash readlink dirname find id awk; do [ -e "$tree/bin/$tool" ] || ln -s "$(command -v $tool)" "$tree/bin/$tool"; done
  for yes in --yes --json; do
    LACKING="haproxy runit" PATH=$tree/bin run -2 "$tree/sutra" deploy $yes </dev/null
    [[ $output == *"there is no sudo"*"an administrator runs: apt-get update && "*" haproxy runit" ]]
  done
  [ ! -s "$SAID" ]
}

@test "scripts/test installs what the suite needs, builds, fetches the model and runs it" {
  LACKING="bats xxd" run -2 "$tree/scripts/test" </dev/null
  [[ $output == *"packages are missing: bats xxd"*"--yes installs them"* ]]
  [ ! -s "$SAID" ]
  LACKING="bats xxd" run -0 "$tree/scripts/test" --yes </dev/null
  [[ $output == *"ran model fetch --yes"* ]]
  grep -q 'apt-get .*install .*bats xxd$' "$SAID"
  [ "$(tail -n 3 "$SAID")" = $'made tests\nmade onednn3\nmade test' ]
}

# holder LOCK...: a process that holds them, as apt and dpkg do, until it is ended; sets HOLDER.
holder() {
  python3 -c 'import fcntl, signal, sys
held = [open(name, "w") for name in sys.argv[1:]]
for f in held: fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()' "$@" >"$tree/held" 3>&- &
  HOLDER=$!
  wait_line "$tree/held" held "$HOLDER"
}

# an apt-get of this tree's own folders, without sources
own_apt() {
  rm "$tree/bin/apt-get"
  mkdir -p "$tree"/apt/{lists,cache/archives,etc,dpkg}/partial
  : >"$tree/apt/dpkg/status"
  printf '%s\n' "Dir::State \"$tree/apt\";" "Dir::State::lists \"$tree/apt/lists\";" "Dir::Cache \"$tree/apt/cache\";" \
    "Dir::Etc \"$tree/apt/etc\";" "Dir::State::status \"$tree/apt/dpkg/status\";" >"$tree/apt/conf"
  export APT_CONFIG=$tree/apt/conf LACKING=runit
}

@test "a lock of apt or dpkg that another process holds: its name, exit 7 after the wait" {
  own_apt
  for lock in lists/lock dpkg/lock-frontend; do
    holder "$tree/apt/$lock"
    APT_WAIT=2 run -7 "$tree/sutra" deploy --yes </dev/null
    kill "$HOLDER"
    [[ $output == *"process $HOLDER (python3 -c import fcntl"*") holds $tree/apt/$lock, after 2 s"* ]]
    [[ $output != *"E: "* ]]
  done
  APT_WAIT=soon run -2 "$tree/sutra" deploy --yes </dev/null
  [[ $output == *'APT_WAIT is "soon"'* ]]
}

@test "a lock that is let go: who holds it is named, and it goes on" {
  own_apt
  for lock in lists/lock dpkg/lock-frontend; do
    holder "$tree/apt/$lock"
    "$tree/sutra" deploy --yes </dev/null 2>"$tree/told" 3>&- &
    launcher=$!
    wait_line "$tree/told" "waiting for apt: process $HOLDER (python3 -c import fcntl.*) holds $tree/apt/$lock" "$launcher"
    kill "$HOLDER"
    rc=0
    wait "$launcher" || rc=$?
    [ "$rc" = 100 ] # apt's: its folders know no package
    grep -q 'Unable to locate package runit' "$tree/told"
  done
}

@test "without an engine no image's base is made first" {
  stand_in docker 'echo "docker $*" >>"$SAID"; echo "Cannot connect to the Docker daemon" >&2; exit 1'
  run -1 "$BATS_TEST_DIRNAME/../../scripts/build-all"
  [[ $output == *"no Docker engine answers: Cannot connect to the Docker daemon"*"DOCKER_HOST"* ]]
  [ "$(cat "$SAID")" = "docker version" ]
}
