#!/bin/sh
# readme.sh: the C program of the README builds against this build, runs, and learns.
set -u
[ -z "${RF_SANITIZE:-}" ] || exit 77
command -v cc >/dev/null || exit 77
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$RF_SOURCE_DIR/README.md" >readme.c
if cc -std=c99 -Wall -Wextra -I"$RF_SOURCE_DIR/include" readme.c -o readme -L"$RF_BUILD_DIR" \
    -Wl,-rpath,"$RF_BUILD_DIR" -lrefrain; then
    echo "ok the program of the README builds"
else
    echo "not ok the program of the README builds"
    exit 1
fi
./readme >out || { echo "not ok it runs"; exit 1; }
echo "ok it runs"
first=$(sed -n '1s/.*loss //p' out) last=$(sed -n '$s/.*loss //p' out)
if awk -v a="$first" -v b="$last" 'BEGIN { exit !(b < a / 2) }'; then
    echo "ok it learns"
else
    echo "not ok it learns: from $first to $last"
    exit 1
fi
