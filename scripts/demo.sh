#!/bin/sh
# demo.sh [FILE|FOLDER ...]: trains a small GPT twice on the given text (or on the licences that every
# Debian machine carries), plain and with every block checkpointed, and shows what that saves, what it
# costs, and that the result is the same to the last bit.
set -eu
cd "$(dirname "$0")/.."
refrain=${REFRAIN:-build/release/refrain}
folder=${DEMO_DIR:-build/demo}
[ $# -gt 0 ] || set -- /usr/share/common-licenses
[ -x "$refrain" ] || { echo "demo: $refrain is not there; type make" >&2; exit 1; }
mkdir -p "$folder"

# 1.2 million parameters, and as many steps as both runs do in about two minutes on two cores.
model="--layers 6 --width 128 --heads 4 --context 64 --batch 4 --lr 2.5e-3 --steps ${DEMO_STEPS:-2400} --seed 1"

train() { # NAME CHECKPOINT FILE|FOLDER ...
    name=$1 checkpoint=$2
    shift 2
    rm -rf "${folder:?}/$name"
    # shellcheck disable=SC2086
    "$refrain" train --data "$@" $model --checkpoint "$checkpoint" --log "$folder/$name.jsonl" \
        --save "$folder/$name"
}

echo "== plain: every activation is stored until the gradient needs it"
train plain none "$@"
echo
echo "== checkpointed: each block's activations go, and are computed again"
train block block "$@"
echo

# The last line of a log: steps, seconds, peaks and hash.
last() { # NAME KEY
    sed -n "\$s/.*\"$2\": \"\{0,1\}\([^,\"}]*\).*/\1/p" "$folder/$1.jsonl"
}
row() { # NAME LABEL
    awk -v label="$2" -v bytes="$(last "$1" activation_peak_bytes)" -v all="$(last "$1" peak_bytes)" \
        -v seconds="$(last "$1" seconds)" -v hash="$(last "$1" parameters_hash)" 'BEGIN {
        printf "%-14s %11.2f MiB %11.2f MiB %8.1f s  %s\n", label, bytes / 1048576, all / 1048576, seconds, hash
    }'
}
printf '%-14s %15s %15s %10s  %s\n' "" "activations" "all memory" "time" "parameters"
row plain plain
row block checkpointed
if [ "$(last plain parameters_hash)" = "$(last block parameters_hash)" ]; then
    echo "the parameters are equal, bit for bit"
    status=0
else
    echo "the parameters DIFFER: this is a defect of Refrain"
    status=1
fi
echo
echo "== what the model writes"
"$refrain" sample --from "$folder/block" --prompt "The " --tokens 500 --temperature 0.6 --seed 1
exit $status
