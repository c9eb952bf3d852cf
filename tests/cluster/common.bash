# shellcheck shell=bash
# What the tests on a real cluster share: CONTRIBUTING.md says how to run them.
set -u
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
top=$(realpath "$here/../..")
: "${KUBECONFIG:?of the cluster to test on}"
export PATH=$top/build/bin:$PATH SUTRA_DATA_DIR=$top NO_COLOR=1
version=$(sed -n 's/^#define SUTRA_VERSION "\(.*\)"/\1/p' "$top/lib/base/version.h")
work=$(mktemp -d) ns=sutra-test-$$ passed=0 failed=0
options=(--model-image "${MODEL_IMAGE:-sutra/ml-base-all-minilm-l6-v2:$version}" ${REGISTRY:+--registry "$REGISTRY"})
labels=app.kubernetes.io/part-of=sutra,app.kubernetes.io/instance=sutra
storage=${STORAGE_CLASS:-}

finish() {
  [ -z "${LOAD:-}" ] || touch "$work/load"
  [ -n "${KEEP:-}" ] || kubectl delete namespace "$ns" --timeout=3m >/dev/null 2>&1
  rm -rf "$work"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
trap finish EXIT
kube() { kubectl -n "$ns" "$@"; }
check() { # name command...: whether it says yes
  local name=$1
  shift
  if "$@" >"$work/check" 2>&1; then
    passed=$((passed + 1))
    echo "ok - $name"
  else
    failed=$((failed + 1))
    echo "not ok - $name"
    sed 's/^/# /' "$work/check" | tail -n 20
  fi
}
eventually() { # seconds command...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "not in time: $*"; return 1; }
    sleep 0.5
  done
}
# manifest EDITION [OPTION...]: as the file $work/EDITION.yml
manifest() {
  local edition=$1
  shift
  SUTRA_EDITION=$edition sutra manifest kubernetes "${options[@]}" "$@" >"$work/$edition.yml"
}
ready() { kube rollout status deployment,statefulset -l $labels --timeout=5m; }
# up EDITION: its namespace, its secret, a volume for the shard where no storage class makes one
up() {
  kubectl create namespace "$ns"
  kube create secret generic sutra-secrets --from-literal=HAPROXY_STATS_PASSWORD=secret
  [ -n "$storage" ] || shard_volume
  manifest "$1" && kube apply -f "$work/$1.yml" && eventually 60 endpoint && ready
}
# A folder of the node that the test runs on, of the user of the images.
shard_volume() {
  install -d -o 10001 -g 10001 "${SHARD_FOLDER:-/tmp/$ns}"
  kubectl apply -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: { name: $ns }
spec:
  accessModes: [ReadWriteOnce]
  capacity: { storage: 10Gi }
  claimRef: { namespace: $ns, name: storage-cache-data-storage-cache-shard-0 }
  hostPath: { path: ${SHARD_FOLDER:-/tmp/$ns} }
YAML
}
endpoint() { kube get endpoints embedding -o jsonpath='{.subsets[0].addresses[0].ip}' | grep -q .; }
# commands FILE: the commands in its head, for another edition or version
commands() { sed -n '/^# Over/,/^# Nothing/s/^#   //p' "$1" | sed "s,FILE,$1,; s,-n sutra ,-n $ns ,"; }
over() { bash -euo pipefail -c "$(commands "$work/$1.yml")"; }
# load_begin [RATE]: requests to the entrance
load_begin() {
  local address
  address=$(kube get service embedding -o jsonpath='{.spec.clusterIP}')
  rm -f "$work/load" "$work/load.begun"
  python3 "$top/tests/integration/load.py" "$address:8888" "$work/load" "${1:-30}" >"$work/load.result" &
  LOAD=$!
  eventually 60 test -e "$work/load.begun"
}
# load_end: whether it ran, and no request failed
load_end() {
  local ok bad
  touch "$work/load"
  wait "$LOAD"
  LOAD=
  read -r ok bad _ <"$work/load.result"
  cat "$work/load.result"
  echo "  $ok requests, $bad failed" >&3
  [ "$ok" -gt 10 ] && [ "$bad" = 0 ]
}
exec 3>&1
