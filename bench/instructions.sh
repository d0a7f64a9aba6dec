#!/bin/sh
# instructions.sh [--tiny] [--keep]: instructions of one small training step, counted by valgrind: a
# guard without noise against slow drift. Beside each stands the count that bench/instructions.txt
# keeps, and what changed; --keep writes the new ones there. Counts depend on the compiler, so the
# file names it. 77 (skipped) without valgrind; --tiny counts one form only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
count=${RF_BUILD_DIR:-$here/../build/release}/bench/count
kept=$here/instructions.txt
forms="plain blocks" keep=
for option; do
    case $option in
    --tiny) forms=plain ;;
    --keep) keep=yes ;;
    *) echo "usage: instructions.sh [--tiny] [--keep]" >&2; exit 2 ;;
    esac
done
command -v valgrind >/dev/null || { echo "instructions: valgrind is not installed"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# instructions FORM: how many the step takes.
instructions() {
    OMP_NUM_THREADS=1 valgrind --tool=callgrind --toggle-collect=counted_step \
        --callgrind-out-file="$scratch/out" "$count" "$1" >"$scratch/log" 2>&1 ||
        { tail -n 5 "$scratch/log" >&2; return 1; }
    sed -n 's/^\(summary\|totals\): //p' "$scratch/out" | tail -n 1
}

echo "compiler $(${CC:-cc} --version | head -n 1)" >"$scratch/new"
[ ! -f "$kept" ] || echo "kept with $(sed -n 's/^compiler //p' "$kept")"
for form in $forms; do
    new=$(instructions "$form")
    echo "$form $new" >>"$scratch/new"
    old=$(sed -n "s/^$form //p" "$kept" 2>/dev/null || true)
    echo "$form $new ${old:-$new}" | awk '{ printf "least, %-8s %12d instructions, kept %12d: %+.2f %%\n",
        $1, $2, $3, 100 * ($2 / $3 - 1) }'
done
[ -z "$keep" ] || cp "$scratch/new" "$kept"
