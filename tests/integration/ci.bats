#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# validate/ci: what people copy into their pipelines does what its head says.
load daemon.bash

setup() {
  top=$BATS_TEST_DIRNAME/../..
  SUTRA_PORT_OFFSET=$(port_offset)
  export SUTRA=$SUTRA_BIN/sutra REPORTS=$BATS_TEST_TMPDIR/reports TMPDIR=$BATS_TEST_TMPDIR/tmp
  export SUTRA_PORT_OFFSET SUTRA_RUNTIME=native SUTRA_EDITION=simple
  mkdir -p "$TMPDIR"
}

# sutra that ends as told: deploy with $DEPLOY, validate with the suite's name.
stand_in() {
  SUTRA=$BATS_TEST_TMPDIR/sutra
  cat >"$SUTRA" <<'EOF'
#!/usr/bin/env bash
echo "$1 $2" >>"$BATS_TEST_TMPDIR/calls"
case $1 in
deploy) exit "${DEPLOY:-0}" ;;
validate) echo "<testsuites/>"; exit "$2" ;;
status) echo '{}' ;;
logs) echo line ;;
esac
EOF
  chmod +x "$SUTRA"
}

@test "a real stack: deployed, validated, JUnit left, gone" {
  find_model
  run -0 --separate-stderr "$top/validate/ci/run" smoke
  python3 -c 'import sys, xml.etree.ElementTree as t; assert len(list(t.parse(sys.argv[1]).iter("testcase"))) > 5' "$REPORTS/smoke.xml"
  [ ! -e "$REPORTS/logs.txt" ]
  [ -z "$(ls -A "$TMPDIR")" ]
  ! (exec 4<>"/dev/tcp/127.0.0.1/$((8888 + SUTRA_PORT_OFFSET))") 2>/dev/null
}

@test "a setting that is wrong, a suite that is not there: 2" {
  MATRYOSHKA_DIM=none run -2 "$top/validate/ci/run" smoke
}

@test "every suite runs; the code stands for all; evidence is kept" {
  stand_in
  run -0 "$top/validate/ci/run" 0 0
  [ ! -e "$REPORTS/logs.txt" ]
  run -6 "$top/validate/ci/run" 1 6 0
  [ "$(ls "$REPORTS")" = $'0.xml\n1.xml\n6.xml\nlogs.txt\nstatus.json' ]
  run -1 "$top/validate/ci/run" 3 1 0
  run -4 "$top/validate/ci/run" 1 4
  : >"$BATS_TEST_TMPDIR/calls"
  DEPLOY=4 run -4 "$top/validate/ci/run" 0
  [ "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/calls" | xargs)" = "deploy status logs down" ]
}

@test "the workflow is YAML, and runs the script that is there" {
  python3 - "$top" <<'EOF'
import sys, os, yaml
w = yaml.safe_load(open(sys.argv[1] + "/validate/ci/github-actions.yml"))
steps = w["jobs"]["validate"]["steps"]
line = next(s["run"] for s in steps if "validate/ci/run" in s.get("run", ""))
suites = line.split("validate/ci/run ")[1].split(" ||")[0].split()
for s in suites:
    assert os.path.exists(f"{sys.argv[1]}/validate/{s}.json"), s
upload = next(s for s in steps if "upload-artifact" in s.get("uses", ""))
assert upload["if"] == "always()" and upload["with"]["path"].rstrip("/") == w["jobs"]["validate"]["env"]["REPORTS"]
EOF
}
