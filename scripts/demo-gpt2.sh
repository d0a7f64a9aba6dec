#!/bin/sh
# demo-gpt2.sh [FILE|FOLDER ...]: a few steps of GPT-2 124M with AdamW on the given text (or on the
# licences of Debian), from random weights, three times: without limits; in a budget of 800 MiB, less
# than half of what that takes; and as without limits, but in a group of processes that the system gives
# as little memory, with swap. The last one needs a way to make such a group (systemd, or root).
#
# What the budget promises of the process is budget + 48 MiB + 3 %: the second run has this limit from
# the system, too.
set -eu
cd "$(dirname "$0")/.."
refrain=${REFRAIN:-build/release/refrain}
folder=${DEMO_DIR:-build/demo-gpt2}
[ $# -gt 0 ] || set -- /usr/share/common-licenses
[ -x "$refrain" ] || { echo "demo-gpt2: $refrain is not there; type make" >&2; exit 1; }
mkdir -p "$folder"
budget=$((800 << 20))
cap=$((budget + (48 << 20) + budget * 3 / 100))
model="--layers 12 --width 768 --heads 12 --vocab 50257 --context 256 --batch 1 --clip 0 --steps ${DEMO_STEPS:-3} --seed 1"

group=
swap=
clean() {
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || :
    [ -z "$swap" ] || swapoff "$swap" || :
    rm -f "$folder/swap"
}
trap clean EXIT
trap 'exit 130' INT TERM

# ---- a limit by the system: how, or why not

# The memory controller's group of this process, where groups of version 1 are and may be made.
find_group() {
    parent=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
    [ -w "$parent/memory.limit_in_bytes" ] || return 1
    mkdir "$parent/refrain-demo.$$" 2>/dev/null || return 1
    group=$parent/refrain-demo.$$
    echo "$cap" >"$group/memory.limit_in_bytes"
}
scope() { # COMMAND ...
    mode=--user
    [ "$(id -u)" != 0 ] || mode=--system
    systemd-run --quiet --scope $mode -p MemoryMax="$cap" "$@"
}
within() { # COMMAND ...: with the limit, if there is a way
    case $limit in
        group) sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@" ;;
        scope) scope "$@" ;;
        *) (ulimit -d $((cap / 1024)) && exec "$@") ;;
    esac
}
find_limit() {
    if command -v systemd-run >/dev/null && scope true 2>/dev/null; then
        limit=scope
    elif find_group; then
        limit=group
    else
        limit=none
    fi
}

# Room for 2 GiB of swap: what is on already, or a file, for as long as this runs.
find_swap() {
    free=$(awk '/^SwapFree:/ { print $2 }' /proc/meminfo)
    [ "${free:-0}" -lt $((2 << 20)) ] || return 0
    [ "$(id -u)" = 0 ] || return 1
    { fallocate -l 3G "$folder/swap" && chmod 600 "$folder/swap" && mkswap "$folder/swap"; } >/dev/null 2>&1 &&
        swapon "$folder/swap" 2>/dev/null && swap=$folder/swap
}

# ---- runs and their figures

train() { # NAME WRAPPER FILE|FOLDER ... OPTION ...
    log=$folder/$1.jsonl wrapper=$2
    shift 2
    rm -f "$log"
    # shellcheck disable=SC2086
    $wrapper "$refrain" train $model --log "$log" --data "$@" 2>"$folder/err" ||
        { cat "$folder/err" >&2; exit 1; }
}
# The last one of a log that has it.
value() { # NAME KEY
    sed -n "s/.*\"$2\": \"\{0,1\}\([^,\"}]*\).*/\1/p" "$folder/$1.jsonl" | tail -n 1
}
row() { # NAME LABEL
    awk -v label="$2" -v ledger="$(value "$1" peak_bytes)" -v process="$(value "$1" resident_peak_bytes)" \
        -v ms="$(value "$1" ms)" -v hash="$(value "$1" parameters_hash)" 'BEGIN {
        printf "%-26s %7.0f MiB %7.0f MiB %8.2f s  %s\n", label, ledger / 1048576, process / 1048576, ms / 1000, hash
    }'
}

find_limit
echo "== without limits"
train plain env "$@"
echo
echo "== in a budget of 800 MiB, the optimiser's moments in a file; the system gives $((cap >> 20)) MiB"
train budget within "$@" --budget "$budget" --moments file --step-in-backward --spill "$folder"
echo
rows=2
if [ "$limit" = none ]; then
    echo "== with swap: left out: no group of processes with a memory limit (systemd-run, or root and cgroups)"
elif ! find_swap; then
    echo "== with swap: left out: no 2 GiB of swap are free, and only root can add a file of it"
else
    echo "== as without limits, but in $((cap >> 20)) MiB of memory and with swap"
    train swap within "$@"
    rows=3
fi

echo
printf '%-26s %11s %11s %10s  %s\n' "" "ledger" "process" "last step" "parameters"
row plain "without limits"
row budget "in 800 MiB"
[ $rows -lt 3 ] || row swap "with swap"

status=0
say() { # CONDITION YES NO
    if [ "$1" = 1 ]; then
        echo "$2"
    else
        echo "$3"
        status=1
    fi
}
is() { awk "BEGIN { print ($1) ? 1 : 0 }"; }
same=$([ "$(value plain parameters_hash)" = "$(value budget parameters_hash)" ] && echo 1 || echo 0)
say "$same" "the parameters are equal, bit for bit" "the parameters DIFFER: this is a defect of Refrain"
say "$(is "$(value budget peak_bytes) <= $budget")" "the budget was held" "the budget was NOT held: this is a defect of Refrain"
[ $rows -lt 3 ] || say "$(is "$(value budget ms) < $(value swap ms)")" \
    "faster than swap, $(awk "BEGIN { printf \"%.0f\", $(value swap ms) / $(value budget ms) }") times" "NOT faster than swap"
exit $status
