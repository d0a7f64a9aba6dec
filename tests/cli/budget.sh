#!/bin/sh
# --budget: held or refused before the first step, with the same bits as without, and with the peak
# that was foretold.
. "$(dirname "$0")/cases.inc"
XDG_CACHE_HOME=$scratch/cache
export XDG_CACHE_HOME
text
model="--data text --layers 6 --width 32 --heads 2 --context 64 --batch 4 --dropout 0.1"
words="--logits recompute|--tiers host,file|--tiers file --moments file|--step-in-backward|--moments file|--step-in-backward --moments file|--costs model"
forms="block every:2 every:2:keep=linear every:3:host=* sequential:2"

# run FOLDER ARGUMENT...: six steps that save there, with a log beside.
run() {
    folder=$1
    shift
    rm -rf "$folder" "$folder.jsonl"
    # shellcheck disable=SC2086
    </dev/null "$REFRAIN" train $model --steps 6 --save "$folder" --log "$folder.jsonl" "$@" >out 2>err
}
last() { sed -n "\$s/.*\"$2\": \([^,}]*\).*/\1/p" "$1"; }

# The smallest budget, as a refusal tells it.
refusal() { # ARGUMENT...
    # shellcheck disable=SC2086
    "$REFRAIN" train $model --steps 6 "$@" >out 2>err
    echo $? >status
    sed -n '1s/.*smallest for this run is \([0-9]*\) bytes.*/\1/p' err
}

run plain.d || not_ok "a run" err
plain=$(last plain.d.jsonl peak_bytes)
grep -q predicted plain.d.jsonl && not_ok "nothing is foretold without --budget" ||
    ok "nothing is foretold without --budget"

if [ "${RF_TEST_FAST:-0}" = 1 ]; then # a search takes twenty times as long: one of them
    run some.d --costs model --budget $((plain - 1)) || not_ok "a run" err
    check "the same model" cmp plain.d/model.safetensors some.d/model.safetensors
    same "the peak is the foretold one" "$(last some.d.jsonl predicted_peak_bytes)" \
        "$(last some.d.jsonl peak_bytes)"
    finish
fi

smallest=$(refusal --save small.d --budget 100KiB)
same "a budget below the smallest is refused" 1 "$(cat status)"
[ "${smallest:-0}" -gt 102400 ] && [ "$smallest" -lt "$plain" ] && ok "with the smallest" ||
    not_ok "with the smallest" err
[ ! -e small.d ] && ok "before anything is written" || not_ok "before anything is written"
head -n 1 err | grep -Eq '^refrain: [^;]+; .+; give --budget [0-9]+' && ok "in the form of any error" ||
    not_ok "in the form of any error" err
grep -q '^  at its peak, in the .*there are held:$' err &&
    grep -Eq '^ .* [0-9.]+ %  optimiser' err && ok "with the largest pieces" || not_ok "with the largest pieces" err
grep -q 'would do$' err && ok "and what would help" || not_ok "and what would help" err

# What would help does: each line's options with its figure.
sed -n 's/^  with \(.*\): .* (\([0-9]*\) bytes) would do$/\2 \1/p' err >help
while read -r bytes words; do
    # shellcheck disable=SC2086
    check "$words helps as it is told" "$REFRAIN" train $model --steps 3 --budget "$bytes" $words
done <help

# Every budget down to the smallest is held, foretold, and changes no bit.
for budget in $((plain + 1000000)) "$plain" $((plain - 1)) $(((plain + smallest) / 2)) \
    $(((plain + 3 * smallest) / 4)) "$smallest"; do
    run some.d --budget "$budget" || not_ok "a run in $budget bytes" err
    check "in $budget bytes: the same model" cmp plain.d/model.safetensors some.d/model.safetensors
    same "in $budget bytes: the peak is the foretold one" "$(last some.d.jsonl predicted_peak_bytes)" \
        "$(last some.d.jsonl peak_bytes)"
    [ "$(last some.d.jsonl peak_bytes)" -le "$budget" ] && ok "in $budget bytes: held" ||
        not_ok "in $budget bytes: held" some.d.jsonl
done
same "a budget that is enough makes nothing slower" 0.000 \
    "$(run some.d --budget "$plain"; last some.d.jsonl predicted_slower_percent)"
same "one byte less than the smallest is refused with it" "$smallest" \
    "$(refusal --save none.d --budget $((smallest - 1)))"
[ ! -e none.d ] && ok "and leaves nothing" || not_ok "and leaves nothing"

# Logits that somebody decided about are left alone, and to leave them to the plan would help.
auto=$(refusal --layers 2 --vocab 2048 --budget 100KiB)
keep=$(refusal --layers 2 --vocab 2048 --logits keep --budget 100KiB)
[ "$keep" -gt $((auto + 1000000)) ] && ok "--logits keep takes more" || not_ok "--logits keep takes more" err
same "and auto would help" "$auto" "$(sed -n 's/^  with --logits auto: .* (\([0-9]*\) bytes) would do$/\1/p' err)"

