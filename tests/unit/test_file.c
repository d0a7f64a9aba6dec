/* Writing that is there whole or not at all, reading that refuses what is no file, and the small
 * texts and JSON values on top of them. */
#include <refrain/io.h>

#include "io/file.h"
#include "support/failing.h"
#include "support/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static int begin(void **state)
{
    rf_context *ctx = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    if (system("rm -rf f && mkdir f") != 0)
        return 1;
    *state = NULL;
    if (rf_context_create(&ctx, &opts))
        return 1;
    *state = ctx;
    return 0;
}

static int end(void **state)
{
    rf_context_destroy(*state);
    return 0;
}

/* In place of the C library's: what is synced, in which order, and a device that fails. */
static struct {
    char log[16]; /* 'f' a file, 'F' a file while f/x still is the old one, 'd' a folder */
    char fail;    /* the letter that fails                                              */
} syncs;

int fsync(int fd)
{
    struct stat info;
    size_t at = strlen(syncs.log);
    char what = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) ? 'd' : 'f';
    if (what == 'f' && files_exist("f/x") && files_equal("f/x", "old", 3))
        what = 'F';
    if (at < sizeof syncs.log - 1)
        syncs.log[at] = what;
    errno = EIO;
    return syncs.fail == what ? -1 : 0;
}

static void message_has(rf_context *ctx, const char *part)
{
    const char *message = rf_context_error(ctx)->message;
    if (!strstr(message, part) || strchr(message, '\n'))
        fail_msg("'%s' is not in '%s'", part, message);
}

/* ---- reading and writing ---- */

static void test_text_goes_there_and_back(void **state)
{
    rf_context *ctx = *state;
    size_t sizes[] = {0, 1, 100, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = calloc(1, sizes[i] + 1), *back;
        size_t len;
        for (size_t j = 0; j < sizes[i]; j++)
            text[j] = (char)(j * j % 251);
        assert_int_equal(rf_text_write(ctx, "f/text", text, sizes[i]), RF_OK);
        assert_true(files_equal("f/text", text, sizes[i]));
        assert_int_equal(rf_text_read(&back, &len, ctx, "f/text", sizes[i]), RF_OK);
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(back, text, len + 1);
        rf_text_free(ctx, back);
        free(text);
    }
    rf_text_free(ctx, NULL);
    assert_int_equal(files_count("f", "text"), 1);
}

/* Pieces of all sizes, so that what is buffered and what is not come in the order given. */
static void test_pieces(void **state)
{
    enum { TOTAL = 400000 };
    static const size_t sizes[] = {1, 100000, 7, 32767, 2, 32768, 32769, 0, 65537, 3};
    char *data = malloc(TOTAL);
    rf_writer *w;
    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (char)(i * i % 241);
    assert_int_equal(rf_writer_open(&w, *state, "f/pieces"), RF_OK);
    for (size_t at = 0, i = 0, some; at < TOTAL; at += some, i++) {
        some = sizes[i % 10] < TOTAL - at ? sizes[i % 10] : TOTAL - at;
        rf_writer_put(w, data + at, some);
    }
    assert_int_equal(rf_writer_status(w), RF_OK);
    assert_int_equal(rf_writer_commit(w), RF_OK);
    assert_true(files_equal("f/pieces", data, TOTAL));
    assert_int_equal(rf_writer_open(&w, *state, "f/pieces"), RF_OK);
    rf_writer_put(w, data, 5);
    rf_writer_cancel(w);
    rf_writer_cancel(NULL);
    assert_true(files_equal("f/pieces", data, TOTAL));
    assert_int_equal(files_count("f", "pieces"), 1);
    free(data);
}

/* The file is synced while the old one still has the name, the folder after the new one has it. */
static void test_what_is_synced_and_when(void **state)
{
    files_put_text("f/x", "old");
    memset(&syncs, 0, sizeof syncs);
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_OK);
    assert_string_equal(syncs.log, "Fd");
    memset(&syncs, 0, sizeof syncs);
    files_put_text("f/x", "old");
    syncs.fail = 'F';
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_E_IO);
    message_has(*state, "f/x: can't be written: the device reports an error");
    assert_true(files_equal("f/x", "old", 3));
    assert_int_equal(files_count("f", "x"), 1);
    syncs.fail = 'd';
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_E_IO);
    message_has(*state, "f/x: is written, but its folder could not be synced");
    assert_true(files_equal("f/x", "new", 3));
    memset(&syncs, 0, sizeof syncs);
}

