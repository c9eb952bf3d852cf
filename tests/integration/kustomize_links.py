"""kustomize_links FOLDER [BUILT]: does the example in the folder fit its stack.yml: are its files there, do
its patches, images and name references meet something? With BUILT, what kustomize made of it: has every
name the prefix, wherever it stands?"""
import re
import sys

import yaml

folder = sys.argv[1]


def read(name):
    return [d for d in yaml.safe_load_all(open(name)) if d]


k = read(folder + "/kustomization.yaml")[0]
stack = read(folder + "/stack.yml")
for name in k["resources"] + k["configurations"]:
    assert read("%s/%s" % (folder, name)), name
boxes = [d["spec"]["template"]["spec"]["containers"][0] for d in stack if "template" in d.get("spec", {})]
images = {b["image"].split(":")[0] for b in boxes}
assert images <= {i["name"] for i in k["images"]}, images
for patch in k["patches"]:
    target, met = patch["target"], 0
    for d in stack:
        if re.fullmatch(target["kind"], d["kind"]) and re.fullmatch(target.get("name", ".*"), d["metadata"]["name"]):
            met += 1
            for op in yaml.safe_load(patch["patch"]):
                at = d
                for step in op["path"].split("/")[1:-1]:  # all but the last must be there
                    at = at[int(step)] if isinstance(at, list) else at[step]
                assert op["op"] == "add" or op["path"].split("/")[-1] in at, op
    assert met or target["kind"] == "HorizontalPodAutoscaler", target  # simple has none
if len(sys.argv) > 2:
    built, prefix = read(sys.argv[2]), k["namePrefix"]
    names = {d["metadata"]["name"] for d in stack if d["kind"] in ("Service", "ConfigMap")}
    for d in built:
        assert d["kind"] == "Namespace" or d["metadata"]["namespace"] == k["namespace"]
        assert d["kind"] == "Namespace" or d["metadata"]["name"].startswith(prefix), d["metadata"]["name"]
        pod = d.get("spec", {}).get("template", {}).get("spec", {})
        for e in pod.get("containers", [{}])[0].get("env", []):
            assert e.get("value") not in names, e
            assert not e["name"].startswith("HOST_") or e["value"].startswith(prefix), e
        for v in pod.get("volumes", []):
            assert "configMap" not in v or v["configMap"]["name"].startswith(prefix), v
