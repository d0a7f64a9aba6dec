#!/bin/sh
# check-bf16.sh [FILE|FOLDER ...]: a small GPT learns text for 500 steps, in f32 from five seeds and
# with products in bf16 from the first of them. The mean of bf16's last 50 losses must lie inside of
# the range of f32's: rounding then tells less than the luck of the draw. The text is this project's
# own, if none is given; the command is build/release/refrain, or $REFRAIN.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
refrain=${REFRAIN:-$here/build/release/refrain}
[ $# -gt 0 ] || set -- "$here"/docs "$here"/include/refrain "$here"/src/*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# last PRECISION SEED TEXT...: the mean of the last 50 losses of 500
last() {
    precision=$1 seed=$2
    shift 2
    "$refrain" train --data "$@" --layers 4 --width 128 --heads 4 --context 64 --batch 16 \
        --steps 500 --precision "$precision" --seed "$seed" --log "$work/log" >"$work/out" 2>&1 ||
        { cat "$work/out" >&2; return 1; }
    sed -n 's/.*"loss": \([0-9.]*\),.*/\1/p' "$work/log" | tail -n 50 |
        awk '{ sum += $1 } END { if (NR != 50) exit 1; printf "%.4f\n", sum / NR }'
    rm "$work/log"
}

for seed in 1 2 3 4 5; do
    loss=$(last f32 $seed "$@")
    echo "f32, seed $seed: $loss"
    echo "$loss" >>"$work/f32"
done
narrow=$(last bf16 1 "$@")
echo "bf16, seed 1: $narrow"
sort -n "$work/f32" | awk -v bf16="$narrow" '
    NR == 1 { low = $1 }
    { high = $1 }
    END {
        inside = low <= bf16 && bf16 <= high
        printf "bf16 is %s of [%.4f, %.4f]\n", inside ? "inside" : "outside", low, high
        exit !inside
    }'
