/* files.h: files for tests, made and read with the C library alone, so that a test of reading
 * shares nothing with the code that writes, and the other way round. */
#ifndef RF_SUPPORT_FILES_H
#define RF_SUPPORT_FILES_H

#include <stddef.h>

/* All of these fail the test if they can't. */
void files_put(const char *path, const void *data, size_t len);
void files_put_text(const char *path, const char *text);
unsigned char *files_get(const char *path, size_t *len); /* free it */
int files_equal(const char *path, const void *data, size_t len);
int files_exist(const char *path);
/* How many entries of a folder begin with a text. */
size_t files_count(const char *folder, const char *beginning);

#endif
