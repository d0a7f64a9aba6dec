#!/bin/sh
# The amalgamation compiles with nothing but a C compiler, without a warning, and trains.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
CC=${CC:-cc}
"${RF_SOURCE_DIR:-$(dirname "$0")/..}/scripts/amalgamate.sh" "$folder"
cd "$folder"

$CC -std=c17 -Wall -Wextra -Wno-unknown-pragmas -Werror -c refrain.c -o /dev/null
echo "ok - compiles without a warning"
$CC refrain.c 01_mlp.c -lm
echo "ok - cc refrain.c 01_mlp.c -lm"
./a.out
echo "ok - trains"