# The limit is one: what was not foretold is refused.
run report.d --budget "$smallest" --report report.html --explain --eval-every 2 || not_ok "with all looks" err
cp out told
check "looks at it change nothing" cmp plain.d/model.safetensors report.d/model.safetensors
grep -q 'Foretold and measured' report.html && grep -q 'The fate of each block' report.html &&
    ok "the report tells both" || not_ok "the report tells both"
grep -q '^plan .* regions, peak .*% slower foretold' told &&
    grep -q "^plan   peak \([0-9]*\) bytes foretold, \1 measured" told && ok "and so does the end" || not_ok "and so does the end" told

# With other ways to hold less.
middle=$(((plain + smallest) / 2))
run apart.d --clip 0 || not_ok "a run" err
echo "$words" | tr '|' '\n' >words.list
while read -r words; do
    # shellcheck disable=SC2086
    run with.d --clip 0 --budget $middle $words || not_ok "with $words" err
    check "with $words: the same model" cmp apart.d/model.safetensors with.d/model.safetensors
    same "with $words: foretold" "$(last with.d.jsonl predicted_peak_bytes)" "$(last with.d.jsonl peak_bytes)"
done <words.list
set -f # a form may have a star
for form in $forms; do
    run with.d --checkpoint "$form" --budget $((plain * 9 / 10)) || not_ok "with --checkpoint $form" err
    check "with --checkpoint $form: the same model" cmp plain.d/model.safetensors with.d/model.safetensors
    same "with --checkpoint $form: foretold" "$(last with.d.jsonl predicted_peak_bytes)" \
        "$(last with.d.jsonl peak_bytes)"
done
set +f
run with.d --precision bf16 --budget $middle || not_ok "in bf16" err
same "in bf16: foretold" "$(last with.d.jsonl predicted_peak_bytes)" "$(last with.d.jsonl peak_bytes)"
for threads in 1 2; do
    run threads.d --threads $threads
    run with.d --threads $threads --budget $middle --costs model || not_ok "$threads threads" err
    check "$threads threads: the same model" cmp threads.d/model.safetensors with.d/model.safetensors
done

# Resumed: with the same budget, another, none, or --memory.
run whole.d --steps 9 || not_ok "a run" err
for next in "" "--budget $smallest" "--budget $plain" "--budget 0" "--memory $plain"; do
    run half.d --budget $middle || not_ok "a run" err
    # shellcheck disable=SC2086
    check "goes on with '$next'" "$REFRAIN" train --resume half.d --steps 9 $next
    cmp -s whole.d/model.safetensors half.d/model.safetensors && not_ok "another course" || ok "another course"
done
run whole.d --steps 9 --budget "$plain" && run half.d --steps 9 --save-every 3 --budget "$smallest"
check "a run in few bytes is a run in many" cmp whole.d/model.safetensors half.d/model.safetensors
check "a resumed run is refused what is too little" sh -c '! "$@" 2>err.resume && grep -q "smallest for this run" err.resume' sh \
    "$REFRAIN" train --resume half.d --steps 12 --budget 1MiB
check "and can go on" "$REFRAIN" train --resume half.d --steps 12
check "and with --memory in place of --budget" "$REFRAIN" train --resume half.d --steps 13 --memory "$plain"
check "and back" "$REFRAIN" train --resume half.d --steps 14 --budget "$plain"

# What makes no sense.
# shellcheck disable=SC2086
fails "--budget with --memory" 2 "budget and --memory exclude" "$REFRAIN" train $model --budget 1GiB --memory 1GiB
# shellcheck disable=SC2086
fails "--budget that is no size" 2 "budget" "$REFRAIN" train $model --budget much
# shellcheck disable=SC2086
fails "--costs that are none" 2 "costs" "$REFRAIN" train $model --budget 1GiB --costs dear
# Where --memory alone fails, something that would do is named, and it does.
# shellcheck disable=SC2086
fails "--memory too small for a plain run" 1 "checkpoint block, which takes [0-9]+ bytes" \
    "$REFRAIN" train $model --steps 3 --memory $((plain * 2 / 3))
# shellcheck disable=SC2086
check "and it does" "$REFRAIN" train $model --steps 3 --memory $((plain * 2 / 3)) --checkpoint block
# shellcheck disable=SC2086
fails "--memory too small for anything" 1 "give --budget [0-9]+ in place of --memory, or hold less" \
    "$REFRAIN" train $model --steps 3 --memory $((smallest / 2))

# Measured costs are kept; a damaged file of them is one line, and is replaced.
[ -s cache/refrain/costs.json ] && ok "costs are kept" || not_ok "costs are kept"
echo '{' >cache/refrain/costs.json
run damaged.d --budget "$smallest" || not_ok "with damaged costs" err
[ "$(grep -c 'costs are not read' err)" -eq 1 ] && [ "$(grep -c '' err)" -eq 1 ] &&
    ok "damaged costs are one line" || not_ok "damaged costs are one line" err
run damaged.d --budget "$smallest"
[ ! -s err ] && ok "and are replaced" || not_ok "and are replaced" err
XDG_CACHE_HOME=/proc/none run nowhere.d --budget "$smallest"
same "costs that can't be kept" 0 $?
finish
