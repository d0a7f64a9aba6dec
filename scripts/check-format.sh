#!/bin/sh
# check-format.sh [--fix] [ROOT]: the layout of all C here is what clang-format makes of it.
set -eu
mode="--dry-run -Werror"
if [ "${1:-}" = --fix ]; then
    mode=-i
    shift
fi
cd "${1:-$(dirname "$0")/..}"

if ! command -v clang-format >/dev/null; then
    echo "check-format: clang-format is not installed"
    exit 77
fi
for folder in include src tests examples bench; do
    [ ! -d "$folder" ] || find "$folder" -type f -name '*.[ch]'
done | LC_ALL=C sort | xargs clang-format $mode --style=file
