# shellcheck shell=bash
# A program on a terminal, by tmux: what it shows, keys.

# start COLUMNS ROWS COMMAND: in a tmux of its own, whose shell stays. A server of tmux that another one
# meets at its own start or end may exit at once: another name then.
start() {
  local try
  for try in 1 2 3; do
    T=(tmux -L "sutra-$$-$BATS_TEST_NUMBER-$try" -f /dev/null)
    "${T[@]}" new-session -d -x "$1" -y "$2" \
      "$3; echo CODE \$?; stty -a | grep -oE -- '-?(icanon|echo) '; exec tail -f /dev/null" && return
  done
  return 1
}

frame() { "${T[@]}" capture-pane -p; }

# shows PATTERN: until the screen holds it (an extended expression). drawn FRAME: until it holds another frame.
shows() {
  is_shown() { frame | grep -qE -- "$1"; }
  eventually is_shown "$1" || { frame && return 1; }
}
drawn() {
  is_another() { [ "$(frame)" != "$1" ]; }
  eventually is_another "$1" || { frame && return 1; }
}

press() { "${T[@]}" send-keys "$@"; }

end_tmux() { [ -z "${T:-}" ] || "${T[@]}" kill-server 2>/dev/null || true; }
