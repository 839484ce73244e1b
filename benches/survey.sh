#!/usr/bin/env bash
# The survey at full size: a dry run of an extract of which 1 % changed, 0.5 % is new, 0.5 % is gone, in another order,
# against DuckDB computing the same by a full outer join, and against reading the file.
# Usage: benches/survey.sh [ROWS] [parquet|csv]      Needs Python with duckdb (PYTHON=…) and GNU time.
# Keeps extracts in FOLDER if it is set, and does not make them again.
set -euo pipefail
rows=${1:-100000}
kind=${2:-parquet}
python=${PYTHON:-python3}
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
[ -n "${SKIP_BUILD:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" --bin segue --example responder
segue="$root/target/release/segue"
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
YAML
"$root/target/release/examples/responder" ready.json &
responder=$!
trap 'kill "$responder"; rm -rf "$work"' EXIT
until [ -e ready.json ]; do read -rt 0.05 < <(:) || true; done
value() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" ready.json; }
export SEGUE_URL="$(value url)" SEGUE_AUTHORITY="$(value authority)" SEGUE_TENANT_ID="$(value tenant_id)"
export SEGUE_CLIENT_ID="$(value client_id)" SEGUE_CLIENT_SECRET="$(value client_secret)" SEGUE_LOG=segue::push=info

row() { printf '%-44s %9s s %6s MiB\n' "$1" "$2" "$3"; }
peak() { echo $(( $(tail -1 memory) / 1024 )); }
logged() { grep -o "$1.*$2=[0-9]*" log | tail -1 | sed -E "s/.*$2=//" | awk '{ printf "%.2f", $1 / 1000 }'; }
push() { /usr/bin/time -o memory -f '%e %U %S %M' "$segue" push -m accounts.yaml -q --json "$@" > out 2> log || { cat log out >&2; exit 1; }; }

echo "$rows rows, $kind, $(( $(stat -c %s "$extracts/second.$kind") >> 20 )) MiB, load $(cut -d' ' -f1 /proc/loadavg)"
push
row "first load, every row is sent" "$(cut -d' ' -f1 memory)" "$(( $(cut -d' ' -f4 memory) / 1024 ))"
row "  of it its survey" "$(logged 'extract surveyed' elapsed_ms)" ""
row "  of it the ledger put in order" "$(logged 'ledger folded' elapsed_ms)" ""
echo "state at rest: $(( $(du -sb .segue/env | cut -f1) / rows )) bytes a row"
sed -i "s/first.$kind/second.$kind/" accounts.yaml
for round in 1 2 3; do
  push --dry-run
  survey="$(logged 'extract surveyed' elapsed_ms)"
  row "dry run: survey" "$survey" ""
  row "dry run: survey, of it reading and digesting" "$(logged 'extract surveyed' read_ms)" ""
  row "dry run: all of it, with look-ups" "$(cut -d' ' -f1 memory)" "$(( $(cut -d' ' -f4 memory) / 1024 ))"
  /usr/bin/time -o memory -f %M "$python" "$root/benches/extracts.py" join "$extracts" "$kind" > out
  join="$(sed -n 's/seconds //p' out)"
  row "DuckDB: full outer join" "$join" "$(peak)"
  /usr/bin/time -o memory -f %M "$python" "$root/benches/extracts.py" read "$extracts" "$kind" > out
  row "DuckDB: reading alone" "$(sed -n 's/seconds //p' out)" "$(peak)"
  /usr/bin/time -o memory -f '%e %M' cat "$extracts/second.$kind" > /dev/null
  row "cat" "$(cut -d' ' -f1 memory)" ""
  awk "BEGIN { printf \"survey : join = %.2f, survey a row = %.0f ns\n\", $survey / $join, $survey * 1e9 / $rows }"
done