static void test_modes_are_kept(void **state)
{
    struct stat info;
    files_put_text("f/private", "old");
    assert_int_equal(chmod("f/private", 0600), 0);
    assert_int_equal(rf_text_write(*state, "f/private", "new", 3), RF_OK);
    assert_int_equal(stat("f/private", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    mode_t mask = umask(027);
    assert_int_equal(rf_text_write(*state, "f/fresh", "new", 3), RF_OK);
    umask(mask);
    assert_int_equal(stat("f/fresh", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

static void test_a_bare_name_is_in_this_folder(void **state)
{
    assert_int_equal(chdir("f"), 0);
    rf_status status = rf_text_write(*state, "bare", "x", 1);
    assert_int_equal(chdir(".."), 0);
    assert_int_equal(status, RF_OK);
    assert_true(files_equal("f/bare", "x", 1));
}

static void test_limit(void **state)
{
    rf_context *ctx = *state;
    char *text = (char *)1;
    files_put_text("f/four", "1234");
    assert_int_equal(rf_text_read(&text, NULL, ctx, "f/four", 3), RF_E_FORMAT);
    assert_null(text);
    message_has(ctx, "f/four: 4 bytes are more than the 3");
}

static void test_what_can_not_be_read(void **state)
{
    rf_context *ctx = *state;
    char *text;
    alarm(20); /* a FIFO that is waited for would hang */
    assert_int_equal(mkfifo("f/fifo", 0600), 0);
    assert_int_equal(rf_text_read(&text, NULL, ctx, "f/fifo", 100), RF_E_IO);
    message_has(ctx, "f/fifo: it is no regular file");
    assert_int_equal(rf_text_write(ctx, "f/fifo", "x", 1), RF_E_IO);
    message_has(ctx, "f/fifo: it is no regular file");
    alarm(0);
    assert_int_equal(rf_text_read(&text, NULL, ctx, "f", 100), RF_E_IO);
    message_has(ctx, "f: it is a folder");
    assert_int_equal(rf_text_write(ctx, "f", "x", 1), RF_E_IO);
    message_has(ctx, "f: it is a folder");
    assert_int_equal(rf_text_read(&text, NULL, ctx, "f/none", 100), RF_E_IO);
    message_has(ctx, "f/none: can't be opened: no such file");
    assert_int_equal(rf_text_write(ctx, "f/none/x", "x", 1), RF_E_IO);
    message_has(ctx, "f/none/x: can't be written: no such file or folder");
    files_put_text("f/file", "");
    assert_int_equal(rf_text_write(ctx, "f/file/x", "x", 1), RF_E_IO);
    message_has(ctx, "f/file/x: can't be written");
    assert_int_equal(files_count("f", ""), 4); /* . .. fifo file */
}

/* ---- full disks ---- */

static void test_full_device(void **state)
{
    char data[100000] = {0};
    assert_int_equal(rf_text_write(*state, "/dev/full", data, sizeof data), RF_E_IO);
    message_has(*state, "/dev/full: can't be written: no space left");
    assert_int_equal(rf_text_write(*state, "/dev/full", data, 10), RF_E_IO);
    assert_int_equal(rf_text_write(*state, "/dev/null", data, sizeof data), RF_OK);
    struct stat info;
    assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

/* The limit on the size of files is a full disk that any user can have. */
static void test_no_space_keeps_the_old_file(void **state)
{
    char *data = calloc(1, 1 << 20);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    files_put_text("f/kept", "what was there");
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 200000; limit += 49999) {
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        rf_status status = rf_text_write(*state, "f/kept", data, 1 << 20);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(status, RF_E_IO);
        message_has(*state, "f/kept: can't be written: no space left");
        assert_true(files_equal("f/kept", "what was there", 14));
        assert_int_equal(files_count("f", "kept"), 1);
    }
    signal(SIGXFSZ, handler);
    assert_int_equal(rf_text_write(*state, "f/kept", data, 1 << 20), RF_OK);
    free(data);
}

/* ---- the name beside ---- */

static void test_a_left_over_is_written_over(void **state)
{
    files_put_text("f/x.tmp", "left by a process that was killed, and longer than what comes");
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_OK);
    assert_true(files_equal("f/x", "new", 3));
    assert_false(files_exist("f/x.tmp"));
}

static void test_a_name_in_use_is_left_alone(void **state)
{
    int fd = open("f/x.tmp", O_WRONLY | O_CREAT, 0666);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0 && write(fd, "mine", 4) == 4);
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_OK);
    assert_true(files_equal("f/x", "new", 3));
    assert_true(files_equal("f/x.tmp", "mine", 4));
    assert_int_equal(files_count("f", "x"), 2);
    close(fd);
}

/* A link in the way may lead anywhere. */
static void test_links_in_the_way_are_not_followed(void **state)
{
    files_put_text("f/target", "precious");
    assert_int_equal(symlink("target", "f/x.tmp"), 0);
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_OK);
    assert_int_equal(link("f/target", "f/y.tmp"), 0);
    assert_int_equal(rf_text_write(*state, "f/y", "new", 3), RF_OK);
    assert_int_equal(symlink("target", "f/z"), 0);
    assert_int_equal(rf_text_write(*state, "f/z", "new", 3), RF_OK);
    assert_true(files_equal("f/target", "precious", 8));
    assert_true(files_equal("f/x", "new", 3) && files_equal("f/y", "new", 3));
    assert_true(files_equal("f/z", "new", 3));
}

static void test_all_names_in_use(void **state)
{
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, i ? "f/x.tmp%d" : "f/x.tmp", i);
        assert_int_equal(mkdir(name, 0700), 0);
    }
    assert_int_equal(rf_text_write(*state, "f/x", "new", 3), RF_E_IO);
    message_has(*state, "f/x: can't be written: the names f/x.tmp to .tmp99 are all in use");
    assert_false(files_exist("f/x"));
}

