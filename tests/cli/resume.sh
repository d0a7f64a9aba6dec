#!/bin/sh
# A run that was stopped, in any way, goes on to the same bits.
. "$(dirname "$0")/cases.inc"
common="--steps 30 --dropout 0.1 --save-every 3"

train $common --log whole.jsonl --save whole.d || not_ok "a run" err
whole=$(hash_of whole.jsonl)
same "saving changes nothing" "$(train $common --log unsaved.jsonl; hash_of unsaved.jsonl)" "$whole"

# kill -9 at odd moments, until the run gets through. Its log must then be as if nothing had been.
stop_and_go() { # NAME FOLDER [RESUME OPTION ...]
    name=$1 folder=$2
    shift 2
    text
    round=0
    "$REFRAIN" train --data text $small $common --log $folder.jsonl --save $folder >out 2>err &
    while :; do
        pid=$!
        sleep 0.0$((round % 7 + 2))$((round * 7 % 10))
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        [ $? -ne 0 ] || break
        round=$((round + 1))
        [ $round -lt 200 ] || break
        if [ -f $folder/refrain.state ]; then
            # Towards the end it is let through, so that slow machines end too.
            [ $round -lt 40 ] || { "$REFRAIN" train --resume $folder "$@" >out 2>err; break; }
            "$REFRAIN" train --resume $folder "$@" >out 2>err &
        else
            "$REFRAIN" train --data text $small $common --log $folder.jsonl --save $folder >out 2>err &
        fi
    done
    echo "# $round times killed"
    same "$name" "$whole" "$(hash_of $folder.jsonl)"
    same "$name: the log" "$(sed 's/"ms".*//; s/, "hash.*//; s/"seconds.*//' whole.jsonl)" \
        "$(sed 's/"ms".*//; s/, "hash.*//; s/"seconds.*//' $folder.jsonl)"
}
stop_and_go "kill -9 and resume" killed.d
stop_and_go "kill -9 and resume, checkpointed on the way" mixed.d --checkpoint block
check "the model that was saved is the same" cmp whole.d/model.safetensors killed.d/model.safetensors
check "no file of an unfinished save stays" sh -c '[ -z "$(ls -A killed.d | grep -v -e "^config.json$" \
    -e "^model.safetensors$" -e "^tokenizer.json$" -e "^refrain.state$")" ]'

# Ctrl-C: the step is finished, the run saved, and the way on is told.
for signal in INT TERM; do
    text
    rm -rf stop.d
    "$REFRAIN" train --data text $small --steps 1000000 --save stop.d --log stop.jsonl >out 2>err &
    pid=$!
    for i in $(seq 1 600); do [ -s stop.jsonl ] && break; sleep 0.1; done
    kill -$signal $pid
    wait $pid
    [ $? -eq 130 ] && grep -q 'stopped after step [0-9]*; saved in stop.d; go on with: refrain train --resume stop.d' err &&
        [ "$(grep -c '' err)" -eq 1 ] && ok "SIG$signal" || not_ok "SIG$signal" err
    step=$(sed -n 's/.*after step \([0-9]*\);.*/\1/p' err)
    same "SIG$signal: the log ends with that step" "$step" "$(value stop.jsonl '$' step)"
    check "SIG$signal: info tells how far it is" sh -c '"$REFRAIN" info stop.d | grep -q "run: step $0 of 1000000"' "$step"
    rm -f stop.jsonl
done
text
"$REFRAIN" train --data text $small --steps 1000000 --log nosave.jsonl >out 2>err &
pid=$!
for i in $(seq 1 600); do [ -s nosave.jsonl ] && break; sleep 0.1; done
kill -INT $pid
wait $pid
[ $? -eq 130 ] && grep -q 'nothing is saved' err && ok "SIGINT without --save" || not_ok "SIGINT without --save" err

# What may change on the way, and what may not.
half="--steps 30 --dropout 0.1"
train $half --save-every 10 --save half.d --log half.jsonl
cp half.d/refrain.state done.state
check "resuming what is done" "$REFRAIN" train --resume half.d
grep -q "parameters $whole" out && ok "resuming what is done tells the same hash" || not_ok "resuming what is done tells the same hash" out
while read -r option value; do
    fails "--resume with another --$option" 2 "--$option can't change" "$REFRAIN" train --resume half.d "--$option" "$value"
