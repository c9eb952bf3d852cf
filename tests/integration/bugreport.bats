#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# sutra bugreport on a state folder, settings and logs full of secrets: none of them appears.

# seed NAME: a secret that no other is, and remembers it.
seed() {
  local value="S3cr3t-$1-7f3a91"
  echo "$value" >>"$SEEDS"
  printf '%s' "$value"
}

setup() {
  export SUTRA_STATE_DIR=$BATS_TEST_TMPDIR/state SUTRA_DATA_DIR=$BATS_TEST_TMPDIR/data SEEDS=$BATS_TEST_TMPDIR/seeds
  local top=$BATS_TEST_DIRNAME/../.. log=$SUTRA_STATE_DIR/native/log/ml-base-1
  mkdir -p "$log" "$SUTRA_DATA_DIR" "$SUTRA_STATE_DIR/generations/1/compose"
  cp -R "$top/compose" "$top/validate" "$SUTRA_DATA_DIR"
  jq -n --arg secret "$(seed record-environment)" --arg url "http://u:$(seed record-url)@127.0.0.1:1" '{
    schema: "sutra.deployment/1", complete: true, runtime: "native", edition: "simple", project: "sutra",
    deployed_at: "2026-11-21T09:19:34.321850Z", dimension: 256, cache_enabled: false, balancers: [],
    services: [{name: "ml-base-1", program: "sutra-ml-base", address: "127.0.0.1:1", published: null, group: "ml-base",
      command: ["sutra-ml-base"], depends_on: [], health_url: "http://127.0.0.1:1/health", hash: "1",
      environment: {ADMIN_TOKEN: $secret, UPSTREAM: $url}}]}' >"$SUTRA_STATE_DIR/deployment.json"
}

@test "twenty-four forms of secrets, and none appears" {
  local password log=$SUTRA_STATE_DIR/native/log/ml-base-1/current env_secret
  password=$(seed credentials-file)
  echo "{\"user\":\"sutra\",\"password\":\"$password\"}" >"$SUTRA_STATE_DIR/haproxy-stats.json"
  echo "HAPROXY_STATS_PASSWORD=$(seed dotenv)" >"$SUTRA_DATA_DIR/compose/.env"
  env_secret=$(seed environment)
  {
    echo "INFO  a plain line that must stay tokens=17"
    echo "known alone: $password, $(tail -n1 "$SEEDS")"
    echo "known in base64: $(printf 'sutra:%s' "$password" | base64 -w0)"
    echo "known in hex: $(printf '%s' "$password" | xxd -p -c 256)"
    echo "Authorization: Bearer $(seed bearer)"
    echo "header=\"Authorization: Basic $(seed basic)\""
    echo "GET http://admin:$(seed userinfo)@127.0.0.1/embed"
    echo "GET /embed?api_key=$(seed query)&n=1 HTTP/1.1 200"
    echo "{\"password\":\"$(seed json)\",\"n\":1}"
    echo "msg=\"{\\\"client_secret\\\":\\\"$(seed escaped-json)\\\"}\""
    echo "X-API-Key: $(seed header)"
    echo "Cookie: a=b; sid=$(seed cookie)"
    echo "Set-Cookie: sid=$(seed set-cookie); HttpOnly"
    echo "argv: sutra-api --admin-token $(seed option)"
    echo "argv: curl -u admin:$(seed curl-user) http://127.0.0.1"
    echo "stats auth admin:$(seed haproxy)"
    echo "yaml: {secret_key: '$(seed yaml quoted)'}"
    echo "export AWS_SECRET_ACCESS_KEY=$(seed export)"
    echo "OpenAI key sk-$(seed openai)"
    echo "token ghp_$(seed github) refused"
    echo "jwt eyJ$(seed jwt).$(seed jwt-payload)"
    echo "the password is $(seed prose)"
    echo "-----BEGIN RSA PRIVATE KEY-----"
    seed pem
    printf '\n-----END RSA PRIVATE KEY-----\nINFO  the last line that must stay\n'
  } >"$log"
  echo "2026-11-21T09:19:36Z uid=0 command=\"deploy --token=$(seed audit)\"" >"$SUTRA_STATE_DIR/audit.log"
  SUTRA_ADMIN_TOKEN=$env_secret sutra bugreport "$BATS_TEST_TMPDIR/report"
  [ "$(stat -c %a "$BATS_TEST_TMPDIR/report")" = 600 ]
  [ "$(wc -l <"$SEEDS")" -ge 24 ]
  while read -r s; do
    run ! grep -nF -- "$s" "$BATS_TEST_TMPDIR/report"
    run ! grep -nF -- "$(printf '%s' "$s" | base64 -w0 | tr -d =)" "$BATS_TEST_TMPDIR/report"
  done <"$SEEDS"
  run ! grep -n S3cr3t "$BATS_TEST_TMPDIR/report"
  run ! grep -n "$(printf 'sutra:%s' "$password" | base64 -w0)" "$BATS_TEST_TMPDIR/report"
  run ! grep -n "$(printf '%s' "$password" | xxd -p -c 256)" "$BATS_TEST_TMPDIR/report"
  grep -q 'a plain line that must stay tokens=17' "$BATS_TEST_TMPDIR/report"
  grep -q 'the last line that must stay' "$BATS_TEST_TMPDIR/report"
  # They were there to be found.
  [ "$(grep -c '\*\*\*\*' "$BATS_TEST_TMPDIR/report")" -ge 24 ]
}

@test "every part is there, and nothing deployed is no obstacle" {
  sutra bugreport >"$BATS_TEST_TMPDIR/report"
  for part in 'what happened' versions settings record 'last runs' states 'log of ml-base-1'; do
    grep -qx "== $part" "$BATS_TEST_TMPDIR/report"
  done
  grep -q '^ml-base-1  *down' "$BATS_TEST_TMPDIR/report"
  grep -q '^MATRYOSHKA_DIM  *built-in  *256' "$BATS_TEST_TMPDIR/report"
  rm -rf "$SUTRA_STATE_DIR"
  sutra bugreport | grep -q 'nothing is deployed'
  MATRYOSHKA_DIM=wide sutra bugreport | grep -q 'they cannot be used: .*MATRYOSHKA_DIM'
  run -1 sutra bugreport "$BATS_TEST_TMPDIR/no/folder"
}
