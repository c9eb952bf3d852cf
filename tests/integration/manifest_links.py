"""manifest_links FILE - what schemas do not tell: do the objects of a manifest fit together, and
keep to the rules that an API server and its controllers hold them to? Prints the count."""
import re
import sys

import yaml

docs = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d]
by = {}
for d in docs:
    key = (d["kind"], d["metadata"]["name"])
    assert key not in by, "%s twice" % (key,)
    by[key] = d
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[KMGT]i)?$")
VALUE = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$")


def selects(selector, labels):
    return all(labels.get(k) == v for k, v in selector.items())


def cores(q):
    return float(q[:-1]) / 1000 if q.endswith("m") else float(q)


workloads = [d for d in docs if d["kind"] in ("Deployment", "StatefulSet")]
templates = {d["metadata"]["name"]: d["spec"]["template"] for d in workloads}
instance = docs[0]["metadata"]["labels"]["app.kubernetes.io/instance"]
services = {n for k, n in by if k == "Service"}
for d in docs:
    assert LABEL.match(d["metadata"]["name"]), d["metadata"]["name"]
    assert "namespace" not in d["metadata"]
    labels = d["metadata"]["labels"]
    for k in ("name", "instance", "part-of", "managed-by"):
        assert VALUE.match(labels["app.kubernetes.io/" + k])

for d in workloads:
    spec, pod = d["spec"], d["spec"]["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert selects(spec["selector"]["matchLabels"], labels)
    assert "app.kubernetes.io/version" not in spec["selector"]["matchLabels"]  # selectors are immutable
    assert sum(selects(spec["selector"]["matchLabels"], t["metadata"]["labels"]) for t in templates.values()) == 1
    box = pod["containers"][0]
    names = [p["name"] for p in box.get("ports", [])]
    assert len(set(names)) == len(names) and all(len(n) <= 15 and re.match("[a-z0-9-]+$", n) for n in names)
    volumes = {v["name"] for v in pod.get("volumes", [])} | {
        v["metadata"]["name"] for v in spec.get("volumeClaimTemplates", [])}
    used = {m["name"] for m in box.get("volumeMounts", [])}
    assert used == volumes, (used, volumes)
    for v in pod.get("volumes", []):
        if "configMap" in v:
            assert ("ConfigMap", v["configMap"]["name"]) in by
        assert "persistentVolumeClaim" not in v or v["persistentVolumeClaim"]["readOnly"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = box.get(probe, {}).get("httpGet")
        assert not get or get["port"] in names or isinstance(get["port"], int)
    seen = set()
    for e in box.get("env", []):
        assert e["name"] not in seen, e["name"]
        assert e.get("value", "x") != "", "%s: an empty value is not kept" % e["name"]
        assert not e["name"].startswith("HOST_") or e["value"] in services, e["value"]
        for name in re.findall(r"(?<!\$)\$\(([A-Za-z_0-9]+)\)", e.get("value", "")):
            assert name in seen, "%s is not known before %s" % (name, e["name"])
        seen.add(e["name"])
    resources = box.get("resources", {})
    for kind in ("requests", "limits"):
        for q in resources.get(kind, {}).values():
            assert QUANTITY.match(q), q
    if d["kind"] == "StatefulSet":
        assert ("Service", spec["serviceName"]) in by
        assert by["Service", spec["serviceName"]]["spec"]["clusterIP"] == "None"
    assert ("HorizontalPodAutoscaler", d["metadata"]["name"]) not in by or "replicas" not in spec
    hook = box.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "", ""])[2]
    assert sum(map(int, re.findall(r"sleep (\d+)", hook))) < pod["terminationGracePeriodSeconds"]

for d in docs:
    kind, spec = d["kind"], d.get("spec", {})
    if kind == "Service":
        chosen = [t for t in templates.values() if selects(spec["selector"], t["metadata"]["labels"])]
        assert len(chosen) <= 1, d["metadata"]["name"]
        if not chosen:  # another edition's
            continue
        ports = {p["name"] for p in chosen[0]["spec"]["containers"][0]["ports"]}
        assert all(p["targetPort"] in ports for p in spec["ports"])
    elif kind == "PodDisruptionBudget":
        assert sum(selects(spec["selector"]["matchLabels"], t["metadata"]["labels"]) for t in templates.values()) == 1
    elif kind == "HorizontalPodAutoscaler":
        target = by[spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]]
        requests = target["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        assert 1 <= spec["minReplicas"] < spec["maxReplicas"]
        assert all(m["resource"]["name"] in requests for m in spec["metrics"])
    elif kind == "NetworkPolicy" and d["metadata"]["name"] != "sutra-default-deny":
        template = templates.get(d["metadata"]["name"])  # not there: another edition's
        assert selects(spec["podSelector"]["matchLabels"], template["metadata"]["labels"]) if template else True
        for rule in spec["ingress"]:
            ports = {p["port"] for p in rule["ports"]}
            assert ports
            if template:
                assert ports <= {p["containerPort"] for p in template["spec"]["containers"][0]["ports"]}
            for peer in rule.get("from", []):
                for chosen in peer.values():
                    labels = chosen["matchLabels"]
                    assert labels.get("app.kubernetes.io/instance") == instance or labels == {"sutra.io/scrape": "true"}
    elif kind == "ServiceMonitor":
        chosen = [s for (k, _), s in by.items() if k == "Service" and
                  selects(spec["selector"]["matchLabels"], s["metadata"]["labels"])]
        assert len(chosen) == 1 and [p for p in chosen[0]["spec"]["ports"] if p["name"] == spec["endpoints"][0]["port"]]
deny = by["NetworkPolicy", "sutra-default-deny"]["spec"]
assert "ingress" not in deny and deny["policyTypes"] == ["Ingress"]
assert all(selects(deny["podSelector"]["matchLabels"], t["metadata"]["labels"]) for t in templates.values())
print("%d objects, %d workloads fit together" % (len(docs), len(workloads)))
