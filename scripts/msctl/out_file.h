/* A file that has its name only once it is whole and durable. Until then it has none at all, or, on file
 * systems that know no such files (VFAT), the name with ".part" behind it. Tests:
 * tests/unit/msctl/test_out_file.c. */
#ifndef MSCTL_OUT_FILE_H
#define MSCTL_OUT_FILE_H

#include <stdbool.h>

#define OUT_PATH_MAX 4096

struct out_file {
    int dir, fd;
    char name[256], part[256]; /* in dir; part "": it has no name yet */
};
/* In the folder of path. 0 or -errno. */
int out_file_open(struct out_file *o, const char *path);
/* The same, under a name that it has from the start: what out_file_open does where it must. */
int out_file_open_named(struct out_file *o, const char *path);
/* Makes it durable and gives it its name; replace: also where the name is taken (else -EEXIST). 0 or -errno.
 */
int out_file_keep(struct out_file *o, bool replace);
/* Closes it; one that was not kept is gone. A zeroed one with dir and fd -1, and a closed one, too. */
void out_file_done(struct out_file *o);

#endif
