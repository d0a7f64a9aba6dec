/* options.h: command lines, by tables. A verb is a table of options over a plain struct; the
 * parser, --help, errors, the line-by-line form in a state file and the comparison on --resume all
 * read the same table, so adding an option is adding a row.
 *
 * Nothing here prints, exits, or knows of Refrain: a fuzz target links it as it is.
 */
#ifndef RF_CLI_OPTIONS_H
#define RF_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* What an option's value is, and so the type of its field. */
typedef enum option_kind {
    OPTION_COUNT,   /* uint64_t, within low and high                             */
    OPTION_REAL,    /* double, within low and high                               */
    OPTION_SIZE,    /* uint64_t, bytes                                           */
    OPTION_TEXT,    /* const char *, borrowed; not empty where low is above 0    */
    OPTION_CHOICE,  /* uint64_t, the index of a word in choices                  */
    OPTION_PATTERN, /* option_choice_n: a word, word:N, word:TEXT or word:N:TEXT */
    OPTION_LIST,    /* option_list; may be given again, one value each time      */
    OPTION_MANY,    /* option_list; takes all that follows, up to an option      */
    OPTION_FLAG,    /* uint64_t, 1 where it is given; takes no value             */
    OPTION_KINDS
} option_kind;

typedef struct option_list {
    const char **v; /* the texts are borrowed, the array is not */
    size_t num;
    size_t capacity;
} option_list;

/* For OPTION_PATTERN: the word's index, the N of "word:N" (else 0), and the text behind (else NULL;
 * borrowed, as it is: what it means is not known here). */
typedef struct option_choice_n {
    uint64_t word;
    uint64_t n;
    const char *more;
} option_choice_n;

typedef enum option_flags {
    OPTION_HIDDEN = 1,     /* not for the command line: only in a state file    */
    OPTION_STORED = 2,     /* goes into a state file                            */
    OPTION_CHANGEABLE = 4, /* --resume may give it another value                */
    OPTION_REQUIRED = 8
} option_flags;

typedef struct option_row {
    const char *name;  /* "layers", without the dashes; NULL for a heading, which is help */
    const char *value; /* what --help calls the value: "N"                                */
    const char *help;
    option_kind kind;
    size_t offset; /* of the field */
    unsigned flags;
    double low, high; /* OPTION_COUNT and OPTION_REAL */
    /* NULL-terminated; for OPTION_PATTERN "word:" takes N, and with + at its end it may take TEXT.
     */
    const char *const *choices;
} option_row;

typedef struct option_table {
    const char *verb;    /* "train"                                 */
    const char *summary; /* one line                                */
    const char *usage;   /* what follows "refrain train" in --help  */
    const option_row *rows;
    size_t num;
    size_t bytes;         /* of the struct                                      */
    const void *defaults; /* such a struct                                      */
    size_t positional;    /* offset of a const char * for one argument, or NONE */
} option_table;

#define OPTION_NO_POSITIONAL SIZE_MAX
enum { OPTION_ROWS = 64 }; /* of one table, at most */

/* Which rows were given: bit i for row i. */
typedef uint64_t option_set;

/* What is wrong, in the three parts that every error of the command has. */
typedef struct option_error {
    char what[256];
    char where[256];
    char advice[256];
} option_error;

typedef enum option_result { OPTION_FINE, OPTION_HELP, OPTION_WRONG } option_result;

/* Fill values (a struct of the table; defaults first) from the arguments after the verb. Texts
 * stay borrowed. options_end frees what lists hold, also after an error. */
option_result options_parse(const option_table *table, int argc, char **argv, void *values,
                            option_set *given, option_error *error);
void options_end(const option_table *table, void *values);

/* The first row of a name, which is the one that counts; NULL if there is none. */
const option_row *options_find(const option_table *table, const char *name, size_t len);
/* Set one field from text; 0 and the error if it does not fit. */
int options_set(const option_table *table, const option_row *row, const char *text, void *values,
                option_error *error);
/* The value as text that options_set takes (of a list, item number `item`); returns the length it
 * needs, as snprintf does. */
size_t options_show(const option_row *row, const void *values, size_t item, char *buffer,
                    size_t bytes);
size_t options_items(const option_row *row, const void *values); /* 1, or the length of a list */
int options_equal(const option_row *row, const void *a, const void *b);
/* Give dst the field of src; a list leaves src, which stays valid. */
void options_move(const option_row *row, void *dst, void *src);

#endif
