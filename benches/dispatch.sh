#!/usr/bin/env bash
# How close `segue push` comes to what the service grants: against a blaster that sends bodies rendered beforehand over
# the best fixed number of connections (found by trying), one request per row, Microsoft's SDK for Python, and
# dynamics-web-api; then the same with service protection limits, scaled down. All against `segue sandbox --in-memory`
# with a modelled service time, so that the service and not this machine is the bound: the sandbox's own processor time
# is in the table. Takes about five minutes.
# Usage: benches/dispatch.sh [WORKERS…]      Default 4 16: how many requests the service works on at a time.
# SERVICE=20ms,1ms BATCH=100 SECONDS_A_RUN=8 LIMITS=0.02 change what it measures; PARTS="speed processor peers limits" what of it.
# CACHE names the folder into which tests/interop/run.sh installs the clients of others; SKIP_BUILD=1 builds nothing.
set -euo pipefail
[ $# -gt 0 ] || set -- 4 16
service=${SERVICE:-20ms,1ms} batch=${BATCH:-100} seconds=${SECONDS_A_RUN:-8} factor=${LIMITS:-0.02}
parts=${PARTS:-speed processor peers limits}
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache=${CACHE:-$root/tests/interop/.cache}
[ -n "${SKIP_BUILD:-}" ] || cargo build --release --quiet --locked --manifest-path "$root/Cargo.toml" --bin segue --example blaster
segue="$root/target/release/segue"
blaster="$root/target/release/examples/blaster"
folder="$(mktemp -d)"
sandbox=""
trap '[ -z "$sandbox" ] || kill "$sandbox"; rm -rf "$folder"' EXIT
cd "$folder"
export SEGUE_LOG=segue::push=info LC_ALL=C

calculate() { awk "BEGIN { printf \"$1\", $2 }"; }
# What the modelled service can do: rows a second with so many workers and rows to a request.
per_request=${service%%ms,*} per_row=${service##*,} per_row=${per_row%ms}
granted() { calculate %.0f "$1 * $2 * 1000 / ($per_request + $2 * $per_row)"; }

extract() { # ROWS [UPDATED]: the first push, or the same rows with another name each
  awk -v rows="$1" -v kind="${2:-Shop}" 'BEGIN {
    print "number,name,phone,street,city,employees,revenue,founded"
    for (row = 1; row <= rows; row++)
      printf "AW%09d,%s number %d,555-%04d,%d Main Street,Town %d,%d,%d.50,%04d-%02d-%02d\n",
        row, kind, row, row % 10000, row % 900, row % 1500, row % 400, row % 99999, 1950 + row % 70, 1 + row % 12, 1 + row % 28
  }' > extract.csv
}
mapping() { # ENVELOPE
  cat > accounts.yaml <<YAML
version: 1
source: { path: extract.csv }
target: { table: account, key: [accountnumber] }
write: { envelope: $1, batch_size: $batch }
columns:
  accountnumber: number
  name: name
  telephone1: phone
  address1_line1: street
  address1_city: city
  numberofemployees: employees
  revenue: revenue
  description: founded
YAML
}
value() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" ready.json; }
start() { # WORKERS [FLAGS…]
  local workers=$1
  shift
  rm -rf ready.json .segue
  "$segue" sandbox --in-memory --ready-file ready.json --service-time "$service" --workers "$workers" "$@" > /dev/null &
  sandbox=$!
  until [ -e ready.json ]; do read -rt 0.05 < <(:) || true; done
  export SEGUE_URL="$(value url)" SEGUE_AUTHORITY="$(value authority)" SEGUE_TENANT_ID="$(value tenant_id)"
  export SEGUE_CLIENT_ID="$(value client_id)" SEGUE_CLIENT_SECRET="$(value client_secret)"
}
stop() { kill "$sandbox"; wait "$sandbox" 2> /dev/null || true; sandbox=""; }
counted() { curl -s "$SEGUE_URL/counts" | grep -o "\"$1\":[0-9]*" | cut -d: -f2; }
# The sandbox's processor time so far, in milliseconds; 0 where the system does not tell.
spent() { [ -r "/proc/$sandbox/stat" ] && awk '{ sub(/.*\) /, ""); print ($12 + $13) * 10 }' "/proc/$sandbox/stat" || echo 0; }

heading() { printf '\n%s\n%-34s %9s %9s %8s %9s %9s %9s\n' "$1" "" rows "rows/s" ratio "user µs/r" "sys µs/r" "sandbox"; }
row() { # NAME ROWS SECONDS USER_MS SYSTEM_MS BASE SANDBOX_MS: the last as a share of one core
  awk -v name="$1" -v rows="$2" -v seconds="$3" -v user="$4" -v system_="$5" -v base="$6" -v busy="$7" 'BEGIN {
    speed = rows / seconds
    ratio = base > 0 ? sprintf("%.3f", speed / base) : "-"
    printf "%-34s %9d %9.0f %8s %9.2f %9.2f %7.2f c\n", name, rows, speed, ratio, user * 1000 / rows, system_ * 1000 / rows, busy / seconds / 1000
  }'
}
blast() { # PREFIX CONNECTIONS SECONDS: leaves rows, took, user, system_, busy
  local before
  before=$(spent)
  read -r rows took user system_ < <("$blaster" ready.json extract.csv "$1" "$batch" "$2" "$3")
  busy=$(( $(spent) - before ))
}
push() { # leaves rows, took, user, system_, busy; the results in out, the log in log
  local before
  before=$(spent)
  TIMEFORMAT='%R %U %S'
  { time "$segue" push -m accounts.yaml --json "$@" > out 2> log; } 2> times || { cat log out >&2; exit 1; }
  busy=$(( $(spent) - before ))
  read -r took user system_ < times
  user=$(calculate %.0f "$user * 1000") system_=$(calculate %.0f "$system_ * 1000")
  rows=$(figure '"created":[0-9]*') changed=$(figure '"updated":[0-9]*')
  rows=$((rows + changed))
}
figure() { grep -oE "$1" out | head -1 | grep -oE '[0-9.]+$'; }
while_sending() { # start, survey and the ledger put in order left out
  local speed
  speed=$(figure '"rows_per_second":[0-9.]+')
  echo "  while sending it did $speed rows/s: $(calculate %.3f "$speed / $base") of (a)"
}
sending() { # the part of the results about sending
  printf '  %s\n' "$(sed -E 's/.*"sending":(\{.*),"curve":\{.*/\1/; s/"//g; s/,waits/\n  waits/; s/,latency:/\n  seconds of requests: /' out)"
  printf '  in flight: %s\n' "$(sed -E 's/.*"curve":\{"every":([0-9.]*),"in_flight":\[([0-9,]*)\].*/\2 (each \1 s)/' out)"
}
logged() { grep -oE "$1.*" log | grep -oE "$2=[0-9]+" | cut -d= -f2 | awk '{ sum += $1 } END { printf "%d", sum }'; }
stages() { # µs a row, of the push before
  local survey fold mapper recorder render read_
  survey=$(logged 'extract surveyed' elapsed_ms) fold=$(logged 'ledger folded' elapsed_ms)
  mapper=$(logged 'stage ended.*mapper' cpu_us) recorder=$(logged 'stage ended.*recorder' cpu_us)
  render=$(logged 'requests written' rendering_us) read_=$(logged 'requests written' reading_us)
  awk -v rows="$rows" -v survey="$survey" -v fold="$fold" -v mapper="$mapper" -v recorder="$recorder" -v render="$render" \
    -v read_="$read_" -v all="$((user + system_))" -v took="$took" 'BEGIN {
    printf "  µs a row: survey %.2f, reading and mapping %.2f, bodies %.2f, answers %.2f, ledger %.2f, folding it %.2f,",
      survey * 1000 / rows, mapper / rows, render / rows, read_ / rows, recorder / rows, fold * 1000 / rows
    rest = all * 1000 / rows - (survey * 1000 + mapper + render + read_ + recorder + fold * 1000) / rows
    printf " HTTP and the rest %.2f; waiting for the service %.2f\n", rest, took * 1000000 / rows - all * 1000 / rows
  }'
}

