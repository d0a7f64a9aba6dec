#!/bin/sh
# bench.sh: every bench in full, one after the other; what they print is kept in build/bench.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/bench
export REFRAIN="$PWD/build/release/refrain"
for source in bench/*.c bench/*.sh; do
    [ -f "$source" ] || continue
    name=$(basename "$source")
    case $name in
    *.c) program=build/release/bench/${name%.c} ;;
    *) program=$source ;;
    esac
    echo "== $name"
    "$program" | tee "build/bench/${name%.*}.txt"
done
