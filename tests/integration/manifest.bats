#!/usr/bin/env bats
# Manifests for orchestrators: the same bytes each time, valid against Kubernetes' own schemas,
# every reference met, odd values carried over, no secret in the text.
bats_require_minimum_version 1.5.0

setup_file() {
  export TOP SCALED PYTHONPATH
  TOP=$(realpath "$BATS_TEST_DIRNAME/../..")
  SCALED=$TOP/tests/data/manifest/scaled.yml
  PYTHONPATH=$BATS_FILE_TMPDIR/python
  unset SUTRA_EDITION SUTRA_CACHE_ENABLED MATRYOSHKA_DIM SUTRA_VERSION
  python3 -m pip install -q --disable-pip-version-check --target "$PYTHONPATH" kubernetes-validate \
    >"$BATS_FILE_TMPDIR/pip" 2>&1 || mv "$BATS_FILE_TMPDIR/pip" "$BATS_FILE_TMPDIR/no-pip"
}

# documents FILE: as JSON, one a line.
documents() {
  python3 -c 'import json, sys, yaml
for d in yaml.safe_load_all(open(sys.argv[1])): print(json.dumps(d))' "$1"
}

@test "the same input gives the same bytes, from any folder" {
  for target in swarm kubernetes; do
    sutra manifest $target >"$BATS_TEST_TMPDIR/a"
    (cd / && sutra manifest $target) >"$BATS_TEST_TMPDIR/b"
    cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
  done
}

@test "every object is valid against the schemas of Kubernetes, strictly" {
  if [ -e "$BATS_FILE_TMPDIR/no-pip" ]; then
    cat "$BATS_FILE_TMPDIR/no-pip"
    [ "${CI:-}" != true ] && skip "pip cannot install kubernetes-validate"
    false
  fi
  sutra manifest kubernetes >"$BATS_TEST_TMPDIR/community.yml"
  sutra manifest kubernetes --file "$SCALED" >"$BATS_TEST_TMPDIR/scaled.yml"
  SUTRA_EDITION=simple SUTRA_CACHE_ENABLED=false sutra manifest kubernetes >"$BATS_TEST_TMPDIR/simple.yml"
  SUTRA_EDITION=enterprise sutra manifest kubernetes >"$BATS_TEST_TMPDIR/enterprise.yml"
  for file in community scaled simple enterprise; do
    n=$(grep -c '^kind:' "$BATS_TEST_TMPDIR/$file.yml")
    for version in 1.25.0 1.31.0 "$(python3 -c 'import kubernetes_validate as k; print(k.latest_version())')"; do
      run -0 python3 -m kubernetes_validate --strict --no-warn -k "$version" "$BATS_TEST_TMPDIR/$file.yml"
      [ "$(grep -c ' passed for resource ' <<<"$output")" = "$n" ]
    done
  done
}

@test "references are met, as an API server and its controllers will want them" {
  sutra manifest kubernetes >"$BATS_TEST_TMPDIR/community.yml"
  sutra manifest kubernetes --file "$SCALED" >"$BATS_TEST_TMPDIR/scaled.yml"
  SUTRA_EDITION=simple SUTRA_CACHE_ENABLED=false sutra manifest kubernetes >"$BATS_TEST_TMPDIR/simple.yml"
  SUTRA_EDITION=enterprise sutra manifest kubernetes >"$BATS_TEST_TMPDIR/enterprise.yml"
  for file in community scaled simple enterprise; do
    run -0 python3 "$BATS_TEST_DIRNAME/manifest_links.py" "$BATS_TEST_TMPDIR/$file.yml"
    echo "$output"
  done
}

