/* Walls of cameras that people have laid out: each account's own, and those of all, kept in state-dir. What
 * one looks like is the browser's; here it is a JSON object of bounded size. Tests:
 * tests/unit/master/test_layouts.c, tests/e2e/test_layouts.py. */
#ifndef MASTER_LAYOUTS_H
#define MASTER_LAYOUTS_H

#include "common/base/span.h"

#define LAYOUTS_OWN_MAX    50 /* of an account */
#define LAYOUTS_SHARED_MAX 100
#define LAYOUT_JSON_MAX    16384
#define LAYOUT_NAME_MAX    64
#define LAYOUT_OWNER_MAX   64
#define LAYOUTS_BYTES_MAX  (2u << 20) /* of all */

struct state_file;
struct layout {
    char owner[LAYOUT_OWNER_MAX + 1]; /* of a shared one: who put it there */
    char name[LAYOUT_NAME_MAX + 1];
    bool shared;
    int64_t at_s;
    char *json;
};
struct layouts {
    struct state_file *file;
    struct layout *v;
    size_t n, bytes;
};

/* 0 or -errno. What cannot be read is left out. */
int layouts_open(struct layouts *l, int state_dir);
void layouts_close(struct layouts *l);
/* shared: by name alone. NULL: there is none. */
const struct layout *layouts_find(const struct layouts *l, const char *owner, bool shared, const char *name);
/* NULL, or why not: "name", "layout" (no object, too large), "full". */
const char *layouts_put(struct layouts *l, const struct layout *new, struct span json);
bool layouts_remove(struct layouts *l, const char *owner, bool shared, const char *name);
void layouts_forget(struct layouts *l, const char *owner); /* his own: the account is gone */
void layouts_check(struct layouts *l);                     /* once a second: a failed write is logged */

#endif
