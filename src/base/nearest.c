/* nearest.c: which word somebody meant. The distance is the number of letters to insert, take away,
 * change or swap with a neighbour (optimal string alignment). */
#include <refrain/base.h>

#include <string.h>

enum { NEAREST_LETTERS = 32 };

static size_t nearest_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t nearest_distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_LETTERS + 1] = {{0}};
    size_t len_a = strlen(a), len_b = strlen(b);
    if (len_a > NEAREST_LETTERS || len_b > NEAREST_LETTERS)
        return NEAREST_LETTERS;
    for (size_t j = 0; j <= len_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        size_t *now = rows[i % 3], *one = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t change = one[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = nearest_least(nearest_least(one[j], now[j - 1]) + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = nearest_least(now[j], two[j - 2] + 1);
        }
    }
    return rows[len_a % 3][len_b];
}

const char *rf_nearest_word(const char *text, const char *const *words, size_t num)
{
    const char *best = NULL;
    size_t len = strlen(text), least = 1 + (len < 4 ? 1 : len < 8 ? 2 : 3);
    for (size_t i = 0; i < num; i++) {
        size_t distance = nearest_distance(text, words[i]);
        /* The beginning of a word is as good as a small slip. */
        if (len >= 3 && strncmp(text, words[i], len) == 0)
            distance = 1;
        if (distance < least) {
            least = distance;
            best = words[i];
        }
    }
    return best;
}
