#!/bin/sh
# The command line itself: what it takes, what it refuses and how, and what --help and the manual
# say of it.
. "$(dirname "$0")/cases.inc"
text

check "--version" sh -c '"$REFRAIN" --version | grep -Eq "^refrain [0-9]+\.[0-9]+\.[0-9]+$"'
check "--help" sh -c '"$REFRAIN" --help | grep -q train'
for verb in train sample info check; do
    check "$verb --help" sh -c '"$REFRAIN" "$0" --help | grep -q "usage: refrain $0"' "$verb"
done
fails "no verb" 2 'a verb is missing' "$REFRAIN"
fails "unknown verb" 2 "did you mean refrain train" "$REFRAIN" trian
fails "unknown verb without a neighbour" 2 "see refrain --help" "$REFRAIN" xyzzy

fails "unknown option" 2 "unknown option '--layer'.*did you mean --layers" "$REFRAIN" train --layer 3
fails "unknown option with =" 2 "did you mean --width" "$REFRAIN" train --widht=3
fails "unknown option without a neighbour" 2 "see refrain train --help" "$REFRAIN" train --xyzzy
fails "short option" 2 "unknown option '-n'" "$REFRAIN" train -n 3
fails "hidden names are no options" 2 "unknown option '--positions'" "$REFRAIN" train --positions 3
fails "stray word" 2 "'stray' belongs to no option" "$REFRAIN" train --layers 2 stray
fails "value missing at the end" 2 "steps needs a value" "$REFRAIN" train --data text --steps
fails "value missing before an option" 2 "steps needs a value" "$REFRAIN" train --steps --lr 1
fails "no data" 2 "data is missing" "$REFRAIN" train
fails "no folder to sample from" 2 "from is missing" "$REFRAIN" sample
fails "no folder to tell about" 2 "missing" "$REFRAIN" info
fails "two folders to tell about" 2 "one too many" "$REFRAIN" info a b

# Values that are none: the line names the option and says what is expected.
while read -r option value expected; do
    fails "--$option '$value'" 2 "--$option.*$expected" "$REFRAIN" train --data text "--$option=$value"
done <<LIST
layers 0 whole number from 1
layers 2.5 whole number
layers -1 whole number
layers 99999999999999999999999 whole number
width x whole number
heads 0 whole number
context 0 whole number
vocab -5 whole number
dropout 1 a number from 0
dropout nan a number
batch 0x10 whole number
accumulate 0 whole number
steps 1e3 whole number
lr -1 a number from 0
lr 1,5 a number
lr inf a number
seed -1 whole number
threads many whole number
eval-every - whole number
tokens u64 one of u8
checkpoint some one of none
checkpoint every one of
checkpoint every:0 one of
checkpoint every:2x one of
checkpoint sequential:-1 one of
checkpoint none:keep=matmul one of
checkpoint block: one of
checkpoint blocks one of
checkpoint every:keep=matmul one of
checkpoint every:2: one of
checkpoint sequential::2 one of
precision f16 one of f32
precision BF16 one of f32
moments host one of memory
logits some one of auto
logits 8MiB one of auto
tiers disk one of none
tiers file,host one of none
memory 5XB 512MiB
memory -1 512MiB
memory 99999999999TiB 512MiB
save-every x whole number
explain yes given without a value
LIST
fails "--freeze ''" 2 "not empty" "$REFRAIN" train --data text --freeze ""
fails "--report ''" 2 "not empty" "$REFRAIN" train --data text --report ""
fails "--spill ''" 2 "not empty" "$REFRAIN" train --data text --spill ""
fails "--save ''" 2 "not empty" "$REFRAIN" train --data text --save ""
fails "width that heads do not divide" 2 "no multiple" "$REFRAIN" train --data text --width 10 --heads 3
fails "--step-in-backward while gradients are clipped" 2 "clipping needs all gradients" \
    "$REFRAIN" train --data text --step-in-backward
fails "more segments than layers" 2 "has 2 layers" "$REFRAIN" train --data text --layers 2 --checkpoint sequential:3

# Each option once, in one of its forms.
check "every option" "$REFRAIN" train --data text text --tokens u8 --layers 2 --width=16 --heads 2 \
    --context 16 --vocab 256 --dropout 0.1 --batch 2 --accumulate 2 --steps 3 --lr 1e-2 --clip 0 \
    --freeze 'h.0.*' --freeze wpe.weight --seed 7 --threads 1 --eval-every 2 --checkpoint "every:2:keep=attn;spill=mlp" \
    --logits recompute --step-in-backward --moments file --precision bf16 --spill spill.d --memory 64MiB --explain --report report.html --log log.jsonl \
    --save out.d --save-every 2
check "every size" sh -c 'for size in 100000000 95MiB 1GiB 100000kB 100MB 97656KiB "1 GiB"; do
    "$REFRAIN" train --data text --layers 1 --width 8 --heads 1 --context 8 --batch 1 --steps 1 \
        --memory "$size" || exit 1
done'
check "words of other languages do not matter" env LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 "$REFRAIN" \
    train --data text --layers 1 --width 8 --heads 1 --context 8 --steps 1 --lr 0.001

# The manual page tells of the same options as --help, and of no others.
manual=$RF_SOURCE_DIR/man/refrain.1
for verb in train sample check; do
    "$REFRAIN" $verb --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort >$verb.help
    awk -v verb="$verb" '
        /^\.S[SH] / { inside = tolower($0) ~ "refrain " verb }
        inside && heading && /^\.BR? \\-\\-/ { gsub(/\\/, ""); sub(/^\.BR? "?--/, ""); sub(/[ "=].*/, ""); print }
        { heading = /^\.TP/ }
    ' "$manual" | sort >$verb.manual
    check "the manual has the options of $verb" diff $verb.help $verb.manual
done
"$REFRAIN" plan --help | sed '/^Data$/,$d' | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort >plan.help
awk '
    /^\.S[SH] / { inside = $0 ~ "\"refrain plan\"" }
    inside && heading && /^\.BR? \\-\\-/ { gsub(/\\/, ""); sub(/^\.BR? "?--/, ""); sub(/[ "=].*/, ""); print }
    { heading = /^\.TP/ }
' "$manual" | sort >plan.manual
check "the manual has the options that plan alone has" diff plan.help plan.manual
check "the manual can be read" sh -c 'command -v man >/dev/null || exit 0
    man --warnings -l "$0" 2>&1 >/dev/null | grep . && exit 1; exit 0' "$manual"
finish
