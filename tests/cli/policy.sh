#!/bin/sh
# What a policy keeps, and where, changes no bit of the model; nor does a stop on the way. bf16 does
# once, and then no more.
. "$(dirname "$0")/cases.inc"
text

# model FOLDER ARGUMENT...: a run of three steps (or of $steps) that saves there.
model() {
    folder=$1
    shift
    # shellcheck disable=SC2086
    "$REFRAIN" train --data text $small --dropout 0.1 --steps "${steps:-3}" --save "$folder" "$@" >out 2>err
}
files_of() {
    ls -A "$1" | grep -v -e '^config.json$' -e '^model.safetensors$' -e '^tokenizer.json$' \
        -e '^refrain.state$'
}

for precision in f32 bf16; do
    model $precision.d --precision $precision --checkpoint none || not_ok "a run in $precision" out err
    for form in block block:keep=linear block:host=linear 'block:spill=*' every:2:keep=attn \
        'every:1:keep=attn;file=mlp' 'block:recompute=gelu;host=mlp.c_?*' 'sequential:2:host=*' \
        'sequential:2:keep=*.attn;spill=linear'; do
        rm -rf form.d
        model form.d --precision $precision --checkpoint "$form" || not_ok "$form runs" out err
        grep -Fq "checkpoint $form," out && ok "$form is told" || not_ok "$form is told" out
        check "--checkpoint $form, $precision: the same model" \
            cmp $precision.d/model.safetensors form.d/model.safetensors
        [ -z "$(files_of form.d)" ] && ok "$form leaves no file" || not_ok "$form leaves no file"
    done
done
cmp -s f32.d/model.safetensors bf16.d/model.safetensors && not_ok "bf16 is another precision" ||
    ok "bf16 is another precision"
check "sizes in a saved model do not depend on the precision" sh -c \
    '[ "$(wc -c <f32.d/model.safetensors)" -eq "$(wc -c <bf16.d/model.safetensors)" ]'
# The plain step comes after the third: some must follow it.
steps=6
model longer.d --checkpoint none
model report.d --checkpoint 'block:keep=matmul;spill=mlp,@<b>' --report report.html --explain --log report.jsonl
check "a plain step in between, for --report, changes nothing" \
    cmp longer.d/model.safetensors report.d/model.safetensors
same "and the steps after it are checkpointed again" "$(value report.jsonl 2 activation_peak_bytes)" \
    "$(value report.jsonl 6 activation_peak_bytes)"
steps=
grep -q 'checkpoint block:keep=matmul;spill=mlp,@&lt;b&gt;' report.html && grep -q 'none: forward' report.html &&
    ok "the report names the policy" || not_ok "the report names the policy"

# It does keep: what is kept is not computed again, and what is away is not held.
model all.d --checkpoint block --log all.jsonl
model some.d --checkpoint 'block:keep=*' --log some.jsonl
model away.d --checkpoint 'block:host=*' --log away.jsonl
[ "$(value some.jsonl 2 activation_peak_bytes)" -gt "$(value all.jsonl 2 activation_peak_bytes)" ] &&
    [ "$(value away.jsonl 2 activation_peak_bytes)" -lt "$(value some.jsonl 2 activation_peak_bytes)" ] &&
    ok "kept and sent away" || not_ok "kept and sent away" all.jsonl some.jsonl away.jsonl

# What makes no sense ends before anything is written.
while read -r form pattern; do
    fails "--checkpoint '$form'" 2 "$pattern" "$REFRAIN" train --data text $small --steps 2 \
        --checkpoint "$form" --save bad.d --log bad.jsonl --report bad.html --spill bad.spill
    [ -z "$(ls -d bad.* 2>/dev/null)" ] && ok "'$form' leaves nothing" || not_ok "'$form' leaves nothing"
done <<'LIST'
block:keep=matmull 'matmull'; did you mean 'matmul'
every:2:keep=attention 'attention'
sequential:2:host=attention 'attention'
block:kep=matmul 'kep=matmul' does not begin with keep=
block:keep 'keep' does not begin
block:keep= --checkpoint
block:keep=matmul; --checkpoint
block:2:keep=matmul '2:keep=matmul' does not begin
every:2:3 '3' does not begin
none:keep=matmul --checkpoint is one of
block: --checkpoint is one of
LIST
fails "--resume with a bad name" 2 "did you mean 'linear'" "$REFRAIN" train --resume f32.d --steps 4 \
    --checkpoint block:keep=liner
check "the run can still be gone on with" "$REFRAIN" train --resume f32.d --steps 4
"$REFRAIN" train --help | grep -q -e "--checkpoint 'block:keep=matmul,linear;spill=mlp'" &&
    ok "--help has an example" || not_ok "--help has an example"

# Stopped and resumed: the options come back, and the same model comes out.
long="--dropout 0.1 --steps 60"
stopped() { # NAME ARGUMENT...
    name=$1
    shift
    rm -rf whole.d half.d half.jsonl
    "$REFRAIN" train --data text $small $long --save whole.d "$@" >out 2>err || not_ok "$name: a run" err
    "$REFRAIN" train --data text $small $long --save half.d --log half.jsonl "$@" >out 2>err &
    pid=$!
    for i in $(seq 1 2000); do [ -e half.jsonl ] && break; sleep 0.01; done
    kill -INT $pid
    wait $pid
    same "$name: stopped" 130 $?
    check "$name: goes on" "$REFRAIN" train --resume half.d
    cp out resumed
    check "$name: the same model" cmp whole.d/model.safetensors half.d/model.safetensors
    [ -z "$(files_of half.d)" ] && ok "$name: no file is left" || not_ok "$name: no file is left"
}
stopped "a policy" --checkpoint 'block:keep=attn;spill=mlp' --spill spill.d
grep -q 'checkpoint block:keep=attn;spill=mlp,' resumed && ok "the policy is the saved one" ||
    not_ok "the policy is the saved one" resumed
[ -d spill.d ] && [ -z "$(ls -A spill.d)" ] && ok "nothing is left in --spill" || not_ok "nothing is left in --spill"
stopped "bf16" --precision bf16 --checkpoint every:2:host=linear

# Where the file is. It has no name, but the system tells where it has none.
spills() { # NAME FOLDER ARGUMENT...
    name=$1 folder=$2
    shift 2
    "$REFRAIN" train --data text $small --steps 1000000 --checkpoint 'block:spill=*' "$@" >out 2>err &
    pid=$!
    found=
    for i in $(seq 1 1000); do
        ls -l /proc/$pid/fd 2>/dev/null | grep -q "$folder/[^ ]* (deleted)" && found=1 && break
        sleep 0.01
    done
    kill -9 $pid
    wait $pid 2>/dev/null
    [ -n "$found" ] && ok "$name" || not_ok "$name" err
}
if [ -d /proc/self/fd ]; then
    spills "--spill" elsewhere/there --spill elsewhere/there --save saved.d
    spills "without --spill, in the folder of --save" saved.d --save saved.d
    rm -rf saved.d
    spills "without both, in the current one" "$(pwd -P)"
    [ -z "$(ls -A elsewhere/there)" ] && ok "kill -9 leaves no file" || not_ok "kill -9 leaves no file"
else
    skip "where the file is" "no /proc"
fi
fails "--spill on a file" 1 "no folder" "$REFRAIN" train --data text $small --steps 2 --spill text
fails "no room to spill" 1 "spill.*--spill FOLDER" sh -c 'ulimit -f 1; exec "$@"' sh \
    "$REFRAIN" train --data text $small --steps 2 --checkpoint 'block:spill=*'
finish
