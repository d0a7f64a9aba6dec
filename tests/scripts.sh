#!/bin/sh
# The checks themselves: each is given a small tree with one thing wrong, and must say so. A check
# that can't fail proves nothing.
set -u
scripts=$(cd "${RF_SOURCE_DIR:-$(dirname "$0")/..}/scripts" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

# tree: an empty tree in which all is right.
tree() {
    rm -rf "$folder/tree"
    mkdir -p "$folder/tree/src/base" "$folder/tree/src/op" "$folder/tree/src/cli" "$folder/tree/include/refrain"
    cd "$folder/tree" || exit 1
    cp "$scripts/../.clang-format" .
    echo 'int rf_a(void);' >include/refrain/a.h
    printf '#include "base/a.h"\n#include <refrain/a.h>\nstatic int one(int x)\n{\n    return x;\n}\n' >src/op/op.c
    printf '#include <string.h>\nstatic const int two[] = {1};\n' >src/base/a.h
    printf '#include "cli/b.h"\n#include <refrain/a.h>\n' >src/cli/main.c
    echo >src/cli/b.h
}

# green NAME CHECK / red NAME CHECK EXPECTED: the check passes, or fails and names the place.
green() {
    if "$scripts/$2" . >"$folder/log" 2>&1; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/# /' "$folder/log"
        status=1
    fi
}
red() {
    if ! "$scripts/$2" . >"$folder/log" 2>&1 && grep -q -- "$3" "$folder/log"; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/# /' "$folder/log"
        status=1
    fi
}

tree
green "layers: a right tree" check-layers.sh
echo '#include "op/op.h"' >>src/base/a.h
red "layers: an include of an upper layer" check-layers.sh "src/base/a.h:3"
tree
echo '#include "base/a.h"' >>src/cli/main.c
red "layers: the command looks inside" check-layers.sh "src/cli/main.c:3"
tree
echo '#include "a.h"' >>src/base/a.h
red "layers: an include without its layer" check-layers.sh "src/base/a.h:3"
tree
mkdir src/odd
echo >src/odd/a.c
red "layers: a folder that is no layer" check-layers.sh "src/odd/a.c:1"
tree
echo '#include "base/a.h"' >>include/refrain/a.h
red "layers: a public header looks inside" check-layers.sh "include/refrain/a.h:2"

tree
green "statics: a right tree" check-statics.sh
printf 'static int one(int x)\n{\n    return x;\n}\n' >src/base/b.c
red "statics: two functions" check-statics.sh "one is also at"
tree
printf 'static struct rf_x *\none(int x);\n' >src/base/b.c
red "statics: a name on the next line" check-statics.sh "one is also at"
tree
printf 'static int (*const two)(void) = rf_a;\n' >src/op/b.c
red "statics: a pointer to a function" check-statics.sh "two is also at"
tree
printf 'static inline __attribute__((format(printf, 1, 2))) int one(const char *f, ...);\n' >src/base/b.c
red "statics: behind an attribute" check-statics.sh "one is also at"
tree
printf 'int f(void)\n{\n    static const int one = 1;\n    return one;\n}\n' >src/base/b.c
green "statics: a local is no clash" check-statics.sh

if command -v clang-format >/dev/null; then
    tree
    green "format: a right tree" check-format.sh
    echo 'int  f( void );' >src/base/b.c
    red "format: a line laid out by hand" check-format.sh "src/base/b.c:1"
else
    echo "ok - format # SKIP no clang-format"
fi

tree
green "headers: a right tree" check-headers.sh
echo 'int rf_b(size_t x);' >include/refrain/b.h
red "headers: one that needs another" check-headers.sh "not ok - refrain/b.h as C99"
tree
echo 'int rf_new(int new);' >include/refrain/b.h
if command -v "${CXX:-c++}" >/dev/null; then
    red "headers: one that is no C++" check-headers.sh "not ok - refrain/b.h as C++11"
else
    echo "ok - headers: one that is no C++ # SKIP no C++ compiler"
fi

# acceptance: a page that names one test, which is there and runs.
acceptance() {
    tree
    mkdir -p docs tests/unit
    echo '| AT-01 | one | [unit/test_a.c](../tests/unit/test_a.c) `test_one` |' >docs/acceptance.md
    printf '/* AT-01 */\nstatic void test_one(void **state)\n{\n}\nint main(void)\n{\n    cmocka_unit_test(test_one);\n}\n' >tests/unit/test_a.c
}
acceptance
green "acceptance: a right page" check-acceptance.sh
echo '[unit/test_a.c](../tests/unit/test_a.c) `test_two`' >>docs/acceptance.md
red "acceptance: a test that is not there" check-acceptance.sh "has no test_two"
acceptance
sed -i '/cmocka_unit_test/d' tests/unit/test_a.c
red "acceptance: a test that does not run" check-acceptance.sh "does not run test_one"
acceptance
sed -i 's/AT-01/AT-02/' tests/unit/test_a.c
red "acceptance: a number that the page lacks" check-acceptance.sh "AT-02 is missing"

# The counting of cases: a stand-in for ctest prints what a run of four tests printed.
mkdir -p "$folder/bin"
cat >"$folder/bin/ctest" <<'END'
#!/bin/sh
cat <<'OUTPUT'
test 1
    Start 1: unit.good
1: Test command: unit_good
1: 1..3
1: ok 1 - a
1: ok 2 - b
1: not ok 3 # SKIP c
1/4 Test #1: unit.good ........   Passed    0.01 sec
2: 1..2
2: ok 1 - a
2: not ok 2 - b
2: # wrong
2/4 Test #2: unit.bad .........***Failed    0.01 sec
3: 1..3
3: ok 1 - a
3/4 Test #3: unit.crash .......***Exception: SegFault  0.10 sec
4/4 Test #4: example.plain ....   Passed    0.01 sec
OUTPUT
END
chmod +x "$folder/bin/ctest"
line=$(PATH=$folder/bin:$PATH RF_RESULTS=$folder/results "$scripts/run-tests.sh" any | tail -n 1)
if [ "$line" = "5 passed, 3 failed, 1 skipped" ]; then
    echo "ok - run-tests counts cases, and those that a crash kept from running"
else
    echo "not ok - run-tests counts cases: '$line'"
    status=1
fi
exit $status
