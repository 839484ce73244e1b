#!/usr/bin/env bash
# The survey at full size: a dry run of an extract of which 1 % changed, 0.5 % is new, 0.5 % is gone, in another order,
# against DuckDB computing the same by a full outer join, and against reading the file. Fails if the two do not agree
# on what changed. Usage: benches/survey.sh [ROWS] [parquet|csv]
# Needs Python with duckdb: PYTHON=…, or it is installed into .cache beside this file. Without it, it says so and ends.
# Keeps extracts in FOLDER if it is set, and does not make them again. PROFILE=debug takes the build of the tests.
set -euo pipefail
rows=${1:-100000}
kind=${2:-parquet}
profile=${PROFILE:-release}
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"

find_python() {
  if [ -n "${PYTHON:-}" ]; then python=$PYTHON; return; fi
  python=$here/.cache/bin/python
  if [ -x "$python" ]; then return; fi
  command -v python3 > /dev/null || { echo "survey: skipped, there is no python3"; exit 0; }
  python3 -m venv "$here/.cache" > /dev/null 2>&1 \
    && "$python" -m pip install --quiet --retries 1 --disable-pip-version-check duckdb==2.0.0 > /dev/null 2>&1 \
    || { rm -rf "$here/.cache"; echo "survey: skipped, duckdb cannot be installed"; exit 0; }
}
find_python

flags=(--quiet --locked --manifest-path "$root/Cargo.toml" --bin segue --example responder --example ledger)
[ "$profile" = debug ] || flags+=(--release)
cargo build "${flags[@]}"
built="${CARGO_TARGET_DIR:-$root/target}/$profile"
segue="$built/segue"
work="$(mktemp -d)"
extracts="${FOLDER:-$work}/$rows"
trap 'rm -rf "$work"' EXIT
mkdir -p "$extracts"
[ -e "$extracts/second.csv" ] || "$python" "$root/benches/extracts.py" make "$rows" "$extracts"
cd "$work"
cat > accounts.yaml <<YAML
version: 1
source: { path: $extracts/first.$kind }
target: { table: account, key: [accountnumber] }
columns:
  accountnumber: number
  name: name
  emailaddress1: email
  telephone1: phone
  address1_line1: street
  address1_city: city
  address1_postalcode: postcode
  numberofemployees: employees
  revenue: revenue
  description: founded
  websiteurl: site
  fax: fax
missing: delete
YAML
"$built/examples/responder" ready.json &
responder=$!
trap 'kill "$responder"; rm -rf "$work"' EXIT
until [ -e ready.json ]; do read -rt 0.05 < <(:) || true; done
value() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" ready.json; }
export SEGUE_URL="$(value url)" SEGUE_AUTHORITY="$(value authority)" SEGUE_TENANT_ID="$(value tenant_id)"
export SEGUE_CLIENT_ID="$(value client_id)" SEGUE_CLIENT_SECRET="$(value client_secret)" SEGUE_LOG=segue::push=info

row() { printf '%-44s %9s s %6s MiB\n' "$1" "$2" "$3"; }
# Runs a command; leaves its seconds, processor seconds and MiB at its peak in these variables.
timed() {
  "$python" "$here/timed.py" figures "$@" > out 2> log || { cat log out >&2; exit 1; }
  read -r seconds processor peak < figures
}
logged() { grep -o "$1.*$2=[0-9]*" log | tail -1 | sed -E "s/.*$2=//" | awk '{ printf "%.2f", $1 / 1000 }'; }
# The processor time of a stage that has a thread for itself.
worked() { grep -oE "stage=\"$1\" cpu_us=[0-9]+" log | cut -d= -f3 | awk '{ sum += $1 } END { printf "%.2f", sum / 1e6 }'; }
counted() { grep -o "\"$1\":[0-9]*" out | head -1 | cut -d: -f2; }
push() { timed "$segue" push -m accounts.yaml -q --json "$@"; }

echo "$rows rows, $kind, $profile build, $(( $(stat -c %s "$extracts/second.$kind") >> 20 )) MiB, load $(cut -d' ' -f1 /proc/loadavg)"
push
row "first load, every row is sent" "$seconds" "$peak"
row "  of it its survey" "$(logged 'extract surveyed' elapsed_ms)" ""
row "  of it the ledger put in order" "$(logged 'ledger folded' elapsed_ms)" ""
row "processor time of the first load" "$processor" ""
# What the ledger takes with nothing beside it: all that it could cost the load, which does other things meanwhile.
# What the load left to be written is none of it.
sync
ledger=($("$built/examples/ledger" alone "$rows" 12))
awk -v recording="${ledger[0]}" -v ordering="${ledger[1]}" -v all="$seconds" 'BEGIN {
  printf "the ledger of such a load alone: %.2f s, %.1f %% of the load: recording %.2f s, putting in order %.2f s\n",
    recording + ordering, 100 * (recording + ordering) / all, recording, ordering
}'
awk -v sort="$(worked "sort")" -v recorder="$(worked recorder)" -v fold="$(worked fold)" -v all="$processor" 'BEGIN {
  printf "of the processor time: sorting and comparing in the survey %.1f %%, recording and counting %.1f %%, putting in order %.1f %%\n",
    100 * sort / all, 100 * recorder / all, 100 * fold / all
}'
echo "state at rest: $(( $(du -sb .segue/env | cut -f1) / rows )) bytes a row"
sed -i "s/first.$kind/second.$kind/" accounts.yaml
for round in 1 2 3; do
  push --dry-run
  found="($(counted created), $(counted deleted), $(counted updated))"
  survey="$(logged 'extract surveyed' elapsed_ms)"
  row "dry run: survey" "$survey" ""
  row "dry run: survey, of it reading and digesting" "$(logged 'extract surveyed' read_ms)" ""
  row "dry run: all of it, with look-ups" "$seconds" "$peak"
  timed "$python" "$here/extracts.py" join "$extracts" "$kind"
  join="$(sed -n 's/seconds //p' out)"
  row "DuckDB: full outer join" "$join" "$peak"
  if [ "$found" != "$(head -1 out)" ]; then
    echo "survey: segue found (new, gone, changed) $found, DuckDB $(head -1 out)" >&2
    exit 1
  fi
  timed "$python" "$here/extracts.py" read "$extracts" "$kind"
  row "DuckDB: reading alone" "$(sed -n 's/seconds //p' out)" "$peak"
  timed cat "$extracts/second.$kind"
  row "cat" "$seconds" ""
  awk "BEGIN { printf \"survey : join = %.2f, survey a row = %.0f ns\n\", $survey / $join, $survey * 1e9 / $rows }"
done
echo "$found new, gone and changed rows, as DuckDB says"
