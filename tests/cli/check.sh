#!/bin/sh
# refrain check: what it prints, that it finds nothing here, and its exit status.
. "$(dirname "$0")/cases.inc"

check "all checks pass" "$REFRAIN" check --threads 2
cp out passed
tail -n 1 passed | grep -Eq '^[0-9]+ checks passed$' && ok "the last line counts" || not_ok "the last line counts" passed
[ "$(tail -n 1 passed | cut -d' ' -f1)" -ge 120 ] && ok "there are many" || not_ok "there are many" passed
for op in matmul causal_attention layer_norm dropout cross_entropy relu_inplace; do
    grep -Eq "^  $op +[0-9]+ samples? +ok\$" passed && ok "$op is checked" || not_ok "$op is checked" passed
done
for threads in '1 thread' '2 threads'; do
    sed -n "/plain, $threads\$/,/^\$/p" passed >part
    for form in 'plain, again' block every:2 sequential:2 nested block:keep=matmul,linear 'block:keep=*' \
        'block:host=*' 'block:spill=*' 'every:2:keep=attn;spill=mlp' sequential:2:host=linear; do
        grep -F "  $form " part | grep -Eq ' [0-9]{5,} bytes the same  ok$' && ok "$form, $threads" || not_ok "$form, $threads" part
    done
done
tr -d '\n' <passed | grep -q '[[:cntrl:]]' && not_ok "plain lines into a pipe" passed || ok "plain lines into a pipe"
[ "$("$REFRAIN" check --threads 1 | grep -c '^loss and gradients')" -eq 1 ] && ok "one round with one thread" || not_ok "one round with one thread"
check "another seed" "$REFRAIN" check --threads 1 --seed 5
mkdir tmp.d
check "what is spilled goes to TMPDIR" env TMPDIR="$PWD/tmp.d" "$REFRAIN" check --threads 1
[ -z "$(ls -A tmp.d)" ] && ok "and nothing of it stays" || not_ok "and nothing of it stays"
TMPDIR=$PWD/none "$REFRAIN" check --threads 1 >out 2>err
same "no folder to spill to" 1 $?
[ "$(grep -c 'spill=.* spill: cannot open' out)" -eq 2 ] && tail -n 1 out | grep -q '^2 of [0-9]* checks failed$' &&
    ok "only what spills fails then" || not_ok "only what spills fails then" out
fails "a stray word" 2 "belongs to no option" "$REFRAIN" check everything
if [ -c /dev/full ]; then
    "$REFRAIN" check --threads 1 >/dev/full 2>err
    [ $? -eq 1 ] && ok "no room for the lines" || not_ok "no room for the lines" err
fi
finish
