#!/usr/bin/env bats
# make install into a folder of its own, what is there works, make uninstall leaves nothing.

setup() {
  dest=$(mktemp -d)
  cd "$BATS_TEST_DIRNAME/../.." || return
  export HOME=$dest/home
  unset SUTRA_DATA_DIR
  mkdir "$HOME"
}

teardown() { rm -rf "$dest"; }

# The build under test, whatever its compiler and flags were.
make_it() {
  make -s -o all "$1" BIN="$SUTRA_BIN" PROGRAMS="$(echo "$SUTRA_BIN"/sutra*)" DESTDIR="$dest/stage" PREFIX=/usr
}

@test "install puts programs, manuals, data and completion where a package would" {
  make_it install
  root=$dest/stage/usr
  for main in cmd/*/main.c; do
    program=$(basename "$(dirname "$main")")
    [ -x "$root/bin/$program" ]
  done
  for page in man/*.[1-8]; do
    cmp "$page" "$root/share/man/man${page##*.}/${page##*/}"
  done
  diff -r compose "$root/share/sutra/compose"
  diff -r validate "$root/share/sutra/validate"
  diff -r man/schema "$root/share/sutra/schema"
  cd /
  PATH=$root/bin:/usr/bin:/bin
  [ "$(sutra version)" = "$("$SUTRA_BIN/sutra" version)" ]
  # It reads the installed settings, not the source tree's.
  sutra config >/dev/null
  echo MATRYOSHKA_DIMM=1 >"$root/share/sutra/compose/.env"
  run sutra config
  [ "$status" -eq 2 ]
  [[ $output == *MATRYOSHKA_DIMM* ]]
}

@test "the three completions are where their shells look" {
  make_it install
  root=$dest/stage/usr/share
  diff <("$SUTRA_BIN/sutra" completion bash) "$root/bash-completion/completions/sutra"
  diff <("$SUTRA_BIN/sutra" completion zsh) "$root/zsh/site-functions/_sutra"
  diff <("$SUTRA_BIN/sutra" completion fish) "$root/fish/vendor_completions.d/sutra.fish"
}

@test "uninstall leaves nothing" {
  make_it install
  [ -n "$(find "$dest/stage" -type f)" ]
  make_it uninstall
  [ -z "$(find "$dest/stage" -type f -o -type l)" ]
}

# The loader resolves everything first and makes the table read-only; code lies anywhere, no stack
# is executable; smashed stacks and buffers end the program. (Sanitizers have their own checks.)
@test "every program is hardened" {
  for main in cmd/*/main.c; do
    program=$SUTRA_BIN/$(basename "$(dirname "$main")")
    headers=$(readelf -hldW --dyn-syms "$program")
    [[ $headers == *"Type: "*"DYN (Position-Independent Executable"* ]]
    [[ $headers == *"Flags: NOW PIE"* && $headers == *GNU_RELRO* ]]
    grep -E 'GNU_STACK.* RW ' <<<"$headers"
    [[ $headers == *__stack_chk_fail* ]]
    [[ $headers == *__asan_init* || $headers == *__tsan_init* ]] || grep -E '__[a-z]+_chk(@| )' <<<"$headers"
  done
}

# oneDNN and what it brings would double the memory of a monitor and the time to say help.
@test "only ml-base loads the library of matrix products" {
  ldd "$SUTRA_BIN/sutra-ml-base" | grep -q libdnnl
  for program in sutra sutra-embedding sutra-storage sutra-run sutra-probe; do
    run -0 ldd "$SUTRA_BIN/$program"
    [[ $output != *libdnnl* ]]
  done
}

# linked PROGRAM...: the packages of the libraries they name, but for the compiler's own.
linked() {
  local program
  for program; do
    readelf -d "$SUTRA_BIN/$program" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'
  done | sort -u | while read -r name; do
    dpkg-query -S "*/$(gcc -print-multiarch)/$name" 2>/dev/null | sed 's/:.*//' | head -n 1
  done | sort -u | grep -vxE 'libc6|libgcc-s1|lib(a|t|ub)san[0-9]*'
}

@test "an image installs the libraries that its programs link, and no other" {
  images() { # stage
    sed -n "/ AS $1\$/,/^FROM .* AS /p" compose/Dockerfile | tr -d '\n\\' | grep -o -- '--install [^&]*' |
      tr -s ' ' '\n' | grep '^lib' | sort -u
  }
  diff <(images services) <(linked sutra-storage sutra-embedding)
  diff <(images ml-base) <(linked sutra-ml-base)
  [[ $(linked sutra) == *libcurl4* ]]
  [[ $(linked sutra-storage sutra-ml-base sutra-probe sutra-run) != *libcurl4* ]]
}
