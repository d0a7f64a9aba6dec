#!/bin/sh
# refrain plan --problem: files of graphs and chains, what is answered, and how it ends.
. "$(dirname "$0")/cases.inc"

cat >unet.json <<'END'
{"kind": "graph", "name": "unet2", "source": "by hand", "cost_unit": "ms", "plain_peak_bytes": 19,
 "nodes": [
  {"id": 0, "cost": 2, "bytes": 4, "inputs": [], "name": "e1"},
  {"id": 1, "cost": 2, "bytes": 2, "inputs": [0], "name": "e2"},
  {"id": 2, "cost": 2, "bytes": 1, "inputs": [1], "name": "m"},
  {"id": 3, "cost": 2, "bytes": 2, "inputs": [2, 1], "name": "d2"},
  {"id": 4, "cost": 2, "bytes": 4, "inputs": [3, 0], "name": "d1"},
  {"id": 5, "cost": 1, "bytes": 1, "inputs": [4], "once": true},
  {"id": 6, "cost": 1, "bytes": 4, "inputs": [5, 4], "once": true},
  {"id": 7, "cost": 2, "bytes": 2, "inputs": [6, 3, 0], "once": true},
  {"id": 8, "cost": 2, "bytes": 4, "inputs": [6, 3, 0], "once": true, "name": "ge1a"},
  {"id": 9, "cost": 2, "bytes": 1, "inputs": [7, 2, 1], "once": true},
  {"id": 10, "cost": 2, "bytes": 2, "inputs": [7, 2, 1], "once": true},
  {"id": 11, "cost": 2, "bytes": 2, "inputs": [9, 10, 2, 1], "once": true},
  {"id": 12, "cost": 2, "bytes": 4, "inputs": [11, 1, 0, 8], "once": true},
  {"id": 13, "cost": 2, "bytes": 0, "inputs": [12, 0], "once": true}]}
END
cat >chain.json <<'END'
{"kind": "chain", "input_bytes": 4, "stages": [
 {"output_bytes": 1, "gradient_bytes": 1, "forward": 1, "forward_workspace": 0, "options": [
  {"saved_bytes": 1, "forward": 1, "backward": 2, "forward_workspace": 0, "backward_workspace": 0}]},
 {"output_bytes": 2, "gradient_bytes": 2, "forward": 4, "forward_workspace": 0, "options": [
  {"saved_bytes": 4, "forward": 4, "backward": 8, "forward_workspace": 0, "backward_workspace": 0}]},
 {"output_bytes": 0, "gradient_bytes": 0, "forward": 2, "forward_workspace": 0, "options": [
  {"saved_bytes": 2, "forward": 2, "backward": 4, "forward_workspace": 0, "backward_workspace": 0}]}]}
END

# field KEY: its number or word in `answer`.
field() {
    sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" answer
}

# plan STATUS ARGUMENT...: one line of JSON in `answer`.
plan() {
    expected=$1
    shift
    "$REFRAIN" plan --json "$@" >answer 2>err
    [ $? -eq "$expected" ] && [ "$(grep -c "" answer)" -eq 1 ]
}

for row in "17 28 26" "16 30 26" "1KiB 26 26"; do
    set -- $row
    check "a graph in $1" plan 0 --problem unet.json --budget "$1"
    plan 0 --problem unet.json --budget "$1"
    same "its cost" "$(field feasible) $(field cost) $(field plain_cost) $(field plain_peak)" "true $2 $3 19"
done
same "its smallest" "$(field smallest_budget) $(field lower_bound)" "16 $(field lower_bound)"
check "its steps" grep -q '"steps":\[\["run",0\],.*\["drop",[0-9]*\]' answer
fails "a graph in too little" 1 "15 bytes.*give 16 bytes" "$REFRAIN" plan --problem unet.json --budget 15
check "the same as JSON" plan 1 --problem unet.json --budget 15
plan 1 --problem unet.json --budget 15
same "what would do" "$(field feasible) $(field smallest_budget) $(field binds)" "false 16 $(field binds)"
check "which node binds" grep -Eq '"lower_bound":[0-9]+,"binds":[0-9]+' answer
check "no steps" sh -c '! grep -q steps answer'
check "a budget of zero is one" plan 1 --problem unet.json --budget 0