done <<LIST
layers 3
width 32
heads 1
context 8
vocab 300
dropout 0.3
batch 4
accumulate 2
lr 0.5
seed 9
tokens u16
precision bf16
freeze wte.weight
LIST
fails "--resume with --init" 2 "exclude each other" "$REFRAIN" train --resume half.d --init half.d
fails "--resume with fewer steps than taken" 2 "past --steps 5" "$REFRAIN" train --resume half.d --steps 5
check "--resume with the same value again" "$REFRAIN" train --resume half.d --layers 2
check "--resume with what may change" "$REFRAIN" train --resume half.d --steps 34 --log other.jsonl \
    --save other.d --save-every 2 --eval-every 2 --checkpoint "every:2:host=attn" --logits recompute --moments file --memory 1GiB
check "--resume left the first folder alone" cmp half.d/refrain.state done.state
[ -f other.d/refrain.state ] && [ "$(grep -c '"step"' other.jsonl)" -eq 4 ] &&
    ok "--resume into other files" || not_ok "--resume into other files" other.jsonl
"$REFRAIN" train --resume half.d --threads 1 >out 2>err
"$REFRAIN" train --resume half.d --threads 2 >out 2>err2
cat err err2 | grep -q 'note: .*threads' && ok "--resume with other threads says so" || not_ok "--resume with other threads says so" err err2

# Only the state file is read.
mkdir bare.d && cp half.d/refrain.state bare.d/
mv text kept
check "--resume finds data that moved" sh -c '"$REFRAIN" train --resume bare.d --data kept --steps 31'
mv kept text
echo "More text than before." >>text
fails "--resume with other data" 1 "data" "$REFRAIN" train --resume half.d --steps 40
rm text

# State files that are damaged. Nothing of the folder may change by trying.
text
size=$(wc -c <half.d/refrain.state)
damaged() {
    rm -rf bad.d
    mkdir bad.d
    cat >bad.d/refrain.state
    cp bad.d/refrain.state bad.state
    fails "$1" 1 "bad.d" "$REFRAIN" train --resume bad.d --steps 40
    cmp -s bad.d/refrain.state bad.state || not_ok "$1: the file is as it was"
}
for bytes in 0 1 7 8 64 200 $((size / 2)) $((size - 1)); do
    head -c "$bytes" half.d/refrain.state | damaged "state cut to $bytes bytes"
done
for at in 0 5 12 40 100 $((size / 3)) $((size / 2)) $((size - 3)); do
    { head -c "$at" half.d/refrain.state; printf '\377'; tail -c +$((at + 2)) half.d/refrain.state; } >changed
    cmp -s changed half.d/refrain.state && continue
    damaged "state with byte $at changed" <changed
done
{ cat half.d/refrain.state; echo more; } | damaged "state with more behind it"
damaged "state that is text" <text

# A new run over one that is not done keeps its state.
rm -rf over.d
"$REFRAIN" train --data text $small --steps 1000000 --save over.d --log over.jsonl >out 2>err &
pid=$!
for i in $(seq 1 600); do [ -s over.jsonl ] && break; sleep 0.1; done
kill -INT $pid
wait $pid
train --steps 2 --save over.d
grep -q 'note: .*kept as over.d/refrain.state.before' err && [ -f over.d/refrain.state.before ] &&
    ok "a new run keeps the state of an unfinished one" || not_ok "a new run keeps the state of an unfinished one" err

# A full disk on the way: the run ends, what was saved before is whole, and it goes on from there.
train $common --save small.d --steps 30 >/dev/null
limit=$(( $(wc -c <small.d/refrain.state) / 512 - 2 ))
cp small.d/refrain.state before
fails "a full disk while it runs" 1 "small.d" sh -c 'ulimit -f '$limit'; exec "$@"' sh \
    "$REFRAIN" train --resume small.d --steps 36
check "what was saved before is whole" cmp small.d/refrain.state before
check "and it goes on from there" "$REFRAIN" train --resume small.d --steps 36
finish
