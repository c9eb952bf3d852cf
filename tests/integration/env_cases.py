"""env_cases.py TABLE COMPOSE_DUMP: what the composes of this machine make of the env_files of a table.

docker-compose 1.29 is held against the column compose1, "docker compose" and a docker-compose of
version 2 against compose2; and each, given the file that the docker runtime writes beside, against
what sutra reads. No engine is needed. Prints what differs; with nothing to run it prints why and
ends with 3."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import yaml

table = json.load(open(sys.argv[1], encoding="utf-8"))
CLEAN = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **table["environment"]}


def composes():
    """(command, column) of each that is here."""
    for command in (["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]):
            p = subprocess.run(command + ["version", "--short"], capture_output=True, text=True, check=False)
            if p.returncode == 0:
                yield command, "compose1" if p.stdout.lstrip("v").startswith("1.") else "compose2"


def environments(command, texts, dump=None):
    """What each text gives as the env_file of a service; None: compose refuses. dump: with sutra's file beside."""
    with tempfile.TemporaryDirectory() as folder:
        services, files = {}, ["-f", "docker-compose.yml"]
        for i, text in enumerate(texts):
            with open("%s/%d.env" % (folder, i), "wb") as f:
                f.write(text.encode())
            services["s%d" % i] = {"image": "x", "command": ["x"], "env_file": ["%d.env" % i]}
        with open(folder + "/docker-compose.yml", "w", encoding="utf-8") as f:
            json.dump({"version": "3.8", "services": services}, f)
        if dump:
            subprocess.run([dump, "docker-compose.yml"], cwd=folder, env={**CLEAN, "OVERRIDE": folder}, stdout=subprocess.DEVNULL, check=True)
            files += ["-f", "override.yml"]
        p = subprocess.run(command + ["-p", "x"] + files + ["config"], cwd=folder, env=CLEAN, capture_output=True, text=True, check=False)
    if p.returncode:
        return None
    said = yaml.safe_load(p.stdout)["services"]
    return [
        {k: v if v is None else str(v).replace("$$", "$") for k, v in (said["s%d" % i].get("environment") or {}).items()}
        for i in range(len(texts))
    ]


def wanted(case, column):
    return case.get(column, case["compose2"])


def check(command, column, dump=None):
    faults = 0
    good = [c for c in table["cases"] if wanted(c, column) != "error"]
    bad = [c for c in table["cases"] if c not in good and not dump]
    said = environments(command, [c["text"] for c in good], dump) or ["error"] * len(good)
    said += [(environments(command, [c["text"]]) or ["error"])[0] for c in bad]
    for case, got in zip(good + bad, said):
        if dump and got != "error":  # names that only some compose reads, and that no container gets
            got = {k: v for k, v in got.items() if k in wanted(case, column) or (k and v is not None)}
        if got != wanted(case, column) and (column != "compose2" or got != case.get("earlier")):
            faults += 1
            print("%s: %s: %r gives %r, the table has %r" % (" ".join(command), case["what"], case["text"], got, wanted(case, column)))
    print("%s: %d cases, %d differ from %s" % (" ".join(command), len(said), faults, column))
    return faults


found = list(composes())
if not found:
    print("neither docker-compose nor docker compose is here")
    sys.exit(3)
sys.exit(1 if sum(check(*one) + check(one[0], "sutra", sys.argv[2]) for one in found) else 0)
