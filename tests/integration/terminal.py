"""Runs a command on a terminal of its own and plays steps: terminal.py COMMAND -- WAIT SEND WAIT SEND ...

WAIT is a text, or several lines, that must appear behind what was waited for last, SEND what is typed then (\\x03 and the
like are read); {port} in SEND is a port that never answers, {asked} as WAIT that somebody has connected to it. Prints all that was shown
and ends with the command's exit code, 99 when a text did not come within 20 s.
"""
import os, pty, select, socket, sys, time

at = sys.argv.index("--")
command, steps = sys.argv[1:at], sys.argv[at + 1:]
silent = socket.socket()
silent.bind(("127.0.0.1", 0))
silent.listen()
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
kept = []
shown, seen, open_ = b"", 0, True


def more():
    global shown, open_
    if open_ and select.select([fd], [], [], 0.1)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        open_ = bool(data)
        shown += data


def wait_for(text):
    global seen
    until = time.monotonic() + 20
    while text not in shown[seen:] and open_ and time.monotonic() < until:
        more()
    if text not in shown[seen:]:
        print(shown.decode(errors="replace"))
        print("--- no", text)
        os.kill(pid, 9)
        sys.exit(99)
    seen = shown.index(text, seen) + len(text)


for wait, send in zip(steps[::2], steps[1::2] + [""]):
    if wait == "{asked}":
        silent.settimeout(20)
        kept.append(silent.accept())
    else:
        for text in wait.split("\n"):
            wait_for(text.encode())
    os.write(fd, send.replace("{port}", str(silent.getsockname()[1])).encode().decode("unicode_escape").encode())
until = time.monotonic() + 20
while open_ and time.monotonic() < until:
    more()
print(shown.decode(errors="replace"))
if open_:
    os.kill(pid, 9)
sys.exit(99 if open_ else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