check "a chain" plan 0 --problem chain.json --budget 12
plan 0 --problem chain.json --budget 12
same "its cost" "$(field cost) $(field plain_cost) $(field peak)" "22 21 12"
check "its steps" grep -q '"forward_keep_drop",1,0\].*\["backward",0\]\]}' answer
fails "a chain in too little" 1 "stage 1 alone" "$REFRAIN" plan --problem chain.json --budget 11

check "a table for people" sh -c '"$REFRAIN" plan --problem unet.json --budget 17 >table &&
    grep -Eq "^cost +28, plain 26: 7.69 % more" table && grep -Eq "^steps +[0-9]+: [0-9]+ runs of 14 nodes" table'
check "the curve" sh -c '"$REFRAIN" plan --problem unet.json --seconds 0.5 >table && grep -Eq "^ +17 +7.69 %" table'
check "the curve as JSON" plan 0 --problem unet.json --seconds 0.5
check "its points" grep -q '"curve":\[{"peak":16,"cost":30},{"peak":17,"cost":28},{"peak":18,"cost":26}\]' answer
check "--problem=FILE" sh -c '"$REFRAIN" plan --problem=unet.json --budget 18 >table'
check "--help" sh -c '"$REFRAIN" plan --problem x --help | grep -q -e --seconds'
check "words of other languages do not matter" sh -c 'LC_ALL=de_DE.UTF-8 "$REFRAIN" plan --problem unet.json \
    --budget 17 --json | cmp - "$0"' /dev/stdin <<END
$("$REFRAIN" plan --problem unet.json --budget 17 --json)
END

# The same moves give the same plan: what is exact does not look at the clock.
"$REFRAIN" plan --problem unet.json --budget 17 --json --seed 3 >one
"$REFRAIN" plan --problem unet.json --budget 17 --json --seed 3 >two
check "twice is the same" cmp one two

# Profiled training steps of real networks: the facts of each.
for graph in unet mobilenet resnet50; do
    file=$RF_SOURCE_DIR/tests/data/graphs/$graph.json
    plain=$(sed 's/.*"plain_peak_bytes":\([0-9]*\).*/\1/' "$file")
    check "$graph in 80 %" plan 0 --problem "$file" --budget $((plain / 10 * 8)) --seconds 0.5
    same "$graph's plain peak" "$(field plain_peak)" "$plain"
    check "$graph keeps to it" test "$(field peak)" -le $((plain / 10 * 8))
done
plan 1 --problem "$RF_SOURCE_DIR/tests/data/graphs/unet.json" --budget 8287944703 --seconds 0.5
same "U-Net's bound is its smallest" "$(field smallest_budget) $(field lower_bound)" "8287944704 8287944704"
check "which is known to work" plan 0 --problem "$RF_SOURCE_DIR/tests/data/graphs/unet.json" \
    --budget 8287944704 --seconds 0.5

# What is wrong with a file or a command line is status 2.
fails "a file that is not there" 2 "none.json" "$REFRAIN" plan --problem none.json --budget 1
fails "a folder" 2 "directory|folder|regular" "$REFRAIN" plan --problem . --budget 1
head -c 500 unet.json >cut.json
fails "a file that is cut short" 2 "cut.json, line 8" "$REFRAIN" plan --problem cut.json --budget 1
sed 's/"inputs": \[6, 3, 0\], "once": true, "name"/"inputs": [13], "once": true, "name"/' unet.json >cycle.json
fails "a cycle" 2 "line 11.*node 8: it reads node 13" "$REFRAIN" plan --problem cycle.json --budget 20
sed 's/"cost": 2/"cost": NaN/' unet.json >nan.json
fails "a cost that is none" 2 "node 0" "$REFRAIN" plan --problem nan.json --budget 20
printf '\0\1\2' >bytes.json
fails "a file of other bytes" 2 "line 1" "$REFRAIN" plan --problem bytes.json --budget 20
fails "no file" 2 "problem needs a value" "$REFRAIN" plan --problem
fails "an empty name" 2 "not empty" "$REFRAIN" plan --problem ""
fails "a budget that is none" 2 "512MiB" "$REFRAIN" plan --problem unet.json --budget 10Q
fails "no time" 2 "seconds" "$REFRAIN" plan --problem unet.json --seconds 0
fails "options of models" 2 "unknown option '--layers'" "$REFRAIN" plan --problem unet.json --layers 2
if [ -w /dev/full ]; then
    fails "no room for the answer" 1 "could not be written|not all output" sh -c \
        '"$REFRAIN" plan --problem unet.json --budget 17 --json >/dev/full'
fi
finish
