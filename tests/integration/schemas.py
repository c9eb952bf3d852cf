"""schemas.py TOP [FILE...]: every JSON document of the files is what man/schema says of its schema.

Schemas allow what a later version adds; here a key that a schema does not name is a fault, so that
they tell all. Without files: each document that the sources write has a schema, and each schema is
valid and some document's. Prints what differs."""
import glob
import json
import os
import re
import sys

import jsonschema

top, files = sys.argv[1], sys.argv[2:]
INTERNAL = {"deployment", "generation", "suite"}  # files of Sutra's own; a suite is sutra-validate(5)'s
faults = []


def name_of(schema):
    return re.fullmatch(r"sutra\.([a-z-]+)/(\d+)", schema).group(1, 2)


def schema_path(schema):
    return "%s/man/schema/sutra.%s.%s.json" % ((top,) + name_of(schema))


def closed(schema):
    """The same, and nothing else."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: closed(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and "required" in schema:
        out.setdefault("additionalProperties", False)
    return out


def documents(path):
    text, at = open(path).read(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = json.JSONDecoder().raw_decode(text, at)
        yield document


def check(path):
    n = 0
    for n, document in enumerate(documents(path), 1):
        schema = closed(json.load(open(schema_path(document["schema"]))))
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        for e in validator.iter_errors(document):
            where = "/".join(str(p) for p in e.absolute_path)
            faults.append("%s: %s at %s: %s" % (path, document["schema"], where, e.message[:300]))
    if not n:
        faults.append("%s holds no document" % path)


def check_tree():
    written = set()
    for source in glob.glob(top + "/cmd/**/*.c", recursive=True) + glob.glob(top + "/lib/**/*.c", recursive=True):
        written |= {name_of(s)[0] for s in re.findall(r'"(sutra\.[a-z-]+/\d+)"', open(source).read().replace('\\"', '"'))}
    described = set()
    for path in glob.glob(top + "/man/schema/*.json"):
        schema = json.load(open(path))
        jsonschema.Draft202012Validator.check_schema(schema)
        described.add(name_of(schema["title"])[0])
        if schema_path(schema["title"]) != path:
            faults.append("%s is of %s" % (path, schema["title"]))
    faults.extend("no schema describes sutra.%s" % n for n in sorted(written - described - INTERNAL))
    faults.extend("nothing writes sutra.%s" % n for n in sorted(described - written))


for path in files:
    check(path)
if not files:
    check_tree()
print("\n".join(faults))
sys.exit(bool(faults))
