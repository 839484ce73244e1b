#!/usr/bin/env bash
# Runs the flows of clients that others wrote against `segue sandbox --in-memory`:
# Microsoft's SDK for Python and dynamics-web-api for Node. Both are installed, in the versions
# pinned here, into `.cache` beside this file. A suite whose tools, registry or transport is not
# there is skipped with the reason; that is no failure. Exits 1 only if a flow fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

here=$PWD
root=$(cd ../.. && pwd)
cache=$here/.cache
mkdir -p "$cache"
work=$(mktemp -d "$cache/run.XXXXXX")
results=$work/results.tsv
: >"$results"
sandbox=""

finish() {
  if [ -n "$sandbox" ]; then
    kill -INT "$sandbox" 2>/dev/null || true
    wait "$sandbox" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

skip() { printf 'skipped\t%s\t%s\n' "$1" "$2" >>"$results"; }

# The sandbox, as it was built or as it is named.
segue=${SEGUE:-}
if [ -z "$segue" ]; then
  target=${CARGO_TARGET_DIR:-$root/target}
  segue=$target/debug/segue
  if command -v cargo >/dev/null; then
    (cd "$root" && cargo build --quiet --locked --bin segue)
  fi
fi
if [ ! -x "$segue" ]; then
  echo "interop: skipped, there is no segue at $segue and no cargo to build it"
  exit 0
fi

# Starts a sandbox with these flags; sets `ready` to the file that tells where it is.
start() {
  ready=$work/ready-$1.json
  local said=$work/said-$1
  shift
  mkfifo "$said"
  "$segue" sandbox --in-memory --ready-file "$ready" "$@" >"$said" 2>"$work/sandbox.log" &
  sandbox=$!
  # It speaks once it listens and the file is whole; a sandbox that ends instead says nothing.
  exec 3<"$said"
  if ! read -r _ <&3; then
    cat "$work/sandbox.log" >&2
    echo "interop: the sandbox did not start" >&2
    exit 1
  fi
}

stop() {
  kill -INT "$sandbox" 2>/dev/null || true
  wait "$sandbox" 2>/dev/null || true
  exec 3<&-
  sandbox=""
}

# Runs a suite; its lines go to the table under the client's name.
suite() {
  local client=$1
  shift
  local code=0
  "$@" >"$work/lines.tsv" || code=$?
  while IFS=$'\t' read -r result flow detail; do
    printf '%s\t%s: %s\t%s\n' "$result" "$client" "$flow" "$detail" >>"$results"
  done <"$work/lines.tsv"
  if [ "$code" -ne 0 ] && ! grep -q '^FAIL' "$work/lines.tsv"; then
    printf 'FAIL\t%s\tended with exit code %s\n' "$client" "$code" >>"$results"
  fi
}

# Node

install_node() {
  local modules=$cache/node
  if cmp -s node/package-lock.json "$modules/installed.json"; then return 0; fi
  rm -rf "$modules"
  mkdir -p "$modules"
  cp node/package.json node/package-lock.json "$modules/"
  (cd "$modules" && npm ci --no-audit --no-fund --fetch-retries=1 --loglevel=error) >"$work/npm.log" 2>&1 || return 1
  cp node/package-lock.json "$modules/installed.json"
}

run_node() {
  local client="dynamics-web-api"
  if ! command -v node >/dev/null; then skip "$client" "there is no node"; return; fi
  if ! command -v npm >/dev/null; then skip "$client" "there is no npm"; return; fi
  if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; then
    skip "$client" "node $(node --version) is older than 18"
    return
  fi
  if ! install_node; then skip "$client" "npm could not install it"; return; fi
  start node
  INTEROP_READY=$ready INTEROP_MODULES=$cache/node/package.json \
    suite "$client" node node/suite.mjs
  stop
}

# Python

install_python() {
  local environment=$cache/python
  if cmp -s python/requirements.txt "$environment/installed.txt"; then return 0; fi
  rm -rf "$environment"
  python3 -m venv "$environment" >"$work/pip.log" 2>&1 || return 1
  "$environment/bin/python" -m pip install --quiet --retries 1 --disable-pip-version-check \
    -r python/requirements.txt >>"$work/pip.log" 2>&1 || return 1
  cp python/requirements.txt "$environment/installed.txt"
}

run_python() {
  local client="PowerPlatform-Dataverse-Client"
  if ! "$segue" sandbox --help | grep -q -- '--tls'; then
    skip "$client" "it refuses plain http, and this sandbox has no --tls"
    return
  fi
  if ! command -v python3 >/dev/null; then skip "$client" "there is no python3"; return; fi
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    skip "$client" "$(python3 --version) is older than 3.10"
    return
  fi
  if ! install_python; then skip "$client" "pip could not install it"; return; fi
  start python --tls
  local certificate
  certificate=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["certificate"])' "$ready")
  INTEROP_READY=$ready REQUESTS_CA_BUNDLE=$certificate \
    suite "$client" "$cache/python/bin/python" python/suite.py
  stop
}

run_node
run_python

# The table.
column -t -s "$(printf '\t')" "$results" 2>/dev/null || cat "$results"
count() { grep -c "^$1" "$results" || true; }
printf 'interop: %s passed, %s failed, %s pending, %s skipped\n' \
  "$(count pass)" "$(count FAIL)" "$(count pending)" "$(count skipped)"
[ "$(count FAIL)" -eq 0 ]