/* ---- kills ---- */

enum { KILL_BYTES = 300000 };

/* Save for ever: the letter a all through, then b, and so on. Never returns. */
static void save_for_ever(int pipe_end)
{
    rf_context *ctx;
    static char data[KILL_BYTES];
    if (rf_context_create(&ctx, NULL))
        _exit(1);
    for (int i = 0;; i++) {
        memset(data, 'a' + i % 26, sizeof data);
        if (rf_text_write(ctx, "f/saved", data, sizeof data))
            _exit(2);
        if (i == 0 && write(pipe_end, "x", 1) != 1)
            _exit(3);
    }
}

static void kill_after(long nanoseconds)
{
    int ends[2], status;
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        save_for_ever(ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1); /* the first save is done */
    nanosleep(&(struct timespec){0, nanoseconds}, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
}

static void test_killed_while_saving(void **state)
{
    int rounds = getenv("RF_TEST_FAST") ? 10 : 40;
    (void)state;
    for (int round = 0; round < rounds; round++) {
        kill_after(round * 137000L + 1000);
        size_t len;
        unsigned char *data = files_get("f/saved", &len);
        assert_int_equal(len, KILL_BYTES);
        for (size_t i = 1; i < len; i++)
            assert_int_equal(data[i], data[0]);
        free(data);
        assert_true(files_count("f", "saved") <= 2);
    }
}

/* Two processes that save to one name: the file is always one of theirs, whole. */
static void test_two_writers(void **state)
{
    int rounds = getenv("RF_TEST_FAST") ? 20 : 100;
    pid_t children[2];
    (void)state;
    for (int c = 0; c < 2; c++) {
        children[c] = fork();
        assert_true(children[c] >= 0);
        if (children[c] == 0) {
            rf_context *ctx;
            static char data[KILL_BYTES];
            memset(data, 'a' + c, sizeof data);
            int failed = rf_context_create(&ctx, NULL) != RF_OK;
            for (int i = 0; i < rounds && !failed; i++)
                failed = rf_text_write(ctx, "f/both", data, sizeof data) != RF_OK;
            _exit(failed);
        }
    }
    for (int c = 0, status; c < 2; c++) {
        assert_int_equal(waitpid(children[c], &status, 0), children[c]);
        assert_int_equal(status, 0);
    }
    size_t len;
    unsigned char *data = files_get("f/both", &len);
    assert_int_equal(len, KILL_BYTES);
    for (size_t i = 1; i < len; i++)
        assert_int_equal(data[i], data[0]);
    free(data);
    assert_int_equal(files_count("f", "both"), 1);
}

/* ---- memory ---- */

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    files_put_text("f/text", "old");
    for (size_t k = 1, done = 0; !done; k++) {
        failing_allocator a = {0};
        rf_context *ctx = failing_context(&a);
        char *text = NULL;
        a.calls = 0;
        a.fail_at = k;
        rf_status status = rf_text_write(ctx, "f/text", "new", 3);
        if (!status)
            status = rf_text_read(&text, NULL, ctx, "f/text", 100);
        done = a.calls < k;
        assert_int_equal(status, done ? RF_OK : RF_E_MEMORY);
        if (text)
            assert_string_equal(text, "new");
        a.fail_at = 0;
        rf_text_free(ctx, text);
        rf_context_destroy(ctx);
        assert_int_equal(a.bytes, 0);
        assert_int_equal(files_count("f", "text"), 1);
    }
}

