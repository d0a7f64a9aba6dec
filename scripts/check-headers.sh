#!/bin/sh
# check-headers.sh [ROOT]: every public header compiles alone, as C99 and as C++11, without a
# warning. Prints one TAP line for each.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
CC=${CC:-cc} CXX=${CXX:-c++}
warnings="-Wall -Wextra -Werror -pedantic"
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
status=0

# try NAME COMMAND...
try() {
    name=$1
    shift
    if "$@" >"$source/log" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        sed 's/^/# /' "$source/log"
        status=1
    fi
}

for header in include/refrain/*.h; do
    header=${header#include/}
    echo "#include <$header>" | tee "$source/alone.c" >"$source/alone.cc"
    echo "typedef int not_empty;" >>"$source/alone.c"
    try "$header as C99" "$CC" -std=c99 $warnings -Iinclude -fsyntax-only "$source/alone.c"
    if command -v "$CXX" >/dev/null; then
        try "$header as C++11" "$CXX" -std=c++11 $warnings -Iinclude -fsyntax-only "$source/alone.cc"
    else
        echo "ok - $header as C++11 # SKIP no C++ compiler"
    fi
done
exit $status