# Tries connections until more do not help; leaves best (connections) and base (rows a second).
try() { # SECONDS CONNECTIONS…
  local each=$1 connections speed tried=""
  shift
  best=1 base=0
  for connections in "$@"; do
    blast "T$connections-" "$connections" "$each"
    speed=$(calculate %.0f "$rows / $took")
    tried="$tried $connections:$speed"
    if [ "$speed" -gt "$base" ]; then best=$connections base=$speed; fi
  done
  echo "  connections tried, rows/s:$tried"
}

speed() { # WORKERS
  local workers=$1 blasted
  start "$workers"
  extract "$(calculate %.0f "$(granted "$workers" "$batch") * $seconds")"
  mapping batch
  heading "$workers workers, service time $service: it grants $(granted "$workers" "$batch") rows/s in batches of $batch"
  try 2 1 2 4 8 16 32 64
  blast "B-" "$best" 600
  base=$(calculate %.0f "$rows / $took") blasted=$user
  row "(a) blaster, $best connections" "$rows" "$took" "$user" "$system_" "$base" "$busy"
  push
  row "segue, first push" "$rows" "$took" "$user" "$system_" "$base" "$busy"
  while_sending
  echo "  user time is $(calculate %.1f "$user / ($blasted ? $blasted : 1)") times that of the blaster"
  stages
  sending
  extract "$(($(wc -l < extract.csv) - 1))" Store
  push
  row "segue, all rows changed" "$rows" "$took" "$user" "$system_" "$base" "$busy"
  stages
  # The service may recommend less than it grants, and the run is to find out; or more, and it is not to suffer.
  for hint in 2 "$((workers * 3))"; do
    stop
    start "$workers" --hint "$hint"
    push
    row "segue, where $hint are recommended" "$rows" "$took" "$user" "$system_" "$base" "$busy"
    while_sending
    sending
  done
  extract "$(calculate %.0f "$(granted "$workers" 1) * 4")" Single
  mapping single
  rm -rf .segue
  push
  row "(b) one request per row" "$rows" "$took" "$user" "$system_" "$base" "$busy"
  stop
}

