#!/bin/sh
# pages.sh: the C of docs/checkpointing.md builds against this build and runs, each piece in a
# process of its own with a training step after it; and every name of ours in the pages exists.
set -u
[ -z "${RF_SANITIZE:-}" ] || exit 77
command -v cc >/dev/null || exit 77
status=0
page=$RF_SOURCE_DIR/docs/checkpointing.md

# Pieces marked `c file` stand outside of functions; the others are the body of one each.
{
    cat <<'END'
#include <refrain/refrain.h>
#include <stdio.h>
#include <stdlib.h>

static rf_context *ctx;
#define CHECK(expression)                                                           \
    do {                                                                            \
        if (expression) {                                                           \
            printf("line %d: %s\n", __LINE__, rf_context_error(ctx)->message);      \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

static rf_tensor *call(rf_module *model, rf_scope *s, rf_tensor **pair)
{
    rf_tensor *loss = NULL;
    CHECK(rf_module_call(model, s, &(rf_values){pair, 2}, &(rf_values){&loss, 1}));
    return loss;
}
END
    awk '/^```c file$/ { on = 1; next } /^```$/ { on = 0 } on' "$page"
    awk '
        /^```c$/ {
            on = 1
            printf "static void piece_%d(rf_module *model, rf_module *block, rf_scope *s, rf_tensor **pair)\n{\n", num++
            print "    (void)model, (void)block, (void)s, (void)pair;"
            next
        }
        /^```$/ { if (on) print "}"; on = 0 }
        on
        END {
            print "static void (*const pieces[])(rf_module *, rf_module *, rf_scope *, rf_tensor **) = {"
            for (i = 0; i < num; i++) print "    piece_" i ","
            print "};"
        }' "$page"
    cat <<'END'
int main(int argc, char **argv)
{
    size_t num = sizeof pieces / sizeof *pieces;
    int32_t ids[65];
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    rf_module *model;
    rf_scope *s;
    if (argc < 2)
        return printf("%zu\n", num), 0;
    for (int i = 0; i < 65; i++)
        ids[i] = i;
    CHECK(rf_context_create(&ctx, NULL));
    CHECK(rf_nn_gpt2(&model, ctx, &sizes));
    CHECK(rf_scope_open(&s, ctx, NULL));
    rf_tensor *pair[2] = {rf_tensor_copy_in(s, RF_I32, 2, (int64_t[]){1, 64}, ids),
                          rf_tensor_copy_in(s, RF_I32, 2, (int64_t[]){1, 64}, ids + 1)};
    pieces[atoi(argv[1])](model, rf_nn_gpt2_block(model, 0), s, pair);
    CHECK(rf_backward(s, call(model, s, pair)));
    rf_scope_close(s);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    return 0;
}
END
} >pages.c
if cc -std=c99 -Wall -Wextra -I"$RF_SOURCE_DIR/include" pages.c -o pages -L"$RF_BUILD_DIR" \
    -Wl,-rpath,"$RF_BUILD_DIR" -lrefrain 2>warnings && [ ! -s warnings ]; then
    echo "ok - the pieces build without a warning"
else
    echo "not ok - the pieces build without a warning"
    sed 's/^/# /' warnings
    exit 1
fi
i=0
while [ $i -lt "$(./pages)" ]; do
    if ./pages $i >out; then
        echo "ok - piece $i runs"
    else
        echo "not ok - piece $i runs"
        sed 's/^/# /' out
        status=1
    fi
    i=$((i + 1))
done

cat "$RF_SOURCE_DIR"/include/refrain/*.h | grep -oE '\b(rf|RF)_[A-Za-z0-9_]+' | LC_ALL=C sort -u >known
for page in checkpointing from-pytorch ops acceptance decisions/differences; do
    grep -oE '\b(rf|RF)_[A-Za-z0-9_]+[a-zA-Z0-9]' "$RF_SOURCE_DIR/docs/$page.md" | LC_ALL=C sort -u |
        LC_ALL=C comm -23 - known >unknown
    if [ -s unknown ]; then
        echo "not ok - the names of $page exist"
        sed 's/^/# /' unknown
        status=1
    else
        echo "ok - the names of $page exist"
    fi
done
exit $status
