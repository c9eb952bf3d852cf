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
    .HOST_EMBEDDING_PODS == "embedding-pods" and
    .EMBEDDING_DNS == "$(HOST_EMBEDDING_PODS).$(POD_NAMESPACE).svc.k8s.example.org:8888" and
    .HAPROXY_STATS_PASSWORD == {secretKeyRef: {name: "sutra-secrets", key: "HAPROXY_STATS_PASSWORD"}}'
}

@test "one edition over another: one entrance, and the same Services and policies of the same workload" {
  for edition in simple community enterprise; do
    SUTRA_EDITION=$edition sutra manifest kubernetes >"$BATS_TEST_TMPDIR/$edition.yml"
    documents "$BATS_TEST_TMPDIR/$edition.yml" >"$BATS_TEST_TMPDIR/$edition"
    jq -se 'map(select(.kind == "Service" and .metadata.name == "embedding"))[0].spec |
      .selector == {"sutra.io/entrance": "embedding", "app.kubernetes.io/instance": "sutra", "app.kubernetes.io/part-of": "sutra"}
      and .ports == [{name: "tcp-8888", protocol: "TCP", port: 8888, targetPort: "tcp-8888"}]' "$BATS_TEST_TMPDIR/$edition" >&2
    jq -r 'select(.spec.template.metadata.labels["sutra.io/entrance"]).metadata.name' "$BATS_TEST_TMPDIR/$edition"
  done >"$BATS_TEST_TMPDIR/entrances"
  [ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/entrances")" = 'embedding-single embedding-single embedding-ha ' ]
  for edition in simple community; do
    jq -c 'select(.kind == "Service") | [.metadata.name, .spec]' "$BATS_TEST_TMPDIR/$edition" | sort >"$BATS_TEST_TMPDIR/services"
    jq -c 'select(.kind == "Service") | [.metadata.name, .spec]' "$BATS_TEST_TMPDIR/enterprise" | sort >"$BATS_TEST_TMPDIR/all"
    [ -z "$(comm -23 "$BATS_TEST_TMPDIR/services" "$BATS_TEST_TMPDIR/all")" ]
    diff <(jq -r 'select(.kind == "NetworkPolicy").metadata.name' "$BATS_TEST_TMPDIR/$edition") \
      <(jq -r 'select(.kind == "NetworkPolicy").metadata.name' "$BATS_TEST_TMPDIR/enterprise")
  done
  # What was headless once, and is not now, is removed first: its address cannot be changed.
  grep -o 'metadata.name=[^ ]*,spec.clusterIP=None' "$BATS_TEST_TMPDIR/enterprise.yml" | sed 's/.*name=//; s/,.*//' |
    tr '\n' ' ' >"$BATS_TEST_TMPDIR/headless"
  [ "$(cat "$BATS_TEST_TMPDIR/headless")" = 'embedding ml-base ' ]
  jq -se 'map(select(.kind == "Service" and (.metadata.name | IN("embedding", "ml-base"))).spec.clusterIP) == [null, null]' \
    "$BATS_TEST_TMPDIR/enterprise"
  # The head's labels and kinds are all there is.
  grep -o 'prune-allowlist=[^ ]*' "$BATS_TEST_TMPDIR/enterprise.yml" | sed 's,.*/,,' | sort >"$BATS_TEST_TMPDIR/pruned"
  diff "$BATS_TEST_TMPDIR/pruned" <(jq -r .kind "$BATS_TEST_TMPDIR/enterprise" | sort -u)
}

@test "autoscalers in community and enterprise, the balancers twice" {
  scales() { jq -r 'select(.kind == "HorizontalPodAutoscaler") | "\(.metadata.name)=\(.spec.minReplicas)-\(.spec.maxReplicas)"' "$1" | tr '\n' ' '; }
  fixed() { jq -r 'select(.spec.template and .spec.replicas) | "\(.metadata.name)=\(.spec.replicas)"' "$1" | tr '\n' ' '; }
  for edition in simple community enterprise; do
    SUTRA_EDITION=$edition sutra manifest kubernetes >"$BATS_TEST_TMPDIR/$edition.yml"
    documents "$BATS_TEST_TMPDIR/$edition.yml" >"$BATS_TEST_TMPDIR/$edition"
  done
  [ "$(scales "$BATS_TEST_TMPDIR/simple")" = "" ]
  [ "$(scales "$BATS_TEST_TMPDIR/community")" = "embedding-single=2-6 ml-base=3-12 " ]
  [ "$(scales "$BATS_TEST_TMPDIR/enterprise")" = "embedding=3-9 ml-base=3-12 " ]
  [ "$(fixed "$BATS_TEST_TMPDIR/simple")" = "embedding-single=1 ml-base=1 storage-cache-shard=1 " ]
  [ "$(fixed "$BATS_TEST_TMPDIR/enterprise")" = "embedding-ha=2 ml-base-lb=2 storage-cache-shard=1 " ]
  [ "$(jq -r 'select(.spec.template.spec.topologySpreadConstraints).metadata.name' "$BATS_TEST_TMPDIR/enterprise" | tr '\n' ' ')" = \
    "embedding embedding-ha ml-base ml-base-lb " ]
}