# The kernel's own account of user time rests on 100 to 1,000 looks a second, which are few while a blaster is busy: samples tell it
# better. Of the blaster, its main thread renders bodies beforehand, and is left out.
sampled() { # THREADS COMMAND…: µs of user and system time a row
  local threads=$1
  shift
  perf record -q -F 4999 -e cpu-clock -o samples "$@" > out 2> log || { cat log out >&2; exit 1; }
  perf script -i samples -F comm,ip,dso 2> /dev/null | awk -v threads="$threads" -v rows="$wanted" '$1 ~ threads { if (/kernel/) kernel++; else user++ }
    END { printf "%.2f %.2f\n", user * 1000000 / 4999 / rows, kernel * 1000000 / 4999 / rows }'
}
processor() { # WORKERS
  local workers=$1 wanted turn blaster_ segue_ ratios=""
  command -v perf > /dev/null || { echo "user time by samples: skipped, perf is not there"; return; }
  wanted=$(calculate %.0f "$(granted "$workers" "$batch") * $seconds")
  printf '\nUser and system time by samples, µs a row, %s workers\n' "$workers"
  extract "$wanted"
  mapping batch
  start "$workers"
  try 2 "$workers" "$((workers * 2))" "$((workers * 4))"
  stop
  for turn in 1 2 3; do
    start "$workers"
    blaster_=$(sampled '^tokio' "$blaster" ready.json extract.csv "P$turn-" "$batch" "$best" 600)
    stop
    start "$workers"
    segue_=$(sampled . "$segue" push -m accounts.yaml --quiet)
    stop
    ratios="$ratios $(calculate %.2f "${segue_% *} / ${blaster_% *}")"
    echo "  blaster $blaster_; segue, first push $segue_"
  done
  echo "  user time, to the blaster's:$ratios"
}

