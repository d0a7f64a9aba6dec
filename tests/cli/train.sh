#!/bin/sh
# Training: the same every time, plain or checkpointed; the log; the limit in bytes.
. "$(dirname "$0")/cases.inc"

train --steps 12 --log plain.jsonl || not_ok "a run" err
plain=$(hash_of plain.jsonl)
train --steps 12 --log again.jsonl
same "the same options give the same hash" "$plain" "$(hash_of again.jsonl)"
train --steps 12 --log seed.jsonl --seed 2
[ "$plain" != "$(hash_of seed.jsonl)" ] && ok "another seed gives another" || not_ok "another seed gives another"

# Progress of a run into a pipe: lines, without any control character.
train --steps 12
grep -q '^step 1/12  loss [0-9.]*  [0-9.kM]* tokens/s  memory .*activations.*left' out &&
    ! tr -d '\n' <out | grep -q '[[:cntrl:]]' && ok "plain lines into a pipe" || not_ok "plain lines into a pipe" out
grep -q "^done .*parameters $plain\$" out && ok "the end is told" || not_ok "the end is told" out
if command -v script >/dev/null; then
    text
    script -qec "$REFRAIN train --data text $small --steps 12" /dev/null >out 2>&1 </dev/null
    [ "$(tr -cd '\r' <out | wc -c)" -gt 2 ] && grep -q 'step 12/12' out &&
        ok "one line that is written over on a terminal" || not_ok "one line that is written over on a terminal" out
else
    skip "one line that is written over on a terminal" "no script"
fi

# Every form of checkpointing, with and without dropout, and both numbers of threads.
for dropout in 0 0.2; do
    for threads in 1 2; do
        common="--layers 4 --steps 5 --dropout $dropout --threads $threads"
        train $common --log base.jsonl
        base=$(hash_of base.jsonl)
        losses=$(sed -n 's/.*\("loss": [^,]*\).*/\1/p' base.jsonl)
        for form in none block every:1 every:2 every:3 sequential:1 sequential:2 sequential:4; do
            train $common --log form.jsonl --checkpoint $form
            same "--checkpoint $form, dropout $dropout, $threads threads" "$base $losses" \
                "$(hash_of form.jsonl) $(sed -n 's/.*\("loss": [^,]*\).*/\1/p' form.jsonl)"
        done
    done
done
big="--layers 6 --width 32 --context 64 --batch 4 --steps 3"
train $big --log plain.big
train $big --log block.big --checkpoint block
[ "$(value block.big 2 activation_peak_bytes)" -lt "$(value plain.big 2 activation_peak_bytes)" ] &&
    ok "checkpointing holds fewer activations" || not_ok "checkpointing holds fewer activations" plain.big block.big
[ "$(value plain.big 2 recompute_ms)" = 0.000 ] && [ "$(value block.big 2 recompute_ms)" != 0.000 ] &&
    ok "recompute is timed" || not_ok "recompute is timed" plain.big block.big

# The step inside the backward: the saved model is the same, byte for byte, and so is a run that
# goes on with it.
for form in none block sequential:2; do
    common="--steps 6 --dropout 0.1 --clip 0 --checkpoint $form"
    for accumulate in 1 2; do
        rm -rf apart.d together.d
        train $common --accumulate $accumulate --save apart.d || not_ok "a run" err
        train $common --accumulate $accumulate --save together.d --step-in-backward || not_ok "a run" err
        check "--step-in-backward, --checkpoint $form, accumulating $accumulate: the model" \
            cmp apart.d/model.safetensors together.d/model.safetensors
    done
done
"$REFRAIN" train --resume apart.d --steps 9 >out 2>err || not_ok "a resumed run" err
"$REFRAIN" train --resume together.d --steps 9 >out 2>err || not_ok "a resumed run" err
check "--step-in-backward: the model after --resume" cmp apart.d/model.safetensors together.d/model.safetensors
wide="--layers 4 --width 64 --context 4 --batch 1 --steps 3 --clip 0"
train $wide --log apart.big
train $wide --log together.big --step-in-backward
[ "$(value together.big 2 peak_bytes)" -lt "$(value apart.big 2 peak_bytes)" ] &&
    ok "--step-in-backward holds less" || not_ok "--step-in-backward holds less" apart.big together.big
