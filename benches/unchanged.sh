#!/usr/bin/env bash
# What a second push of the same extract costs, against the first one and against merely reading the file.
# Usage: benches/unchanged.sh [ROWS]      Needs GNU time for the memory; without it that column is empty.
set -euo pipefail
rows=${1:-100000}
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cargo build --release --quiet --manifest-path "$root/Cargo.toml"
segue="$root/target/release/segue"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
awk -v rows="$rows" 'BEGIN {
  print "number,name,phone,street,city,employees,revenue,founded"
  for (row = 1; row <= rows; row++)
    printf "AW%09d,Shop number %d,555-%04d,%d Main Street,Town %d,%d,%d.50,%04d-%02d-%02d\n",
      row, row, row % 10000, row % 900, row % 1500, row % 400, row % 99999, 1950 + row % 70, 1 + row % 12, 1 + row % 28
}' > extract.csv
cat > accounts.yaml <<'YAML'
version: 1
source: { path: extract.csv }
target: { table: account, key: [accountnumber] }
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
"$segue" sandbox --in-memory --ready-file ready.json > /dev/null &
sandbox=$!
trap 'kill "$sandbox"; rm -rf "$folder"' EXIT
until [ -e ready.json ]; do read -rt 0.05 < <(:) || true; done
value() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" ready.json; }
export SEGUE_URL="$(value url)" SEGUE_AUTHORITY="$(value authority)" SEGUE_TENANT_ID="$(value tenant_id)"
export SEGUE_CLIENT_ID="$(value client_id)" SEGUE_CLIENT_SECRET="$(value client_secret)"

timed() { # name, command …
  local name=$1 begin end memory=""
  shift
  begin=$(date +%s%N)
  if [ -x /usr/bin/time ]; then /usr/bin/time -f %M -o memory "$@" > out; memory="$(( $(tail -1 memory) / 1024 )) MiB"; else "$@" > out; fi
  end=$(date +%s%N)
  took=$(( (end - begin) / 1000000 ))
  printf '%-28s %8s ms  %s\n' "$name" "$took" "$memory"
}
echo "$rows rows, $(( $(wc -c < extract.csv) / 1024 )) KiB"
timed "read alone (md5sum)" md5sum extract.csv
timed "first push" "$segue" push -m accounts.yaml -q; first=$took
timed "second push, unchanged" "$segue" push -m accounts.yaml -q; second=$took
sed -i '2~100s/Shop/Store/' extract.csv
timed "third push, 1 % changed" "$segue" push -m accounts.yaml -q; third=$took
echo "second : first = $(awk "BEGIN { printf \"%.3f\", $second / $first }"), third : first = $(awk "BEGIN { printf \"%.3f\", $third / $first }")"
echo "state at rest: $(( $(du -sb .segue/env | cut -f1) / rows )) bytes a row"