install() { # CLIENT: the environments of tests/interop/run.sh; false where one is not there and cannot be made
  case $1 in
    python)
      command -v python3 > /dev/null || return 1
      cmp -s "$root/tests/interop/python/requirements.txt" "$cache/python/installed.txt" || {
        rm -rf "$cache/python" && python3 -m venv "$cache/python" \
          && "$cache/python/bin/python" -m pip install --quiet --retries 1 -r "$root/tests/interop/python/requirements.txt" \
          && cp "$root/tests/interop/python/requirements.txt" "$cache/python/installed.txt"
      } > installed.log 2>&1 ;;
    node)
      command -v npm > /dev/null || return 1
      cmp -s "$root/tests/interop/node/package-lock.json" "$cache/node/installed.json" || {
        rm -rf "$cache/node" && mkdir -p "$cache/node" && cp "$root"/tests/interop/node/package*.json "$cache/node" \
          && (cd "$cache/node" && npm ci --no-audit --no-fund --fetch-retries=1) \
          && cp "$root/tests/interop/node/package-lock.json" "$cache/node/installed.json"
      } > installed.log 2>&1 ;;
  esac
}
peers() { # WORKERS
  local workers=$1 wanted before
  wanted=$(calculate %.0f "$(granted 1 "$batch") * 5")
  heading "What others do with $workers workers: $batch rows to a request, one request after the other, as their guides show"
  extract "$wanted"
  if install python; then
    start "$workers" --tls
    before=$(spent)
    read -r rows took user system_ < <(REQUESTS_CA_BUNDLE="$(value certificate)" "$cache/python/bin/python" "$root/benches/peers/upsert.py" ready.json extract.csv "$wanted" "$batch")
    row "(c) Microsoft's SDK for Python" "$rows" "$took" "$user" "$system_" "$base" "$(( $(spent) - before ))"
    stop
  else
    echo "(c) Microsoft's SDK for Python: skipped, python3 or its packages are not there"
  fi
  if install node; then
    start "$workers"
    before=$(spent)
    read -r rows took user system_ < <(INTEROP_MODULES="$cache/node/package.json" node "$root/benches/peers/upsert.mjs" ready.json extract.csv "$wanted" "$batch")
    row "(d) dynamics-web-api" "$rows" "$took" "$user" "$system_" "$base" "$(( $(spent) - before ))"
    stop
  else
    echo "(d) dynamics-web-api: skipped, npm or its packages are not there"
  fi
}

# 6000 requests and 1200 s of execution in 300 s, whatever the factor: 20 requests and 4 s of execution a second.
limits() { # WORKERS
  local workers=$1 window rate
  window=$(calculate %.1f "300 * $factor")
  rate=$(calculate %.0f "20 * $batch < 4 * $batch * 1000 / ($per_request + $batch * $per_row) ? 20 * $batch : 4 * $batch * 1000 / ($per_request + $batch * $per_row)")
  start "$workers" --limits "$factor"
  heading "$workers workers with limits scaled by $factor (windows of $window s): they grant $rate rows/s in batches of $batch"
  extract "$(calculate %.0f "$rate * $window * 6")"
  mapping batch
  try "$(calculate %.1f "$window * 2")" 2 4 8
  stop
  start "$workers" --limits "$factor"
  push
  row "segue, first push" "$rows" "$took" "$user" "$system_" "$base" "$busy"
  echo "  share of the granted rate used: $(calculate %.3f "$rows / $took / $rate"); refused $(counted throttled), of them sent in a penalty $(counted pressed)"
  sending
  stop
}

echo "load average at the start: $(cut -d' ' -f1-3 /proc/loadavg 2> /dev/null || echo unknown); ratio: to the rows/s of (a); sandbox: its share of one core"
base=0
for workers in "$@"; do
  case $parts in *speed*) speed "$workers" ;; esac
  case $parts in *processor*) processor "$workers" ;; esac
done
case $parts in *peers*) peers "$workers" ;; esac
case $parts in *limits*) limits "$workers" ;; esac
echo "load average at the end: $(cut -d' ' -f1-3 /proc/loadavg 2> /dev/null || echo unknown)"