/* ---- values of JSON ---- */

static void test_json_values(void **state)
{
    static const char text[] =
        "{\"n_layer\": 12, \"eps\": 1e-5, \"name\": \"gpt\\u00e9\", \"sub\": "
        "{\"n_layer\": 99}, \"twice\": 1, \"twice\": 2, \"z\": \"a\\u0000\","
        " \"huge\": 1e999, \"neg\": -0.5}";
    rf_context *ctx = *state;
    char buffer[16];
    double value = 7;
    assert_int_equal(rf_json_number(ctx, text, "n_layer", &value), RF_OK);
    assert_true(value == 12);
    assert_int_equal(rf_json_number(ctx, text, "eps", &value), RF_OK);
    assert_true(value == 1e-5);
    assert_int_equal(rf_json_number(ctx, text, "neg", &value), RF_OK);
    assert_true(value == -0.5);
    assert_int_equal(rf_json_string(ctx, text, "name", buffer, sizeof buffer), RF_OK);
    assert_string_equal(buffer, "gpt\xC3\xA9");
    assert_int_equal(rf_json_string(ctx, text, "name", buffer, 6), RF_OK);
    assert_int_equal(rf_json_string(ctx, text, "name", buffer, 5), RF_E_ARGUMENT);
    assert_int_equal(rf_json_number(ctx, text, "none", &value), RF_E_NOT_FOUND);
    message_has(ctx, "there is no key 'none'");
    assert_int_equal(rf_json_number(ctx, text, "name", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_number(ctx, text, "sub", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_number(ctx, text, "huge", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_number(ctx, text, "twice", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_string(ctx, text, "z", buffer, sizeof buffer), RF_E_FORMAT);
    assert_int_equal(rf_json_string(ctx, text, "eps", buffer, sizeof buffer), RF_E_FORMAT);
    assert_true(value == -0.5);
    assert_int_equal(rf_json_number(ctx, "[1]", "a", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_number(ctx, "{\"a\": 1, \"b\": }", "a", &value), RF_E_FORMAT);
    message_has(ctx, "broken JSON: no value here at byte 14");
    assert_int_equal(rf_json_number(ctx, "{\"a\": 1} x", "a", &value), RF_E_FORMAT);
    assert_int_equal(rf_json_number(ctx, "{\"a\": 1", "a", &value), RF_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_goes_there_and_back, begin, end),
        cmocka_unit_test_setup_teardown(test_pieces, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_synced_and_when, begin, end),
        cmocka_unit_test_setup_teardown(test_modes_are_kept, begin, end),
        cmocka_unit_test_setup_teardown(test_a_bare_name_is_in_this_folder, begin, end),
        cmocka_unit_test_setup_teardown(test_limit, begin, end),
        cmocka_unit_test_setup_teardown(test_what_can_not_be_read, begin, end),
        cmocka_unit_test_setup_teardown(test_full_device, begin, end),
        cmocka_unit_test_setup_teardown(test_no_space_keeps_the_old_file, begin, end),
        cmocka_unit_test_setup_teardown(test_a_left_over_is_written_over, begin, end),
        cmocka_unit_test_setup_teardown(test_a_name_in_use_is_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(test_links_in_the_way_are_not_followed, begin, end),
        cmocka_unit_test_setup_teardown(test_all_names_in_use, begin, end),
        cmocka_unit_test_setup_teardown(test_killed_while_saving, begin, end),
        cmocka_unit_test_setup_teardown(test_two_writers, begin, end),
        cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, begin, end),
        cmocka_unit_test_setup_teardown(test_json_values, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
