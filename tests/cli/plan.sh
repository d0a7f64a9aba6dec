#!/bin/sh
# refrain plan: what train would do is told; its file does it, edited too, and no other file does.
. "$(dirname "$0")/cases.inc"
XDG_CACHE_HOME=$scratch/cache
export XDG_CACHE_HOME
text
model="--data text --layers 6 --width 32 --heads 2 --context 64 --batch 4"
train_model() { # LOG ARGUMENT...
    log=$1
    shift
    # shellcheck disable=SC2086
    "$REFRAIN" train $model --steps 3 --log "$log" "$@" >out 2>err
}
plan_model() {
    # shellcheck disable=SC2086
    "$REFRAIN" plan $model "$@" >out 2>err
}
last() { sed -n "\$s/.*\"$2\": \([^,}]*\).*/\1/p" "$1"; }
number() { sed -n "s/.*\"$2\": \([0-9.e+-]*\).*/\1/p" "$1" | head -n 1; }
fails() { # as in cases.inc, for commands that write to out and err themselves
    name=$1 status=$2 pattern=$3
    shift 3
    "$@"
    got=$?
    if [ "$got" -eq "$status" ] && [ "$(grep -c '' err)" -eq 1 ] && grep -Eq '^refrain: [^;]+; .+; .+' err &&
        grep -Eq -e "$pattern" err; then
        ok "$name"
    else
        echo "status $got, expected $status; pattern $pattern" >expected
        not_ok "$name" expected err
    fi
}
cat >json.pl <<'PERL'
my $json = qr/(?(DEFINE)
    (?<value> \s*(?:(?&object)|(?&array)|(?&string)|(?&number)|true|false|null)\s*)
    (?<object> \{(?:\s*\}|(?&pair)(?:,(?&pair))*\}))
    (?<pair> \s*(?&string)\s*:(?&value))
    (?<array> \[(?:\s*\]|(?&value)(?:,(?&value))*\]))
    (?<string> "(?:[^"\\\x00-\x1f]|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4}))*")
    (?<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
)^(?&value)$/x;
undef $/; $_ = <>; die "no JSON\n" unless /$json/;
PERL

train_model plain.jsonl || not_ok "a run" err
plain=$(last plain.jsonl peak_bytes)
hash=$(hash_of plain.jsonl)

if [ "${RF_TEST_FAST:-0}" = 1 ]; then # a search takes twenty times as long: one of them
    plan_model --costs model --save one.json --budget $((plain - 1)) || not_ok "a plan" err
    train_model one.jsonl --costs model --plan one.json || not_ok "a run" err
    same "its file is carried out" "$hash" "$(hash_of one.jsonl)"
    finish
fi

plan_model --json || not_ok "the smallest" err
cp out smallest.json
smallest=$(number smallest.json smallest)
check "JSON" perl json.pl smallest.json
same "the smallest is the peak of its plan" "$smallest" "$(number smallest.json peak)"
same "and what train says" "$smallest" "$(train_model no.jsonl --budget 1KiB
    sed -n '1s/.*smallest for this run is \([0-9]*\) bytes.*/\1/p' err)"
same "the plain peak is that of a run" "$plain" "$(number smallest.json plain_peak)"
[ -z "$(ls -d -- *.d *.state 2>/dev/null)" ] && ok "nothing is written" || not_ok "nothing is written"

# The curve: rising bytes, falling time, from the smallest to plain.
sed -n 's/^  {"peak": \([0-9]*\), "seconds": \([0-9.e+-]*\),.*/\1 \2/p' smallest.json >curve
awk '{ if (NR > 1 && ($1 <= peak || $2 > seconds)) exit 1; peak = $1; seconds = $2 } END { exit NR < 2 }' curve &&
    ok "the curve" || not_ok "the curve" curve

# What is planned is what a run does.
for budget in $smallest $(((plain + smallest) / 2)) $((2 * plain)); do
    plan_model --budget "$budget" --json --save plan.json || not_ok "a plan of $budget" err
    cp out told.json
    check "$budget: the file is JSON" perl json.pl plan.json
    train_model run.jsonl --budget "$budget" --plan plan.json || not_ok "$budget: a run by it" err
    same "$budget: the same bits" "$hash" "$(hash_of run.jsonl)"
    same "$budget: its peak is the one that was told" "$(number told.json step_peak)" "$(last run.jsonl peak_bytes)"
    train_model alone.jsonl --plan plan.json || not_ok "$budget: the plan without a budget" err
    same "$budget: without a budget too" "$(last run.jsonl peak_bytes)" "$(last alone.jsonl peak_bytes)"
    same "$budget: the same bits" "$hash" "$(hash_of alone.jsonl)"
