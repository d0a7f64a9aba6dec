#!/bin/sh
# check-cap.sh: GPT-2 124M (one sample of 256 tokens, AdamW) trains within budgets while the system allows
# the process no more data than budget + 48 MiB + 3 % (RLIMIT_DATA: heaps, mappings, stacks), with the
# same parameters as without any limit. A minute and a half; `make check-budget` runs it.
#
# A thread's stack counts whole, 8 MiB as a rule, though little of it is ever there: the promise leaves
# room for those of a few threads, so two are asked for.
set -eu
refrain=${REFRAIN:-$(cd "$(dirname "$0")/.." && pwd)/build/release/refrain}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
XDG_CACHE_HOME=$folder/cache
export XDG_CACHE_HOME
model="--data /usr/share/common-licenses --layers 12 --width 768 --heads 12 --vocab 50257 --context 256 --batch 1
    --clip 0 --steps 2 --threads 2 --spill $folder --log $folder/log"
status=0

hash() { sed -n 's/.*"parameters_hash": "\([0-9a-f]*\)".*/\1/p' "$folder/log"; }

# The smallest budget with these options, as a refusal tells it.
smallest() { # OPTION ...
    # shellcheck disable=SC2086
    "$refrain" train $model --budget 1MiB "$@" 2>&1 >/dev/null |
        sed -n '1,/smallest/s/.*smallest for this run is \([0-9]*\) bytes.*/\1/p'
}

within() { # BUDGET OPTION ...
    budget=$1
    shift
    rm -f "$folder/log"
    # shellcheck disable=SC2086,SC3045
    if (ulimit -d $(((budget + (48 << 20) + budget * 3 / 100) / 1024)) &&
        exec "$refrain" train $model --budget "$budget" "$@") >"$folder/out" 2>"$folder/err" &&
        [ "$(hash)" = "$plain" ]; then
        echo "ok - $budget bytes $*: $(sed -n 's/^plan   peak/peak/p' "$folder/out")"
    else
        echo "not ok - $budget bytes $*"
        sed 's/^/# /' "$folder/err"
        status=1
    fi
}

# shellcheck disable=SC2086
"$refrain" train $model >"$folder/out" 2>"$folder/err" || { cat "$folder/err" >&2; exit 1; }
plain=$(hash)
within "$(smallest --step-in-backward --moments file)" --step-in-backward --moments file
within $((800 << 20)) --step-in-backward --moments file
within "$(smallest --step-in-backward)" --step-in-backward
exit $status
