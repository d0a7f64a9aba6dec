#!/bin/sh
# What can be wrong with files and folders: one line that says what, where and what to do; status 1.
. "$(dirname "$0")/cases.inc"
text
tiny="--layers 1 --width 8 --heads 1 --context 8 --batch 1 --steps 2"

fails "data that is not there" 1 "missing.txt" "$REFRAIN" train --data missing.txt $tiny
: >empty
fails "empty data" 1 "empty" "$REFRAIN" train --data empty $tiny
printf 'short' >short
fails "data shorter than a context" 1 "." "$REFRAIN" train --data short $tiny
mkdir nothing
fails "a folder without files" 1 "." "$REFRAIN" train --data nothing $tiny
printf 'odd' >odd.u16
fails "tokens cut in the middle" 1 "odd.u16" "$REFRAIN" train --data odd.u16 --tokens u16 $tiny
fails "a token outside the vocabulary" 1 "text" "$REFRAIN" train --data text --vocab 50 $tiny

fails "--save below a file" 1 "text/out" "$REFRAIN" train --data text $tiny --save text/out
fails "--save on a file" 1 "no folder" "$REFRAIN" train --data text $tiny --save text
fails "--log in no folder" 1 "none/log" "$REFRAIN" train --data text $tiny --log none/log
fails "--log on a full disk" 1 "/dev/full" "$REFRAIN" train --data text $tiny --log /dev/full
fails "--resume of nothing" 1 "none" "$REFRAIN" train --resume none
fails "--init of nothing" 1 "none" "$REFRAIN" train --data text --init none
fails "sample from nothing" 1 "none" "$REFRAIN" sample --from none
fails "info of nothing" 1 "none" "$REFRAIN" info none
fails "info of what is no model" 1 "text" "$REFRAIN" info text
"$REFRAIN" info --help >/dev/full 2>err
[ $? -eq 1 ] && ok "output to a full disk" || not_ok "output to a full disk" err
# A vocabulary so wide that no address space has room for it. A sanitizer may warn before.
head -c 400 text >even.u16
"$REFRAIN" train --data even.u16 --tokens u16 --context 1 --layers 1 --heads 1 --width 1048576 \
    --vocab 2147483647 >out 2>err
[ $? -eq 1 ] && grep -q '^refrain: .*; hold less: ' err && ! grep -q -e '--memory' err &&
    ok "no memory, and no limit to raise" || not_ok "no memory, and no limit to raise" err
fails "a loss that is no number" 1 "lr" "$REFRAIN" train --data text $tiny --steps 60 --lr 1000
fails "--freeze that matches nothing" 2 "matches no parameter" "$REFRAIN" train --data text $tiny --freeze 'x*'
fails "--freeze of everything" 2 "every parameter is frozen" "$REFRAIN" train --data text $tiny --freeze '*'

if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    fails "an unwritable folder" 1 "locked" "$REFRAIN" train --data text $tiny --save locked/out
else
    skip "an unwritable folder" "root may write everywhere"
fi

# A file that may not grow stands for a full disk. What was saved before must still be whole.
fails "no room for the state" 1 "full.d" sh -c 'ulimit -f 8; exec "$@"' sh \
    "$REFRAIN" train --data text --layers 2 --width 32 --heads 2 --context 16 --steps 2 --save full.d
leftover=$(ls full.d 2>/dev/null | grep -v -e '^config.json$' -e '^tokenizer.json$')
[ -z "$leftover" ] && ok "nothing half-written stays" || { echo "$leftover" >left; not_ok "nothing half-written stays" left; }

# A folder that holds a model whose parts do not fit.
"$REFRAIN" train --data text $tiny --save good.d >out 2>err || not_ok "a run to spoil" err
cp -r good.d bad.d
sed -i 's/"n_embd": 8/"n_embd": 12/' bad.d/config.json
fails "config of another size" 1 "bad.d" "$REFRAIN" sample --from bad.d
sed 's/"gpt2"/"bert"/' good.d/config.json >bad.d/config.json
fails "config of another architecture" 1 "model_type" "$REFRAIN" sample --from bad.d
# Wider than any address space, as above: and sample has none of train's options.
sed 's/"n_embd": 8/"n_embd": 1048576/; s/"vocab_size": 256/"vocab_size": 2147483647/' good.d/config.json >bad.d/config.json
"$REFRAIN" sample --from bad.d >out 2>err
[ $? -eq 1 ] && grep -q '^refrain: .*bytes wanted; making the model.*; close other programs, or take a smaller model$' err &&
    ! grep -q -e '--' err && ok "no memory to sample with" || not_ok "no memory to sample with" err
printf '{"n_embd": ' >bad.d/config.json
fails "config that is no JSON" 1 "bad.d" "$REFRAIN" sample --from bad.d
cp good.d/config.json bad.d/config.json
head -c 200 good.d/model.safetensors >bad.d/model.safetensors
fails "weights cut short" 1 "bad.d" "$REFRAIN" sample --from bad.d
rm bad.d/model.safetensors
fails "weights that are not there" 1 "bad.d" "$REFRAIN" sample --from bad.d
finish