done
plan_model --budget $(((plain + smallest) / 2)) --save plan.json
cp out table
grep -q '^peak ' table && grep -Eq '^  h\.[0-9]' table && grep -q 'slower, %' table && ok "a table and a curve" ||
    not_ok "a table and a curve" table
train_model run.jsonl --memory "$plain" --plan plan.json
same "with --memory" "$hash" "$(hash_of run.jsonl)"
echo '{"format": "refrain-plan", "version": 1, "parts": []}' >empty.json
fails "a plan that takes more than the budget" 1 "with this plan the run takes $plain bytes" \
    train_model run.jsonl --budget $((plain - 1)) --plan empty.json
sh -c '"$@" >/dev/null 2>err.fails' sh "$REFRAIN" plan --data text --budget 1KiB
same "a budget that is too small" 1 $?
grep -q 'smallest for this run' err.fails && ok "is refused as train does" || not_ok "is refused as train does" err.fails

# Values that wait in a tier.
large="--width 256 --heads 4 --batch 8 --costs model"
# shellcheck disable=SC2086
train_model large.jsonl $large || not_ok "a larger run" err
large_plain=$(last large.jsonl peak_bytes)
for tier in host file; do
    # shellcheck disable=SC2086
    plan_model $large --tiers $tier --budget $((large_plain * 4 / 5)) --json --save tiers.json || not_ok "$tier: a plan" err
    cp out told.json
    # whether a file pays is for the plan to say; see tests/budget/test_plan_tiers.c
    if [ "$tier" = host ]; then
        grep -q '"host=#' tiers.json && ok "values wait there" || not_ok "values wait there" tiers.json
    fi
    # shellcheck disable=SC2086
    train_model tiers.jsonl $large --tiers $tier --budget $((large_plain * 4 / 5)) --plan tiers.json || not_ok "$tier: a run" err
    same "$tier: the same bits" "$(hash_of large.jsonl)" "$(hash_of tiers.jsonl)"
    same "$tier: its peak is the one that was told" "$(number told.json step_peak)" "$(last tiers.jsonl peak_bytes)"
done

# Edited by hand; saved by a run that goes on.
cat >mine.json <<'END'
{ "format": "refrain-plan", "version": 1,
  "parts": [
    { "path": "h", "first": 0, "count": 3, "fates": "" },
    { "fates": "keep=linear", "path": "h.4" }
  ] }
END
train_model mine.jsonl --plan mine.json || not_ok "a plan of one's own" err
same "a plan of one's own: the same bits" "$hash" "$(hash_of mine.jsonl)"
same "foretold" "$(last mine.jsonl predicted_peak_bytes)" "$(last mine.jsonl peak_bytes)"
[ "$(last mine.jsonl peak_bytes)" -lt "$plain" ] && ok "and it holds less" || not_ok "and it holds less" mine.jsonl
cat >dial.json <<'END'
{"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logits", "bytes": 4096}]}
END
train_model dial.jsonl --plan dial.json || not_ok "a dial" err
same "a dial: the same bits" "$hash" "$(hash_of dial.jsonl)"
same "a dial: foretold" "$(last dial.jsonl predicted_peak_bytes)" "$(last dial.jsonl peak_bytes)"
train_model again.jsonl --logits recompute || not_ok "--logits recompute" err
same "--logits recompute: the same bits" "$hash" "$(hash_of again.jsonl)"
[ "$(last again.jsonl peak_bytes)" -lt "$plain" ] && ok "and it holds less" || not_ok "and it holds less" again.jsonl
mkdir deeper
train_model half.jsonl --plan mine.json --save half.d
check "a run with a plan goes on in another folder" sh -c 'cd deeper && "$@"' sh "$REFRAIN" train --resume ../half.d --steps 5

