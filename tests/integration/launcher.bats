#!/usr/bin/env bats
# ./sutra in a tree of its own, with stand-ins for dpkg-query, apt-get, make: what it asks,
# installs, builds and runs, and when.
bats_require_minimum_version 1.5.0

setup() {
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,lib,cmd,scripts,build/bin}
  cp "$BATS_TEST_DIRNAME/../../sutra" "$tree/sutra"
  cp "$BATS_TEST_DIRNAME/../../scripts/packages" "$tree/scripts/packages"
  touch "$tree/Makefile"
  export PATH=$tree/bin:/usr/bin:/bin SAID=$tree/said LACKING=
  unset CI
  # All packages are installed but those in LACKING; apt-get "installs" the rest.
  stand_in dpkg-query 'for p; do case " $LACKING " in *" $p "*) ;; *) echo "$p installed" ;; esac; done; [ -z "$LACKING" ]'
  stand_in apt-get 'echo "apt-get $*" >>"$SAID"'
  stand_in sudo '"$@"'
  stand_in program 'echo "ran $*"'
  stand_in make 'echo made >>"$SAID"; cp "$(dirname "$0")/program" "$(dirname "$0")/../build/bin/sutra"'
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
  [ "$stderr" = "sutra: building (once, about half a minute)" ]
  [ "$(cat "$SAID")" = made ]
}

@test "a second run builds nothing; a newer source, also a new folder's, does" {
  "$tree/sutra" version </dev/null
  : >"$SAID"
  "$tree/sutra" version </dev/null
  [ ! -s "$SAID" ]
  mkdir "$tree/lib/base"
  touch -d '1 hour' "$tree/lib/base/new.c"
  run -0 --separate-stderr "$tree/sutra" version </dev/null
  [ "$stderr" = "sutra: building what has changed" ]
  [ "$(cat "$SAID")" = made ]
}

@test "Tab neither builds nor asks" {
  run -2 "$tree/sutra" completion words -- dep </dev/null
  [ -z "$output" ]
  "$tree/sutra" version </dev/null
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
  grep -q 'apt-get install .*haproxy runit$' "$SAID"
  run ! grep -q 'gcc' "$SAID"
  rm "$tree/build/bin/sutra"
  LACKING=gcc run "$tree/sutra" deploy -y </dev/null
  grep -q 'apt-get install .*gcc$' "$SAID"
  rm "$tree/build/bin/sutra"
  LACKING=unzip CI=true run "$tree/sutra" deploy </dev/null
  grep -q 'apt-get install .*unzip$' "$SAID"
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
  grep -q 'apt-get install .*runit$' "$SAID"
}

@test "a failed installation or build ends it" {
  stand_in apt-get 'echo "E: no network" >&2; exit 100'
  LACKING=runit run "$tree/sutra" deploy --yes </dev/null
  [ "$status" -ne 0 ]
  [[ $output == *"no network"* ]]
  [[ $output != *ran* ]]
  stand_in make 'echo "error: x" >&2; exit 2'
  LACKING="" run "$tree/sutra" deploy </dev/null
  [ "$status" -ne 0 ]
  [[ $output != *ran* ]]
}

@test "it is found through a link" {
  ln -s "$tree/sutra" "$tree/bin/link"
  run --separate-stderr link version </dev/null
  [ "$output" = "ran version" ]
}
