/* Lines about writes that fail: one a minute for each kind of error, and one when footage is written again. A
 * disk that fails every two seconds for a night says so once a minute. Tests:
 * tests/unit/worker/test_write_log.c. */
#ifndef WORKER_WRITE_LOG_H
#define WORKER_WRITE_LOG_H

#include "common/base/log.h"

#define WRITE_LOG_KINDS 4 /* full, read-only, broken, anything else */

struct write_log { /* zeroed at the start */
    struct log_rate rate[WRITE_LOG_KINDS];
    bool said; /* a failure stands in the log, and no recovery behind it */
    uint32_t failed;
};

/* err: negative errno. */
void write_log_failed(struct write_log *l, const char *storage, int err, usec_t now_us);
/* A segment was begun. */
void write_log_ok(struct write_log *l, const char *storage);

#endif
