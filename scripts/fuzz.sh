#!/bin/sh
# fuzz.sh: every fuzz target under libFuzzer with address and undefined-behaviour sanitizers, for
# FUZZ_SECONDS each (60). Starts from tests/fuzz/corpus/<name>; what it finds is kept in
# build/fuzz/found/<name>, and an input that fails is named there.
set -eu
cd "$(dirname "$0")/.."
scripts/install-deps.sh build check
cmake --preset fuzz >/dev/null
cmake --build build/fuzz -j "${JOBS:-$(nproc)}" --target fuzzers

status=0
for target in build/fuzz/tests/fuzz/fuzz_*; do
    name=$(basename "$target" | sed 's/^fuzz_//')
    found=build/fuzz/found/$name
    mkdir -p "$found" "tests/fuzz/corpus/$name"
    echo "== $name, ${FUZZ_SECONDS:-60} s"
    "$target" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$name" 2>"$found.log" ||
        { status=1; grep -E 'ERROR|SUMMARY|Test unit' "$found.log" || tail -n 20 "$found.log"; }
    grep -E 'number_of_executed_units|new_units_added' "$found.log" || true
done
exit $status
