#!/bin/sh
# run-tests.sh BUILD [CTEST ARGUMENT...]: runs the suite of a build folder and counts its cases.
# A program that prints TAP ("ok", "not ok", "# SKIP") has as many cases as it prints, and a case of
# its plan that it did not reach has failed; any other program is one case. Appends to
# $RF_RESULTS (build/check by default) `cases`, one line each (status, suite, test, case), and
# `failures`, what the failed tests printed; ends with the line "N passed, N failed[, N skipped]".
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
shift
results=${RF_RESULTS:-build/check}
mkdir -p "$results"
[ -n "${RF_RESULTS:-}" ] || rm -f "$results/cases" "$results/failures"
suite=$(basename "$build")
log=$results/$suite.log
touch "$results/cases" "$results/failures"
before=$(wc -l <"$results/cases")

ctest --test-dir "$build" --verbose -j "${JOBS:-$(nproc)}" "$@" 2>&1 | tee "$log" |
awk -v suite="$suite" -v cases="$results/cases" -v failures="$results/failures" '
function record(status, test, name) {
    print status "\t" suite "\t" test "\t" name >>cases
    total[status]++
}
# Output of test number n: "n: text".
/^[0-9]+: / {
    n = $1 + 0
    line = $0
    sub(/^[0-9]+: ?/, "", line)
    if (line ~ /^Environment variables/) header[n] = 1
    if (line ~ /^Test timeout/) { header[n] = 0; next }
    if (header[n] || line ~ /^(Test command|Working Directory)/) next
    if (lines[n] < 2000) output[n] = output[n] line "\n"
    lines[n]++
    if (line ~ /^1\.\.[0-9]+/) { sub(/^1\.\./, "", line); planned[n] += line; next }
    if (line !~ /^(not )?ok( |$)/) next
    status = line ~ /# *[Ss][Kk][Ii][Pp]/ ? "skip" : line ~ /^not / ? "fail" : "pass"
    sub(/^(not )?ok *[0-9]* *-? */, "", line)
    seen[n]++
    if (status == "fail") failed[n]++
    status_of[n, seen[n]] = status
    name_of[n, seen[n]] = line
    next
}
# Its end: " 3/12 Test  #5: unit.shape ......   Passed    0.01 sec".
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    n = $0; sub(/^[^#]*#/, "", n); n += 0
    test = $0; sub(/^[^#]*#[0-9]+: /, "", test); sub(/ .*/, "", test)
    end = $0 ~ / Passed +[0-9.]+ sec/ ? "pass" : $0 ~ /\*\*\*Skipped/ ? "skip" : "fail"
    why = $0; sub(/^.*\*\*\*/, "", why); sub(/ +[0-9.]+ sec.*$/, "", why)
    for (i = 1; i <= seen[n]; i++) record(status_of[n, i], test, name_of[n, i])
    if (end == "pass") why = "it ended early"
    for (i = seen[n] + 1; i <= planned[n] && end != "skip"; i++) {
        record("fail", test, "case " i ": not reached (" why ")")
        failed[n]++
    }
    if (seen[n] + 0 == 0 && failed[n] + 0 == 0 || end == "fail" && failed[n] + 0 == 0) {
        record(end, test, end == "fail" ? why : "")
        if (end == "fail") failed[n]++
    }
    if (failed[n]) {
        print "---- " suite " " test ": " failed[n] " failed" (end == "fail" ? " (" why ")" : "") >>failures
        print output[n] >>failures
        printf "FAILED  %s\n", test
    }
    tests++
    fflush()
    delete output[n]
}
END {
    if (!tests) record("fail", "ctest", "ran no tests")
    printf "%d passed, %d failed", total["pass"], total["fail"]
    if (total["skip"]) printf ", %d skipped", total["skip"]
    print ""
    exit total["fail"] > 0
}'