@test "the scaling strategy: bounds, measures, steps; no replicas where an autoscaler owns them" {
  sutra manifest kubernetes --file "$SCALED" >"$BATS_TEST_TMPDIR/m.yml"
  documents "$BATS_TEST_TMPDIR/m.yml" >"$BATS_TEST_TMPDIR/m"
  hpa() { jq -r "select(.kind == \"HorizontalPodAutoscaler\" and .metadata.name == \"$1\").spec |
    [.minReplicas, .maxReplicas] + [.metrics[].resource | \"\(.name)=\(.target.averageUtilization)\"] | join(\" \")" \
    "$BATS_TEST_TMPDIR/m"; }
  [ "$(hpa sutra-client)" = '2 20 cpu=70' ]
  [ "$(hpa sutra-api)" = '3 50 cpu=70 memory=80' ]
  [ "$(hpa sutra-hybrid)" = '2 10 cpu=60 memory=75' ]
  [ "$(jq -c 'select(.kind == "HorizontalPodAutoscaler" and .metadata.name == "sutra-api").spec.behavior' "$BATS_TEST_TMPDIR/m")" = \
    '{"scaleUp":{"stabilizationWindowSeconds":30,"policies":[{"type":"Percent","value":100,"periodSeconds":30}]},"scaleDown":{"stabilizationWindowSeconds":300,"policies":[{"type":"Percent","value":50,"periodSeconds":120}]}}' ]
  [ "$(jq -r 'select(.spec.template) | "\(.kind) \(.metadata.name) \(.spec.replicas)"' "$BATS_TEST_TMPDIR/m" | sort | tr '\n' ,)" = \
    'Deployment nginx-proxy 1,Deployment sutra-api null,Deployment sutra-client null,Deployment sutra-control 2,Deployment sutra-hybrid null,StatefulSet storage-server 1,' ]
}

@test "hardened, probed, drained, limited: every pod" {
  sutra manifest kubernetes >"$BATS_TEST_TMPDIR/m.yml"
  documents "$BATS_TEST_TMPDIR/m.yml" | jq -c 'select(.spec.template) | .spec.template.spec' >"$BATS_TEST_TMPDIR/pods"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/pods")" = 4 ]
  while read -r pod; do
    jq -e '.automountServiceAccountToken == false and (.securityContext | .runAsNonRoot and .runAsUser == 10001 and
      .seccompProfile.type == "RuntimeDefault") and (.containers[0] | .securityContext == {allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true, capabilities: {drop: ["ALL"]}} and .resources.requests.cpu and
      .resources.requests.memory and .resources.limits.memory and .startupProbe.httpGet and .readinessProbe.httpGet and
      .livenessProbe.httpGet and .lifecycle.preStop.exec) and .terminationGracePeriodSeconds >= 18' <<<"$pod"
  done <"$BATS_TEST_TMPDIR/pods"
  ml=$(jq -c 'select(.containers[0].name == "ml-base").containers[0]' "$BATS_TEST_TMPDIR/pods")
  jq -e '.readinessProbe.httpGet.path == "/ready" and .lifecycle.preStop.exec.command[2] == "kill -USR1 1; sleep 4"' <<<"$ml"
}

@test "settings: environment over .env over edition, in both forms" {
  data=$BATS_TEST_TMPDIR/data
  mkdir "$data" && cp -r "$TOP/compose" "$data"
  printf 'MATRYOSHKA_DIM=128\nLOG_LEVEL=warn\n' >"$data/compose/.env"
  export SUTRA_DATA_DIR=$data
  run -0 env SUTRA_EDITION=simple SUTRA_CACHE_ENABLED=false MATRYOSHKA_DIM=64 SUTRA_VERSION=1.2 sutra manifest swarm
  [[ $output == *'MATRYOSHKA_DIM: "64"'* && $output == *'LOG_LEVEL: warn'* && $output == *'image: sutra/ml-base:1.2'* ]]
  [[ $output == *'ML_BASE_URL: http://ml-base:8887'* && $output == *'SUTRA_CACHE_ENABLED: "false"'* ]]
  [[ $output != *storage-cache-shard:* && $output != *haproxy* && $output != *'ml-base-1'* ]]
  run -0 sutra manifest kubernetes
  [[ $output == *'value: "128"'* && $output == *'kind: ConfigMap'* ]]
  MATRYOSHKA_DIM=12x run -2 --separate-stderr sutra manifest kubernetes
  [ -z "$output" ]
}

