/* Throw-away processes that httpd asks for: ms-picture, ms-luahost. Each gets a socket to httpd as descriptor
 * 3 of the contract (common/ipc/child.h) and says nothing to the master. They are born by turns as services
 * are (SERVICE_EVERY_US, SERVICE_BURST, for each kind). At most twice as many live as are wanted at a time,
 * which `pictures` says of the one kind and is one of the others: one that was killed may still be dying. All
 * go with httpd. Tests: tests/e2e/test_picture.py, tests/e2e/test_lua.py. */
#ifndef MASTER_HELPERS_H
#define MASTER_HELPERS_H

#include "common/base/bucket.h"
#include "common/ipc/messages.h"
#include "common/net/loop.h"

#define HELPERS_MAX  36
#define HELPER_KINDS 4 /* one more than the last */

struct master;
struct helper {
    struct master *m;
    struct loop_timer turn; /* until its birth */
    uint64_t id;            /* 0: a free place */
    enum helper_kind kind;
    int pid; /* 0: not born yet */
    bool killed;
};
struct helpers {
    struct master *m;
    struct helper v[HELPERS_MAX];
    struct bucket turns[HELPER_KINDS];
    unsigned wanted[HELPER_KINDS]; /* and no place yet */
    uint64_t last_id;
};

void helpers_init(struct helpers *h, struct master *m);
/* httpd wants one; it is told by HELPER. */
void helpers_want(struct helpers *h, uint64_t kind);
void helpers_kill(struct helpers *h, uint64_t id);
/* All of them: httpd has gone, or the master goes. */
void helpers_end(struct helpers *h);
unsigned helpers_alive(const struct helpers *h, enum helper_kind kind);

#endif
