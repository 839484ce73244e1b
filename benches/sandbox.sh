#!/usr/bin/env bash
# How fast the sandbox starts, how many upserts it takes through `$batch`, and what a million contacts weigh.
# Usage: benches/sandbox.sh [ROWS [OPERATIONS_PER_BATCH [CONNECTIONS]]]
# Server and load client share the first two processors where `taskset` is there, otherwise all. Memory needs /proc.
set -euo pipefail
rows=${1:-1000000}
batch=${2:-100}
connections=${3:-4}
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cargo build --release --quiet --manifest-path "$root/Cargo.toml" --bin segue
cargo build --release --quiet --manifest-path "$root/Cargo.toml" --package segue-emulator --example load
segue="$root/target/release/segue"
load="$root/target/release/examples/load"
folder="$(mktemp -d)"
sandbox=""
trap '[ -z "$sandbox" ] || kill "$sandbox"; rm -rf "$folder"' EXIT
cd "$folder"
pinned=()
if command -v taskset > /dev/null; then pinned=(taskset -c 0,1); fi

now() { date +%s%N; }
stop() { kill "$sandbox"; wait "$sandbox" || true; sandbox=""; }
start() { # leaves how many tenths of a millisecond it took until it said that it listens
  local begin line
  mkfifo out
  begin=$(now)
  "${pinned[@]}" "$segue" sandbox --in-memory --ready-file ready.json "$@" > out &
  sandbox=$!
  read -r line < out
  took=$(( ($(now) - begin) / 100000 ))
  rm out
}
memory() { awk -v name="$1:" '$1 == name { printf "%d", $2 / 1024 }' "/proc/$sandbox/status"; }

for _ in 1 2 3 4 5 6 7 8 9 10; do start; echo "$took"; stop; done | sort -n > starts
awk '{ all[NR] = $1 } END { printf "start:   median of %d is %.1f ms, slowest %.1f ms\n", NR, all[int((NR + 1) / 2)] / 10, all[NR] / 10 }' starts

start
before=$(memory VmRSS)
begin=$(now)
"${pinned[@]}" "$load" ready.json "$rows" "$batch" "$connections"
took=$(( ($(now) - begin) / 1000000 ))
echo "create:  $rows contacts in $took ms, $(( rows * 1000 / took )) upserts a second, $batch to a batch over $connections connections"
echo "memory:  $before MiB empty, $(memory VmRSS) MiB with $rows contacts, $(memory VmHWM) MiB at most"
begin=$(now)
"${pinned[@]}" "$load" ready.json "$rows" "$batch" "$connections"
took=$(( ($(now) - begin) / 1000000 ))
echo "update:  the same again in $took ms, $(( rows * 1000 / took )) upserts a second"
stop
