#!/bin/sh
# check.sh: all that proves this tree, in one run; `make check` and .ci/run are this and nothing else.
#   1. what is missing is installed, where that may be done
#   2. gcc, release: warnings are errors; the whole suite, the checks of the tree included
#   3. gcc, address and undefined-behaviour sanitizers: the whole suite again, in small sizes
#   4. gcc, thread sanitizer, serial kernels: the tests of threads
#   5. clang: warnings are errors; the fuzz targets build against libFuzzer
# A step that fails does not stop those after it. The last line counts cases over all of it.
set -u
cd "$(dirname "$0")/.." || exit 1
JOBS=${JOBS:-$(nproc)}
RF_RESULTS=build/check
export JOBS RF_RESULTS
[ -n "${CMAKE_GENERATOR:-}" ] || ! command -v ninja >/dev/null || export CMAKE_GENERATOR=Ninja
rm -rf "$RF_RESULTS"
mkdir -p "$RF_RESULTS"
start=$(date +%s)

clock() {
    echo "$(($(date +%s) - start)) s"
}

# step NAME COMMAND...: one case, passed when the command is.
step() {
    name=$1 log=$RF_RESULTS/step.log
    shift
    if "$@" >"$log" 2>&1; then
        printf 'pass\tbuild\t%s\t\n' "$name" >>"$RF_RESULTS/cases"
        echo "== $name ($(clock))"
        return 0
    fi
    printf 'fail\tbuild\t%s\t\n' "$name" >>"$RF_RESULTS/cases"
    {
        echo "---- $name"
        grep -E -A 12 'error|undefined reference' "$log" | head -n 120 || true
        tail -n 8 "$log"
        echo
    } >>"$RF_RESULTS/failures"
    echo "== $name FAILED ($(clock))"
    return 1
}

skip() {
    printf 'skip\tbuild\t%s\t%s\n' "$1" "$2" >>"$RF_RESULTS/cases"
    echo "== $1: skipped, $2"
}

# build PRESET [CMAKE BUILD ARGUMENT...]: goes on after an error, so that all that builds is tested.
build() {
    preset=$1
    shift
    cmake --preset "$preset" || return
    keep_going=
    [ ! -f "build/$preset/build.ninja" ] || keep_going=0
    cmake --build "build/$preset" -j "$JOBS" "$@" -- -k $keep_going
}

suite() {
    scripts/run-tests.sh "$@"
    echo "== tests of $1 ($(clock))"
}

scripts/install-deps.sh build check

step "gcc builds all without a warning" build release
suite build/release
[ -n "$(find build/release/tests -name 'test_*' -type f -perm -u+x | head -n 1)" ] ||
    skip "tests in C" "cmocka is not installed"

step "sanitizers: address, undefined" build asan
RF_TEST_FAST=1 suite build/asan

step "sanitizers: threads" build tsan --target thread_tests
if ctest --test-dir build/tsan -N -L thread 2>/dev/null | grep -q '^Total Tests: 0'; then
    skip "tests of threads under their sanitizer" "there are none yet"
else
    RF_TEST_FAST=1 suite build/tsan -L thread
fi

if command -v clang >/dev/null; then
    step "clang builds all without a warning" build clang
    if echo 'int LLVMFuzzerTestOneInput(const char *d, long n){return d&&n?0:0;}' |
        clang -fsanitize=fuzzer,address -x c - -o "$RF_RESULTS/probe" 2>/dev/null; then
        step "fuzz targets build against libFuzzer" build fuzz --target fuzzers
    else
        skip "fuzz targets build against libFuzzer" "clang has no libFuzzer here"
    fi
else
    skip "clang builds all without a warning" "clang is not installed"
fi

if [ -s "$RF_RESULTS/failures" ]; then
    echo
    echo "What failed (all of it: $RF_RESULTS/failures):"
    cut -c 1-400 "$RF_RESULTS/failures" | head -n 600
    echo
    awk -F '\t' '$1 == "fail" { printf "FAILED  %-8s %-32s %s\n", $2, $3, $4 }' "$RF_RESULTS/cases"
fi
awk -F '\t' '
    { total[$1]++ }
    END {
        printf "%d passed, %d failed", total["pass"], total["fail"]
        if (total["skip"]) printf ", %d skipped", total["skip"]
        print ""
        exit total["fail"] > 0
    }' "$RF_RESULTS/cases"
