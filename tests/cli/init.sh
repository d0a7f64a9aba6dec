#!/bin/sh
# Beginning from weights: a folder of ours, and one in the form of the published GPT-2 models.
# Freezing parts of them.
. "$(dirname "$0")/cases.inc"

train --steps 10 --lr 1e-2 --save base.d --log base.jsonl || not_ok "a run" err
perl "$here/folder.pl" publish base.d public.d
printf '{"model_type": "gpt2", "n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 16, "n_ctx": 16,
"vocab_size": 256, "layer_norm_epsilon": 1e-05, "activation_function": "gelu_new", "bos_token_id": 5,
"eos_token_id": 5, "resid_pdrop": 0.1, "task_specific_params": {"text-generation": {"do_sample": true}}}' >public.d/config.json
cp base.d/tokenizer.json public.d/

begin="--batch 2 --steps 3 --lr 1e-3"
text
check "--init from a folder of ours" "$REFRAIN" train --data text --init base.d $begin --log ours.jsonl --save ours.d
check "--init from a published folder" "$REFRAIN" train --data text --init public.d $begin --log public.jsonl --save public2.d
same "both begin at the same weights" "$(hash_of ours.jsonl)" "$(hash_of public.jsonl)"
awk -v a="$(value base.jsonl 1 loss)" -v b="$(value ours.jsonl 1 loss)" 'BEGIN { exit !(b < a - 0.3) }' &&
    ok "what was learnt is not lost" || not_ok "what was learnt is not lost" base.jsonl ours.jsonl
grep -q '"bos_token_id": 5,' public2.d/config.json && grep -q '"eos_token_id": 5,' public2.d/config.json &&
    ok "special tokens are kept" || not_ok "special tokens are kept" public2.d/config.json
"$REFRAIN" info public.d | grep -q ' 10944 parameters' && ok "info counts parameters only" || not_ok "info counts parameters only"
"$REFRAIN" sample --from base.d >a; "$REFRAIN" sample --from public.d >b
check "both sample the same text" cmp a b

check "--init with a smaller context" "$REFRAIN" train --data text --init base.d --context 8 $begin --save short.d
grep -q '"n_positions": 16' short.d/config.json && ok "the model keeps its positions" || not_ok "the model keeps its positions" short.d/config.json
check "--init with the sizes it has" "$REFRAIN" train --data text --init base.d --layers 2 --width 16 --heads 2 --vocab 256 $begin
for wrong in "layers 3" "width 32" "heads 4" "vocab 300"; do
    fails "--init with other --$wrong" 2 "the model of --init has" "$REFRAIN" train --data text --init base.d --${wrong% *} "${wrong#* }" $begin
done
fails "--init with a larger context" 2 "has 16 positions" "$REFRAIN" train --data text --init base.d --context 32 $begin

# A run that began from weights needs them no more when it goes on.
"$REFRAIN" train --data text --init public.d --batch 2 --steps 8 --log whole.jsonl >out 2>err
"$REFRAIN" train --data text --init public.d --batch 2 --steps 8 --save part.d --save-every 1 --log part.jsonl >out 2>err &
pid=$!
for i in $(seq 1 600); do [ -s part.jsonl ] && break; sleep 0.05; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
mv public.d gone.d
check "resuming without the folder of --init" "$REFRAIN" train --resume part.d
same "and to the same bits" "$(hash_of whole.jsonl)" "$(hash_of part.jsonl)"
mv gone.d public.d

sed 's/"gelu_new"/"relu"/' public.d/config.json >changed && cp -r public.d odd.d && cp changed odd.d/config.json
fails "another activation" 1 "activation_function" "$REFRAIN" train --data text --init odd.d $begin
sed 's/"model_type"/"tie_word_embeddings": false, "model_type"/' public.d/config.json >odd.d/config.json
fails "a head of its own" 1 "not tied" "$REFRAIN" train --data text --init odd.d $begin

# Frozen parameters: no moments, no gradients, no change; and the others learn.
train --steps 5 --log all.jsonl --save all.d
train --steps 5 --log some.jsonl --save some.d --freeze 'h.0.*' --freeze 'w?e.weight'
train --steps 1 --lr 0 --save start.d
same "frozen parameters stay as they are" "none" "$(perl "$here/folder.pl" compare start.d some.d '^(h\.0\.|w[tp]e)')none"
same "all the others move" 14 "$(perl "$here/folder.pl" compare start.d some.d . | grep -c '')"
same "without --freeze all move" 28 "$(perl "$here/folder.pl" compare start.d all.d . | grep -c '')"
# 4352 of the embeddings and 3280 of a block: 8 bytes of moments for each and 4 of gradients.
awk -v a="$(value all.jsonl 2 peak_bytes)" -v b="$(value some.jsonl 2 peak_bytes)" \
    'BEGIN { exit !(a - b >= 7632 * 12) }' && ok "what is frozen has neither gradient nor moments" ||
    not_ok "what is frozen has neither gradient nor moments" all.jsonl some.jsonl
train --steps 5 --log some2.jsonl --freeze 'h.0.*' --freeze 'w?e.weight' --checkpoint block
same "frozen and checkpointed" "$(hash_of some.jsonl)" "$(hash_of some2.jsonl)"
finish