train --steps 3 --log clipped.jsonl --lr 0.1
train --steps 3 --log unclipped.jsonl --lr 0.1 --clip 0
[ "$(hash_of clipped.jsonl)" != "$(hash_of unclipped.jsonl)" ] && ok "--clip" || not_ok "--clip" clipped.jsonl

# The log: each line is one JSON object with its fields, the last one has the hash.
cat >json.pl <<'PERL'
my $json = qr/(?(DEFINE)
    (?<value> \s*(?:(?&object)|(?&array)|(?&string)|(?&number)|true|false|null)\s*)
    (?<object> \{(?:\s*\}|(?&pair)(?:,(?&pair))*\}))
    (?<pair> \s*(?&string)\s*:(?&value))
    (?<array> \[(?:\s*\]|(?&value)(?:,(?&value))*\]))
    (?<string> "(?:[^"\\\x00-\x1f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*")
    (?<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
)^(?&value)$/x;
local $/ = $ENV{WHOLE} ? undef : "\n";
while (<>) { chomp; die "no JSON: $_\n" unless /$json/; }
PERL
check "log lines are JSON" perl json.pl plain.jsonl
[ "$(grep -c '' plain.jsonl)" -eq 13 ] && ok "a line for each step and one more" || not_ok "a line for each step and one more" plain.jsonl
for field in step loss tokens ms tokens_per_second peak_bytes activation_peak_bytes resident_peak_bytes recompute_ms; do
    [ "$(head -n 12 plain.jsonl | grep -c "\"$field\": [0-9]")" -eq 12 ] && ok "log field $field" || not_ok "log field $field" plain.jsonl
done
same "tokens of a step" 32 "$(value plain.jsonl 3 tokens)"
tail -n 1 plain.jsonl | grep -Eq '"done": true, "parameters": [0-9]+, "parameters_hash": "[0-9a-f]{16}"' &&
    ok "the last object" || not_ok "the last object" plain.jsonl
train --steps 4 --eval-every 2 --log eval.jsonl
[ "$(grep -c held_out_loss eval.jsonl)" -eq 2 ] && ok "held-out loss" || not_ok "held-out loss" eval.jsonl
train --steps 4 --log noeval.jsonl
same "looking at the held-out part changes nothing" "$(hash_of noeval.jsonl)" "$(hash_of eval.jsonl)"

# Two batches of 2 are a batch of 4 in what they hold, and count as many tokens.
train --steps 3 --accumulate 2 --log accumulate.jsonl
same "tokens of a step that accumulates" 64 "$(value accumulate.jsonl 2 tokens)"
train --steps 3 --log single.jsonl
# The scaled loss is one number more.
[ "$(value accumulate.jsonl 3 activation_peak_bytes)" -le $(($(value single.jsonl 3 activation_peak_bytes) + 128)) ] &&
    ok "accumulation holds no more activations" || not_ok "accumulation holds no more activations" single.jsonl accumulate.jsonl
train --steps 3 --accumulate 2 --checkpoint block --log both.jsonl
same "accumulated and checkpointed" "$(hash_of accumulate.jsonl)" "$(hash_of both.jsonl)"

# The limit: too small is an error in bytes; at the measured peak it is enough.
text
fails "--memory too small for the model" 1 "[0-9]+ bytes wanted, [0-9]+ free of 20000.*--memory" \
    "$REFRAIN" train --data text $small --steps 2 --memory 20000
peak=$(sed -n 's/.*"done".*"peak_bytes": \([0-9]*\).*/\1/p' plain.big)
fails "--memory too small for a step" 1 "[0-9]+ bytes wanted.*--memory" \
    "$REFRAIN" train --data text $small $big --memory $((peak / 2))
check "--memory at the measured peak" "$REFRAIN" train --data text $small $big --memory "$peak"
fails "--memory a byte below the measured peak" 1 "bytes wanted" \
    "$REFRAIN" train --data text $small $big --memory $((peak - 1))
train $big --memory "$peak" --log limited.jsonl
same "a limit changes no bits" "$(hash_of plain.big)" "$(hash_of limited.jsonl)"

# It learns.
train --steps 300 --lr 1e-2 --log learn.jsonl
awk -v first="$(value learn.jsonl 1 loss)" -v last="$(value learn.jsonl 300 loss)" \
    'BEGIN { exit !(first > 5 && last < 0.5 * first) }' && ok "the loss falls" || not_ok "the loss falls" out
finish
