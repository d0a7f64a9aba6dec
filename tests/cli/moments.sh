#!/bin/sh
# Where the optimiser's moments wait changes no bit of the model, nor does a stop on the way; in the
# file they take no memory to speak of, and what is wrong with the file is told in a line.
. "$(dirname "$0")/cases.inc"
text

# model FOLDER ARGUMENT...: a short run that saves there.
model() {
    folder=$1
    shift
    rm -rf "$folder"
    # shellcheck disable=SC2086
    "$REFRAIN" train --data text $small --dropout 0.1 --save "$folder" "$@" >out 2>err
}
same_model() { check "$1" cmp "$2/model.safetensors" "$3/model.safetensors"; }
files_of() {
    ls -A "$1" | grep -v -e '^config.json$' -e '^model.safetensors$' -e '^tokenizer.json$' \
        -e '^refrain.state$'
}

while read -r form; do
    # shellcheck disable=SC2086
    model memory.d --steps 5 $form || not_ok "a run $form" err
    # shellcheck disable=SC2086
    model file.d --steps 5 $form --moments file || not_ok "--moments file $form" err
    same_model "--moments file $form" memory.d file.d
    [ -z "$(files_of file.d)" ] && ok "no file is left" || not_ok "no file is left"
done <<'LIST'
--clip 1
--clip 0 --step-in-backward
--clip 0 --step-in-backward --accumulate 2 --checkpoint block
--clip 0 --step-in-backward --checkpoint block:spill=* --precision bf16
--clip 0.1 --checkpoint sequential:2:spill=*.mlp --save-every 2 --eval-every 2
--freeze h.0.* --freeze *.bias --threads 2
LIST

# Stopped in the middle, and gone on with; in the other place, too.
model whole.d --steps 200 --clip 0 --step-in-backward
hold="--clip 0 --step-in-backward --steps 200 --save-every 1000 --log half.jsonl"
for first in memory file; do
    for second in memory file; do
        rm -rf half.d half.jsonl
        # shellcheck disable=SC2086
        "$REFRAIN" train --data text $small --dropout 0.1 $hold --moments $first --save half.d >out 2>err &
        pid=$!
        for i in $(seq 1 1000); do [ -s half.jsonl ] && break; sleep 0.01; done
        kill -INT $pid 2>/dev/null
        wait $pid
        code=$?
        [ $code -eq 130 ] || [ $code -eq 0 ] && ok "$first: stopped" || not_ok "$first: stopped" err
        check "$first: goes on in $second" "$REFRAIN" train --resume half.d --moments $second
        same_model "$first, then $second: the same model" whole.d half.d
    done
done
model free.d --steps 3 --moments file
grep -aq '^moments=file$' free.d/refrain.state && ok "where they wait is saved" || not_ok "where they wait is saved"

# What it takes. 12 d^2 parameters a block.
wide="--data text --layers 4 --width 128 --heads 2 --context 4 --batch 1 --steps 3 --clip 0 --step-in-backward"
# shellcheck disable=SC2086
"$REFRAIN" train $wide --log memory.big >out 2>err || not_ok "a wide run" err
# shellcheck disable=SC2086
"$REFRAIN" train $wide --log file.big --moments file >out 2>err || not_ok "a wide run" err
less=$(($(value memory.big 2 peak_bytes) - $(value file.big 2 peak_bytes)))
[ $less -gt 3000000 ] && ok "--moments file holds less" || not_ok "--moments file holds less: $less" memory.big file.big
[ "$(hash_of memory.big)" = "$(hash_of file.big)" ] && ok "and it is the same" || not_ok "and it is the same" memory.big file.big
limit=$(value file.big 2 peak_bytes)
# shellcheck disable=SC2086
fails "--memory that is too little for moments in memory" 1 "hold less.*--moments file" \
    "$REFRAIN" train $wide --memory $((limit + 200000))
# shellcheck disable=SC2086
check "and enough for those in the file" "$REFRAIN" train $wide --memory $((limit + 200000)) --moments file

# shellcheck disable=SC2086
fails "--spill on a file" 1 "no folder" "$REFRAIN" train --data text $small --steps 2 --spill text --moments file
# shellcheck disable=SC2086
fails "no room" 1 "spill: cannot make room.*--spill FOLDER" sh -c 'ulimit -f 1; exec "$@"' sh \
    "$REFRAIN" train --data text $small --steps 2 --moments file
finish
