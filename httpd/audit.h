/* Who did what, told to the master (MSG_AUDIT), which keeps it where httpd cannot change it (master/audit.h).
 * What the master does for somebody it writes down by itself. From any thread; at most AUDIT_BURST lines at
 * once, the others are counted. Tests: tests/e2e/test_signin.py. */
#ifndef HTTPD_AUDIT_H
#define HTTPD_AUDIT_H

#include "common/base/bucket.h"
#include "common/ipc/channel.h"
#include "httpd/caller.h"

#define AUDIT_EVERY_US (50 * US_PER_MS)
#define AUDIT_BURST    200
#define AUDIT_TEXT_MAX 256

struct audit {
    struct loop *loop; /* the main loop */
    struct channel *master;
    struct bucket bucket;
    uint64_t held;
};
struct audit_line {
    const struct caller *caller; /* or, where there is none: */
    struct span who;             /* a name that was tried; longer ones are cut */
    const char *address;
    const char *what;   /* "sign in"; a constant, and so is the result */
    const char *result; /* "done", "refused", "failed" */
    const char *text;   /* longer ones are cut */
};
/* audit NULL: nowhere. */
void audit_say(struct audit *a, const struct audit_line *line);

#endif