@test "enterprise: gateways are one service too, behind their balancer; the password is the cluster's" {
  SUTRA_EDITION=enterprise run -0 sutra manifest swarm
  [[ $output == *'INSTANCE_ID: "embedding-{{.Task.Slot}}"'*'EMBEDDING_DNS: tasks.embedding:8888'*'HAPROXY_STATS_USER: sutra'* ]]
  [[ $output == *'HAPROXY_STATS_PASSWORD: "${HAPROXY_STATS_PASSWORD:?export it}"'* ]]
  SUTRA_EDITION=enterprise sutra manifest kubernetes --cluster-domain k8s.example.org >"$BATS_TEST_TMPDIR/m.yml"
  documents "$BATS_TEST_TMPDIR/m.yml" | jq -se '[.[] | select(.kind == "Deployment" and .metadata.name == "embedding-ha")][0] |
    .spec.template.spec.containers[0].env | map({(.name): (.value // .valueFrom)}) | add |
    .EMBEDDING_DNS == "embedding.$(POD_NAMESPACE).svc.k8s.example.org:8888" and
    .HAPROXY_STATS_PASSWORD == {secretKeyRef: {name: "sutra-secrets", key: "HAPROXY_STATS_PASSWORD"}}'
}

@test "odd values arrive as they are" {
  cat >"$BATS_TEST_TMPDIR/odd.py" <<'PYTHON'
import json, subprocess, sys, yaml
odd = ["yes", "NO", "null", "~", "", " ", "1e3", "0x1f", "012", "1:30", "- a", "a: b", "a #b", "#", "'", '"', "\\n", "a\nb\n",
       "a\nb", "\n", "  a\nb\n", "tab\there", "{a}", "[b", "*x", "&x", "!x", "|", ">", "%", "@at", "`", "é ü 漢", "$HOME",
       "$(HOME)", "$$(A)", "a$$$b", "${A}", "-", "---", "...", "?", ": ", "a:", "\x7f", "line\n\nline\n", "x \ny\n", "=", "<<"]
where = sys.argv[1]
env = {"V%d" % i: v.replace("$", "$$") for i, v in enumerate(odd)}
json.dump({"services": {"a": {"image": "x", "expose": ["80"], "environment": env, "command": [v.replace("$", "$$") for v in odd]}}},
          open(where, "w"))
def manifest(target): return subprocess.run(["sutra", "manifest", target, "--file", where], check=True, capture_output=True).stdout
swarm = yaml.safe_load(manifest("swarm"))["services"]["a"]
def undollar(v): return v.replace("$$", "$")
assert [undollar(swarm["environment"]["V%d" % i]) for i in range(len(odd))] == odd
assert [undollar(v) for v in swarm["command"]] == odd
def expand(v):  # as the kubelet does
    out, i = "", 0
    while i < len(v):
        if v[i] == "$" and v[i + 1:i + 2] == "$": out, i = out + "$", i + 2
        else:
            assert v[i:i + 2] != "$("
            out, i = out + v[i], i + 1
    return out
pod = [d for d in yaml.safe_load_all(manifest("kubernetes")) if d["kind"] == "Deployment"][0]["spec"]["template"]["spec"]
box = pod["containers"][0]
got = {e["name"]: expand(e["value"]) for e in box["env"]}
assert [got["V%d" % i] for i in range(len(odd))] == odd
assert [expand(v) for v in box["args"]] == odd
PYTHON
  run -0 python3 "$BATS_TEST_TMPDIR/odd.py" "$BATS_TEST_TMPDIR/odd.yml"
}

@test "a secret is a name in both, never its value" {
  for target in swarm kubernetes; do
    HAPROXY_STATS_PASSWORD='hunter2' run -0 sutra manifest $target --file "$SCALED"
    [[ $output != *hunter2* && $output == *HAPROXY_STATS_PASSWORD* ]]
  done
  [[ $output == *'name: sutra-secrets'* ]]
}
