/* paths.c: see paths.h. */
#include "cli/paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

int paths_join(char *buffer, const char *folder, const char *name)
{
    size_t len = strlen(folder);
    const char *slash = len && folder[len - 1] == '/' ? "" : "/";
    int needed = snprintf(buffer, PATHS_BYTES, "%s%s%s", folder, slash, name);
    if (needed > 0 && needed < PATHS_BYTES)
        return 1;
    report_error("a path is too long", name, "use a shorter one");
    return 0;
}

int paths_absolute(char *buffer, const char *path)
{
    char folder[PATHS_BYTES];
    if (path[0] == '/')
        return paths_join(buffer, "", path + 1);
    if (getcwd(folder, sizeof folder))
        return paths_join(buffer, folder, path);
    report_error(strerror(errno), "the current folder", "go to another one");
    return 0;
}

int paths_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

int paths_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int paths_make_one(const char *path)
{
    return mkdir(path, 0777) == 0 || (errno == EEXIST && paths_is_folder(path));
}

static int paths_make_all(const char *folder)
{
    char path[PATHS_BYTES];
    int len = snprintf(path, sizeof path, "%s", folder);
    if (len <= 0 || len >= PATHS_BYTES) {
        errno = ENAMETOOLONG;
        return 0;
    }
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (!paths_make_one(path) && !paths_is_folder(path))
            return 0;
        *at = '/';
    }
    return paths_make_one(path);
}

int paths_make_folder(const char *folder, const char *option)
{
    char where[PATHS_BYTES + 64];
    snprintf(where, sizeof where, "%s %s", option, folder);
    if (paths_make_all(folder) && access(folder, W_OK | X_OK) == 0)
        return 1;
    const char *why = errno == EEXIST ? "it is no folder" : strerror(errno);
    report_error(why, where, "give a folder that can be written");
    return 0;
}
