/* Throw-away processes that httpd asks for: ms-picture. Each gets a socket to httpd as descriptor 3 of the
 * contract (common/ipc/child.h) and says nothing to the master. They are born by turns as services are
 * (SERVICE_EVERY_US, SERVICE_BURST), at most twice as many live as `pictures` says (one that was killed may
 * still be dying), and all go with httpd. Tests: tests/e2e/test_picture.py. */
#ifndef MASTER_HELPERS_H
#define MASTER_HELPERS_H

#include "common/base/bucket.h"
#include "common/net/loop.h"

#define HELPERS_MAX 32

enum helper_kind { HELPER_PICTURE = 1 };

struct master;
struct helper {
    struct master *m;
    struct loop_timer turn; /* until its birth */
    uint64_t id;            /* 0: a free place */
    int pid;                /* 0: not born yet */
    bool killed;
};
struct helpers {
    struct master *m;
    struct helper v[HELPERS_MAX];
    struct bucket turns;
    unsigned wanted; /* and no place yet */
    uint64_t last_id;
};

void helpers_init(struct helpers *h, struct master *m);
/* httpd wants one; it is told by HELPER. */
void helpers_want(struct helpers *h, uint64_t kind);
void helpers_kill(struct helpers *h, uint64_t id);
/* All of them: httpd has gone, or the master goes. */
void helpers_end(struct helpers *h);
unsigned helpers_alive(const struct helpers *h);

#endif
