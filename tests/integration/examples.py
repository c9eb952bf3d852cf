"""examples.py parse|run TOP: every example of man/*.1 and of -h, held against the program.

parse: each `sutra ...` in each example, with -h behind it, exits 0: its options and their values
are what the program takes. run: each example that is not in NOT_RUN exits as it should, in the
current folder and against the deployed stack; what would take long is made shorter. Prints what
differs; an entry of NOT_RUN that no page has, too.
"""
import glob
import os
import re
import shlex
import subprocess
import sys

mode, top = sys.argv[1:]
OFFSET = int(os.environ.get("SUTRA_PORT_OFFSET", "0"))

NOT_RUN = {  # example: why it is parsed only
    "sutra build": "builds images: docker.bats",
    "sutra build --model": "builds images: tests/cluster",
    "sutra model fetch all-minilm-l6-v2 && sutra build --model": "builds images: tests/cluster",
    "sutra completion fish | source": "fish's",
    "MATRYOSHKA_DIM=128 sutra deploy": "deploy.bats changes dimensions",
    "SUTRA_EDITION=enterprise sutra deploy --prune": "deploy.bats changes editions",
    "SUTRA_EDITION=simple sutra deploy --prune": "deploy.bats changes editions",
    "sutra down": "the stack is wanted until the end",
    "sutra down --volumes --confirm=sutra": "removes what is stored: deploy.bats",
    "sutra manifest swarm >stack.yml && docker stack deploy -c stack.yml sutra": "wants a swarm: swarm.bats",
    "docker service scale sutra_ml-base=5": "wants a swarm: swarm.bats",
    "sutra manifest kubernetes | kubectl apply -f -": "wants a cluster: manifest.bats",
    "sutra model fetch": "asks the hub: model.bats has one of its own",
    "sutra model fetch nomic-ai/nomic-embed-text-v1.5": "asks the hub",
    "sutra model fetch OWNER/NAME": "asks the hub",
    "sutra model quality --dims 64,128,256,384": "a minute of encoding: quality.bats",
    "sutra monitor": "a terminal's: monitor.bats",
    "sutra monitor --replay day.jsonl": "a terminal's: monitor.bats",
    "sutra production-monitor --serve 127.0.0.1:9100": "a fixed port: production-monitor.bats",
    "sutra production-monitor --serve 127.0.0.1:9100 >>monitor.log": "a fixed port: production-monitor.bats",
    "sutra rollback 4": "four deploys: rollback.bats",
    "sutra rollback": "rollback.bats",
    "sutra shell": "a terminal's: shell.bats",
    "sutra validate failover": "a minute of faults: validate.bats",
    "sutra validate failover --json | jq '.results[0].timeline'": "a minute of faults: validate.bats",
    "sutra validate failover --json >f.json; sutra report --html f.html f.json": "a minute of faults",
    "sutra validate-scaling": "wants replicas, and minutes: validate.bats",
    "sutra validate-scaling --compare": "minutes: validate.bats",
    "sutra validate-scaling --phases 0,1": "a minute: validate.bats",
    "sutra validate-scaling --phases 0,1 -o junit >report.xml": "a minute: validate.bats",
    "sutra validate-scaling -o junit >report.xml": "wants replicas, and minutes: validate.bats",
}
# Until INT: how they end then. They are given a second.
ENDLESS = {
    "sutra production-monitor": 130, "sutra production-monitor --exec ./page-me": 130,
    "sutra logs -f": 130, "sutra status --watch 5s": 130, "sutra cache-stats --watch": 130,
    "sutra monitor -o jsonl --record day.jsonl": 130,
    "sutra production-monitor --bad 6 --exec './page \"$SUTRA_ALERT_MESSAGE\"'": 130,
}
SHORTER = [(r"--duration \S+", "--duration 1s"), (r"sutra load(?!.*--duration)", "sutra load --duration 1s"),
           (r"--rate 2000", "--rate 50"), (r"--for 1h", "--for 2s --interval 1s"), (r"--max-p95 \S+", "--max-p95 20s"),
           (r"--count 10", "--count 2"), (r"127\.0\.0\.1:8888", "127.0.0.1:%d" % (8888 + OFFSET))]
# A busy machine may be late (6), and be no place for production (1); 500 $ do not suffice (3).
ALSO = [(r"sutra load", 6), (r"sutra validate checklist", 1), (r"--min-hit-rate", 1), (r"--budget 500", 3)]


def of_manuals():
    for path in sorted(glob.glob(top + "/man/*.1")):
        text = open(path).read().replace(r"\(dq", '"').replace(r"\(aq", "'").replace(r"\e", "\\")
        examples = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
        if not examples:
            yield path, None
            continue
        found = re.findall(r"^\.Dl (.*)$", examples.group(1), re.M)
        for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", examples.group(1), re.M | re.S):
            found += re.sub(r" *\\\n\s*", " ", re.sub(r"\|\n\s*", "| ", block)).splitlines()
        for line in found:
            yield path, line


def of_help():
    overview = subprocess.run(["sutra", "help"], capture_output=True, text=True).stdout
    for name in re.findall(r"^  (?!sutra )([a-z-]+) +\S", overview, re.M):
        text = subprocess.run(["sutra", name, "-h"], capture_output=True, text=True).stdout
        head = text[:text.index("\nusage:")]
        found = re.findall(r"^  (.+?)(?: +# .*)?$", head, re.M)
        for line in found or [None]:
            yield "sutra %s -h" % name, line


def commands(line):
    """The sutra commands of a line, as lists of words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words, command = list(lexer), []
    for word in words + [";"]:
        if re.fullmatch(r"[();<>|&]+", word):
            if command and command[0] == "sutra":
                yield command
            command = [word] if "<" in word or ">" in word else []
            command = [] if "(" in word else command
        elif not command and re.match(r"[A-Z_]+=", word):
            continue
        else:
            command.append(word)


def bash(line, limit=60):
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=limit)
    return done.returncode, done.stdout.decode(errors="replace")


def run_one(line):
    """None, or how it went wrong."""
    if line in ENDLESS:
        # A lane of tests/run is a background job, whose programs are born deaf to INT. Not in the foreground,
        # timeout sends CONT as well, which takes back the leak checker's STOP.
        code, out = bash("env --default-signal=INT timeout --foreground -s INT --preserve-status 1 " + line)
        return None if code == ENDLESS[line] else "exit %d, not %d\n%s" % (code, ENDLESS[line], out)
    for pattern, by in SHORTER:
        line = re.sub(pattern, by, line)
    code, out = bash(line)
    allowed = {0} | {c for pattern, c in ALSO if re.search(pattern, line)}
    return None if code in allowed else "%s: exit %d\n%s" % (line, code, out)


faults, ran, seen = [], 0, {}
for place, line in list(of_manuals()) + list(of_help()):
    if line is None:
        faults.append("%s has no example" % place)
    elif line not in seen:
        seen[line] = place
for line, place in seen.items():
    if mode == "parse":
        for words in commands(line):
            done = subprocess.run(words + ["-h"], capture_output=True, text=True)
            ran += 1
            if done.returncode:
                faults.append("%s: %s\n%s" % (place, line, done.stderr))
    elif line not in NOT_RUN:
        fault = run_one(line)
        ran += 1
        if fault:
            faults.append("%s: %s" % (place, fault))
faults += ["no page has the example: " + line for line in [*NOT_RUN, *ENDLESS] if line not in seen]
print("\n".join(faults + ["%d of %d examples" % (ran, len(seen))]))
sys.exit(bool(faults) or ran < 40)