@test "options: name, tag, the model's claim or image, metrics" {
  sutra manifest kubernetes --name blue --tag 1.2.3 --model-claim shared --metrics annotations >"$BATS_TEST_TMPDIR/m.yml"
  run -0 python3 "$BATS_TEST_DIRNAME/manifest_links.py" "$BATS_TEST_TMPDIR/m.yml"
  documents "$BATS_TEST_TMPDIR/m.yml" >"$BATS_TEST_TMPDIR/m"
  [ "$(jq -r '.metadata.labels["app.kubernetes.io/instance"]' "$BATS_TEST_TMPDIR/m" | sort -u)" = blue ]
  [ "$(jq -r 'select(.spec.template).spec.template.spec.containers[].image' "$BATS_TEST_TMPDIR/m" | sed 's/.*://' | sort -u)" = 1.2.3 ]
  [ "$(jq -r 'select(.metadata.name == "ml-base" and .spec.template).spec.template.spec.volumes[].persistentVolumeClaim.claimName' "$BATS_TEST_TMPDIR/m")" = shared ]
  [ "$(jq -c 'select(.spec.template).spec.template.metadata.annotations | del(.["checksum/config"]) | [.[]]' "$BATS_TEST_TMPDIR/m" | tr '\n' ' ')" = \
    '["true","8888","/metrics"] ["true","8887","/metrics"] ["true","9999","/metrics"] ["true","50052","/metrics"] ' ]
  sutra manifest kubernetes --model-image mine/ml:7 --registry r.example.org --metrics service-monitor >"$BATS_TEST_TMPDIR/m.yml"
  run -0 python3 "$BATS_TEST_DIRNAME/manifest_links.py" "$BATS_TEST_TMPDIR/m.yml"
  documents "$BATS_TEST_TMPDIR/m.yml" >"$BATS_TEST_TMPDIR/m"
  jq -se 'map(select(.metadata.name == "ml-base" and .spec.template))[0].spec.template.spec |
    .containers[0].image == "r.example.org/mine/ml:7" and .volumes == null and .containers[0].volumeMounts == null' "$BATS_TEST_TMPDIR/m"
  [ "$(jq -r 'select(.kind == "ServiceMonitor") | "\(.metadata.name):\(.spec.endpoints[0].port)"' "$BATS_TEST_TMPDIR/m" | tr '\n' ' ')" = \
    "embedding-single:tcp-8888 ml-base:tcp-8887 ml-base-lb:tcp-9999 storage-cache-shard:tcp-50052 " ]
  run -2 sutra manifest kubernetes --name 'a b'
  [[ $output == *'--name is "a b"'* ]]
}

@test "the kustomize example fits every edition, and every name follows its prefix" {
  cp -r "$TOP/compose/kubernetes" "$BATS_TEST_TMPDIR/example"
  for edition in simple community enterprise; do
    SUTRA_EDITION=$edition sutra manifest kubernetes --model-image sutra/ml-base-all-minilm-l6-v2:0.1.0 \
      >"$BATS_TEST_TMPDIR/example/stack.yml"
    run -0 python3 "$BATS_TEST_DIRNAME/kustomize_links.py" "$BATS_TEST_TMPDIR/example"
    ! command -v kubectl >/dev/null || kubectl kustomize "$BATS_TEST_TMPDIR/example" >"$BATS_TEST_TMPDIR/out.yml"
    [ ! -e "$BATS_TEST_TMPDIR/out.yml" ] || run -0 python3 "$BATS_TEST_DIRNAME/kustomize_links.py" "$BATS_TEST_TMPDIR/example" \
      "$BATS_TEST_TMPDIR/out.yml"
  done
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
got = {e["name"]: expand(e.get("value", "")) for e in box["env"]}
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
