#!/bin/sh
# A saved folder: read by code that shares nothing with the writer; told about by info; written
# text with by sample.
. "$(dirname "$0")/cases.inc"

train --steps 20 --lr 1e-2 --save out.d --log log.jsonl || not_ok "a run" err
check "each tensor in its place" perl "$here/folder.pl" check out.d 2 16 16 256
same "the hash is XXH64 of the parameters" "$(hash_of log.jsonl)" "$(perl "$here/folder.pl" hash out.d)"
while read -r key value; do
    grep -q "^  \"$key\": $value,\{0,1\}\$" out.d/config.json && ok "config.json: $key" ||
        not_ok "config.json: $key" out.d/config.json
done <<'LIST'
architectures \["GPT2LMHeadModel"\]
model_type "gpt2"
activation_function "gelu_new"
n_embd 16
n_head 2
n_layer 2
n_positions 16
n_ctx 16
vocab_size 256
layer_norm_epsilon 1e-05
tie_word_embeddings true
bos_token_id null
eos_token_id null
LIST

# tokenizer.json: each byte once, under the name that byte-level tokenisers give it.
perl -e '
    local $/;
    open(my $in, "<", "out.d/tokenizer.json") or die;
    my $text = <$in>;
    my ($vocab) = $text =~ /"vocab": \{(.*?)\n  \}/s or die "no vocabulary\n";
    my %seen;
    while ($vocab =~ /"((?:[^"\\]|\\.)+?)": (\d+)/g) {
        my ($name, $byte) = ($1, $2);
        $name =~ s/\\u([0-9a-f]{4})/chr hex $1/e or $name =~ s/\\(.)/$1/;
        die "$byte is twice\n" if $seen{$byte}++;
        my $character = ord $name;
        my $shown = ($byte >= 33 && $byte <= 126) || ($byte >= 161 && $byte <= 172) || $byte >= 174;
        die "$byte is named $character\n" if $shown ? $character != $byte : $character < 256;
        $others{$character}++ unless $shown;
    }
    die "not 256 bytes\n" unless keys %seen == 256;
    die "the others are not counted through\n" unless join(",", sort { $a <=> $b } keys %others) eq join(",", 256 .. 256 + keys(%others) - 1);
' 2>err && ok "tokenizer.json" || not_ok "tokenizer.json" err

"$REFRAIN" info out.d >info
# wte 4096, wpe 256, a block 3280, the last norm 32
grep -q '^28 tensors, 10944 parameters, 42.8 KiB$' info && ok "info: sum" || not_ok "info: sum" info
grep -Eq '^h.1.mlp.c_fc.weight +F32 +\(16, 64\) +4096$' info && ok "info: a tensor" || not_ok "info: a tensor" info
grep -q '^GPT-2: 2 layers, width 16, 2 heads, context 16, 256 tokens$' info && ok "info: the model" || not_ok "info: the model" info
grep -q '^run: step 20 of 20$' info && ok "info: the run" || not_ok "info: the run" info
"$REFRAIN" info out.d/model.safetensors >file
same "info of the file alone" "$(grep 'parameters' info)" "$(grep 'parameters' file)"
same "as many parameters as the log says" 10944 "$(value log.jsonl '$' parameters)"

# Sampling.
sample() { "$REFRAIN" sample --from out.d "$@" 2>err; }
sample >one
sample >two
check "sampling is the same every time" cmp one two
sample --seed 2 >three
cmp -s one three && not_ok "another seed samples another text" || ok "another seed samples another text"
[ "$(wc -c <one)" -eq 258 ] && ok "prompt, 256 tokens and a newline" || not_ok "prompt, 256 tokens and a newline" one
sample --prompt "Line" --tokens 10 >prompted
[ "$(wc -c <prompted)" -eq 15 ] && grep -aq '^Line' prompted && ok "--prompt and --tokens" || not_ok "--prompt and --tokens" prompted
sample --temperature 0 --tokens 40 >cold
sample --temperature 0 --tokens 40 --seed 5 >colder
check "--temperature 0 leaves nothing to chance" cmp cold colder
sample --top-k 1 --tokens 40 >top
check "--top-k 1 is the likeliest token" cmp cold top
sample --temperature 100 --tokens 2000 >hot
[ "$(fold -b -w 1 hot | sort -u | wc -l)" -gt 150 ] && ok "--temperature 100 is near to chance" || not_ok "--temperature 100 is near to chance"
sample --temperature 100 --tokens 2000 --top-k 3 >few
sample --prompt "$(seq 1 50)" --tokens 5 >long && ok "a prompt longer than the context" || not_ok "a prompt longer than the context" err
sample --tokens 0 --prompt abc >none
same "--tokens 0" abc "$(cat none)"
check "sampling changes nothing" perl "$here/folder.pl" check out.d 2 16 16 256
rm out.d/refrain.state
check "sampling needs no state" "$REFRAIN" sample --from out.d --tokens 5

# Data that is tokenised already, little-endian.
perl -e 'print pack("S<*", map { ($_ * 7) % 300 } 1 .. 2000)' >data.u16
perl -e 'print pack("L<*", map { ($_ * 7) % 300 } 1 .. 2000)' >data.u32
for type in u16 u32; do
    # shellcheck disable=SC2086
    "$REFRAIN" train --data data.$type --tokens $type --vocab 300 $small --steps 3 --save $type.d --log $type.jsonl >out 2>err ||
        not_ok "--tokens $type" err
done
same "u16 and u32 are the same tokens" "$(hash_of u16.jsonl)" "$(hash_of u32.jsonl)"
check "a vocabulary of 300" perl "$here/folder.pl" check u16.d 2 16 16 300
[ ! -f u16.d/tokenizer.json ] && ok "no tokeniser for tokens that are no bytes" || not_ok "no tokeniser for tokens that are no bytes"
"$REFRAIN" sample --from u16.d --prompt "5 12 299" --tokens 4 >numbers 2>err
grep -Eq '^5 12 299( [0-9]+){4}$' numbers && ok "sampling token numbers" || not_ok "sampling token numbers" numbers err
fails "a prompt of unknown tokens" 2 "token" "$REFRAIN" sample --from u16.d --prompt "5 300"
fails "a prompt that is no numbers" 2 "token numbers" "$REFRAIN" sample --from u16.d --prompt "hello"
finish
