#!/bin/sh
# check-acceptance.sh [TREE]: every test that docs/acceptance.md names is a function of the file that it
# names, and that file runs it; and every AT number above a test is in the page.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
status=0
named=$(grep -oE '\]\(\.\./tests/[^)]*\) `test_[a-z0-9_]*`' docs/acceptance.md |
    sed 's|^](../||; s|) `| |; s|`$||' | sort -u)
[ -n "$named" ] || { echo "docs/acceptance.md names no test"; exit 1; }
echo "$named" | {
    while read -r file name; do
        if ! grep -q "^static void $name(void \*\*state)" "$file" 2>/dev/null; then
            echo "docs/acceptance.md: $file has no $name"
            status=1
        elif ! grep -qE "^ +.*[(]$name[,)]" "$file"; then
            echo "docs/acceptance.md: $file does not run $name"
            status=1
        fi
    done
    for id in $(grep -rhoE '^/\* AT-[0-9]+' tests --include='*.c' | sed 's/.* //' | sort -u); do
        grep -q "$id" docs/acceptance.md || { echo "docs/acceptance.md: $id is missing"; status=1; }
    done
    exit $status
}
