#!/bin/sh
# check-symbols.sh [BUILD]: what the built library shows and what it holds.
#   - the shared library exports rf_ names only;
#   - the library never ends the process, prints, or jumps over frames: errors are values;
#   - it keeps no static state that can be written.
# Prints one TAP line for each.
set -u
build=${1:-${RF_BUILD_DIR:-build/release}}
status=0

# tell NAME FINDINGS: a case that passes when nothing was found.
tell() {
    if [ -z "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        echo "$2" | sed 's/^/# /'
        status=1
    fi
}

tell "exports rf_ names only" "$(nm -D --defined-only "$build/librefrain.so" |
    awk '$2 ~ /[A-Z]/ && $3 !~ /^rf_/ && $3 !~ /^_(init|fini)$/')"

tell "neither ends the process nor prints" "$(nm -A --undefined-only "$build/librefrain.a" | awk '
    $NF ~ /^(_?exit|_Exit|quick_exit|abort|raise|printf|vprintf|__printf_chk|__vprintf_chk|puts|putchar|perror|stdout|stderr|__assert_fail|_?longjmp|siglongjmp|__longjmp_chk|_?setjmp|__sigsetjmp)$/')"

# Constant tables of pointers lie in .data.rel.ro, which is read-only once the program is loaded.
tell "keeps no static state that can be written" "$(objdump -t "$build/librefrain.a" | awk '
    /file format/ { object = $1 }
    $0 ~ / O \.(data|bss|tdata|tbss)/ && $0 !~ /\.data\.rel\.ro/ && $NF !~ /^\.gomp_critical/ {
        print object " " $NF
    }')"
exit $status
