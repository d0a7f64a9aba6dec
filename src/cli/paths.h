/* paths.h: names of files. Buffers have PATHS_BYTES bytes; a name that does not fit is an error
 * that is reported, and 0 is returned. */
#ifndef RF_CLI_PATHS_H
#define RF_CLI_PATHS_H

enum { PATHS_BYTES = 4096 };

int paths_join(char *buffer, const char *folder, const char *name);
/* The same path from the root on; "." and links stay as they are. */
int paths_absolute(char *buffer, const char *path);
int paths_is_file(const char *path);
int paths_is_folder(const char *path);
/* Make a folder and those above it, and see that files can be made in it. */
int paths_make_folder(const char *folder, const char *option);

#endif
