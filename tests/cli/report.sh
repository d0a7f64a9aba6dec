#!/bin/sh
# --explain and --report: they change nothing of the run, their figures are the log's, and the page
# is one file that needs nothing else, whole at any moment.
. "$(dirname "$0")/cases.inc"

run="--steps 5 --layers 4 --dropout 0.1"
for form in none block every:2 sequential:2; do
    train $run --checkpoint $form --log bare.jsonl
    train $run --checkpoint $form --log watched.jsonl --explain --report page.html || not_ok "a run" err
    same "watching changes no bit, $form" "$(hash_of bare.jsonl)" "$(hash_of watched.jsonl)"
    peak=$(value watched.jsonl 3 peak_bytes)
    same "and no byte, $form" "$(value bare.jsonl 3 peak_bytes)" "$peak"
    grep -q "^peak     $peak bytes" out && ok "the peak is the log's, $form" || not_ok "the peak is the log's, $form" out
    # What was held adds up to it, in the lines and on the page.
    sum=$(sed -n '/^what bounds/,/^time/s/^ *\([0-9][0-9]*\)  .*/\1/p' out | awk '{ s += $1 } END { printf "%d", s }')
    same "what was held adds up, $form" "$peak" "$sum"
    sed 's/\xe2\x80\xaf//g' page.html >plain.html
    sum=$(sed -n '/<h2>What bounds/,/<tfoot>/s/^<tr><td class="n">\([0-9]*\)<.*/\1/p' plain.html | awk '{ s += $1 } END { printf "%d", s }')
    same "and on the page, $form" "$peak" "$sum"
    case $form in
    none)
        grep -q '^regions  none' out && ok "no regions" || not_ok "no regions" out
        grep -q 'class="plain"' page.html && not_ok "a plain run is its own comparison" || ok "a plain run is its own comparison"
        ;;
    *)
        grep -q 'class="plain"' page.html && ok "compared with plain, $form" || not_ok "compared with plain, $form" err
        ;;
    esac
done
[ "$(sed -n '/^regions/,/^$/p' out | grep -c ' h$')" -eq 1 ] && ok "segments are told of their container" || not_ok "segments are told of their container" out

# A budget that the chosen form fits and the plain one does not.
big="--layers 6 --width 32 --context 64 --batch 4 --steps 4"
train $big --checkpoint block --log block.jsonl
limit=$(($(value block.jsonl 3 peak_bytes) + 4096))
train $big --checkpoint block --memory $limit --log limited.jsonl --report limited.html || not_ok "a run at its limit" err
grep -q 'does not fit into memory' limited.html && grep -q 'class="limit"' limited.html &&
    ok "plain is left out where it does not fit, and the budget is drawn" || not_ok "plain left out" limited.html
same "a limited run with a report" "$(hash_of block.jsonl)" "$(hash_of limited.jsonl)"

# Short and resumed runs, and one that accumulates.
train --steps 1 --explain --report one.html && grep -q '^step 1, explained' out && grep -q 'during step 1,' one.html &&
    ok "a run of one step" || not_ok "a run of one step" out err
train --steps 6 --accumulate 2 --checkpoint block --eval-every 2 --report many.html --log many.jsonl
train --steps 6 --accumulate 2 --checkpoint block --eval-every 2 --log bare.jsonl
same "accumulated steps" "$(hash_of bare.jsonl)" "$(hash_of many.jsonl)"
grep -q 'circle class="held"' many.html && ok "what was held out is drawn" || not_ok "what was held out is drawn"
train --steps 4 --save saved
check "resumed" "$REFRAIN" train --resume saved --steps 8 --report resumed.html --explain
grep -q '^step 7, explained' out && grep -q 'steps 5 to 8 of 8' resumed.html && ok "the third step after a resume" || not_ok "the third step after a resume" out

# The page: one file, no script, nothing fetched; text stays text.
mkdir '<b>&"'
train --steps 4 --checkpoint block --report page.html --log '<b>&"/<i>.jsonl' || not_ok "names with markup" err
for never in '<script' 'http' 'src=' '@import' 'url(' '<i>.jsonl' '<b>&"'; do
    grep -qF "$never" page.html && not_ok "no $never in the page" || ok "no $never in the page"
done
grep -qF '&lt;b&gt;&amp;&quot;/&lt;i&gt;.jsonl' page.html && ok "markup is escaped" || not_ok "markup is escaped"
for always in 'prefers-color-scheme:dark' '<meta charset="utf-8">' 'milliseconds' 'held, KiB' 'nats per token' '</html>'; do
    grep -qF "$always" page.html && ok "the page has $always" || not_ok "the page has $always"
done
if command -v xmllint >/dev/null; then
    sed -n '/<svg/,/<\/svg>/p' page.html | sed 's/<svg /\n<svg /' | awk '/<svg/ { inside = 1 } inside { print } /<\/svg>/ { exit }' >one.svg
    check "a picture is well-formed" xmllint --noout one.svg
else
    skip "a picture is well-formed" "no xmllint"
fi

# Where it can't be written, the run does not begin.
fails "a report in no folder" 1 "report" "$REFRAIN" train --data text $small --steps 2 --report none/page.html
grep -q 'step 1/' out && not_ok "told before the first step" out || ok "told before the first step"
[ -c /dev/full ] && fails "no room for the report" 1 "report" "$REFRAIN" train --data text $small --steps 2 --report /dev/full

# Stopped: the page of what was done.
"$REFRAIN" train --data text $small --steps 100000 --report stopped.html >out 2>err &
pid=$!
for i in $(seq 100); do grep -q 'step 1/' out && break; sleep 0.1; done
sleep 0.5
kill -TERM $pid
wait $pid
same "stopped" 130 $?
grep -q 'during step 3' stopped.html && ok "a stopped run has its page" || not_ok "a stopped run has its page" out err
ls -A | grep -q 'html.tmp' && not_ok "nothing is left beside" || ok "nothing is left beside"
finish
