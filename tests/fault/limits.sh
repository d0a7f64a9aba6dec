#!/bin/sh
# limits.sh: a process that may have less and less: address space (ulimit -v) and processes
# (ulimit -u). Each training either succeeds or ends with status 1 and a clear line: ours, or that of the
# loader or the thread runtime underneath, where those fail first. Never a signal, never half a folder.
[ -z "${RF_SANITIZE:-}" ] || exit 77 # sanitizers reserve terabytes
. "${RF_SOURCE_DIR:?}/tests/cli/cases.inc"

train() {
    "$REFRAIN" train --data "$RF_SOURCE_DIR/README.md" --layers 1 --width 32 --heads 2 --context 16 \
        --batch 2 --steps 2 --save out >run.out 2>run.err
}

# outcome STATUS: 0 success, 1 refused clearly, 2 anything else
outcome() {
    [ "$1" -ne 0 ] || return 0
    case $1 in 1 | 127) ;; *) return 2 ;; esac
    grep -qE '^refrain: |^libgomp: |error while loading shared libraries' run.err || return 2
    [ "$(grep -c . run.err)" -eq 1 ] || return 2
    [ ! -e out/model.safetensors ] || "$REFRAIN" info out >info.out 2>&1 || return 2
    return 1
}

# sweep NAME LETTER VALUE ...
sweep() {
    name=$1 letter=$2 good=0 refused=0
    shift 2
    for value; do
        rm -rf out
        status=0
        (ulimit "-$letter" "$value" && train) 2>shell.err || status=$?
        outcome "$status"
        case $? in
        0) good=$((good + 1)) ;;
        1) refused=$((refused + 1)) ;;
        *)
            not_ok "$name: with $value the status is $status" run.err shell.err
            return
            ;;
        esac
    done
    if [ "$good" -gt 0 ] && [ "$refused" -gt 0 ]; then
        ok "$name: $good succeed, $refused are refused in one line"
    else
        not_ok "$name: $good succeed, $refused are refused: the sweep misses one side"
    fi
}

sweep "less and less address space" v 4000000 1000000 500000 400000 350000 300000 280000 260000 240000 \
    220000 200000 180000 160000 140000 120000 100000 80000 75000 70000 65000 60000 55000 50000 45000 40000 35000 30000

# A user who may start no other process. Root has no such limit, so nobody tries.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod 777 .
    status=0
    letter=p # as shells differ
    (ulimit -u 1000) 2>/dev/null && letter=u
    (ulimit "-$letter" 1 && setpriv --reuid 65534 --clear-groups "$REFRAIN" train --data \
        /usr/share/common-licenses/BSD --layers 1 --width 32 --heads 2 --context 16 --batch 2 \
        --steps 2 --threads 2 >run.out 2>run.err) || status=$?
    outcome "$status"
    if [ $? -le 1 ]; then
        ok "no more processes: status $status"
    else
        not_ok "no more processes: status $status" run.err
    fi
else
    skip "no more processes" "needs root and setpriv"
fi
finish