# Of other models, and files that are none.
refused() { # NAME PATTERN FILE ARGUMENT...
    name=$1 pattern=$2 file=$3
    shift 3
    fails "$name" 1 "$pattern" train_model no.jsonl --plan "$file" --save no.d "$@"
    [ ! -e no.d ] && ok "$name: nothing is written" || not_ok "$name: nothing is written"
}
refused "another model's" "no part h.4" mine.json --layers 4
refused "with --logits on the same part" "set already" dial.json --logits keep
refused "with --checkpoint on the same part" "h\.4|checkpoint" mine.json --checkpoint block
i=0
while read -r pattern line; do
    i=$((i + 1))
    printf '%s' "$line" >bad.json
    refused "damaged file $i" "$pattern" bad.json
done <<'LIST'
bad.json
byte {
byte []
missing {}
format {"format": "other", "version": 1, "parts": []}
version {"format": "refrain-plan", "version": 2, "parts": []}
missing {"format": "refrain-plan", "version": 1}
'part' {"format": "refrain-plan", "version": 1, "parts": [], "part": []}
twice {"format": "refrain-plan", "version": 1, "parts": [], "parts": []}
path {"format": "refrain-plan", "version": 1, "parts": [{"fates": ""}]}
first {"format": "refrain-plan", "version": 1, "parts": [{"path": "h", "first": 1}]}
children {"format": "refrain-plan", "version": 1, "parts": [{"path": "h", "first": 1, "count": 0}]}
large {"format": "refrain-plan", "version": 1, "parts": [{"path": "h", "first": 1, "count": 99999999999}]}
number {"format": "refrain-plan", "version": 1, "parts": [{"path": "h", "first": -1, "count": 1}]}
string {"format": "refrain-plan", "version": 1, "parts": [{"path": 3}]}
zero {"format": "refrain-plan", "version": 1, "parts": [{"path": "h\u0000.1"}]}
curve {"format": "refrain-plan", "version": 1, "parts": [], "curve": [{"peak": 2, "nanoseconds": 1}, {"peak": 1, "nanoseconds": 2}]}
end {"format": "refrain-plan", "version": 1, "parts": []} {}
range|child {"format": "refrain-plan", "version": 1, "parts": [{"path": "h", "first": 5, "count": 9}]}
matmull {"format": "refrain-plan", "version": 1, "parts": [{"path": "h.1", "fates": "keep=matmull"}]}
fate|begin {"format": "refrain-plan", "version": 1, "parts": [{"path": "h.1", "fates": "save the whales"}]}
linear {"format": "refrain-plan", "version": 1, "parts": [{"path": "h.1", "fates": "keep=#0:linear"}]}
dial {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logits"}]}
dial {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "bytes": 4096}]}
dial {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logits", "bytes": 4096, "fates": ""}]}
large {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logits", "bytes": 9223372036854775808}]}
number {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logits", "bytes": "all"}]}
logit' {"format": "refrain-plan", "version": 1, "parts": [{"path": "", "dial": "logit", "bytes": 4096}]}
logits' {"format": "refrain-plan", "version": 1, "parts": [{"path": "h.1", "dial": "logits", "bytes": 4096}]}
LIST
refused "no file" "no such file" none.json
refused "a folder" "" .

# The page, and every option of train.
plan_model --budget $(((plain + smallest) / 2)) --report page.html --checkpoint every:3 --eval-every 2 --steps 7 \
    --clip 0 --step-in-backward || not_ok "with options of train" err
for words in 'Budget and slow-down' 'with the plan' 'The fate of each block' 'every:3' '</html>'; do
    grep -q "$words" page.html && ok "the page has $words" || not_ok "the page has $words"
done
grep -Eq 'nan|inf[^o]' page.html && not_ok "numbers on the page" || ok "numbers on the page"
"$REFRAIN" train --data text --layers 2 --steps 2 --save saved.d >/dev/null
check "of a saved run" "$REFRAIN" plan --resume saved.d --budget 100MiB
check "of a saved model" "$REFRAIN" plan --data text --init saved.d --batch 2
"$REFRAIN" plan --budget 1MiB >out 2>err
same "without data" 2 $?
# shellcheck disable=SC2086
"$REFRAIN" plan $model --budget 1GiB --memory 1GiB >out 2>err
same "with --budget and --memory" 2 $?
"$REFRAIN" plan --help >out
for option in save report json budget layers moments costs; do
    [ "$(grep -c "^  --$option " out)" -eq 1 ] && ok "--help has --$option once" || not_ok "--help has --$option once" out
done
finish
