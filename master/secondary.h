/* Another source for a while: a stream's stream-url is set to another one, in its file like any change, and
 * set back when the time is over, over restarts too. Where somebody has changed it meanwhile, his change
 * stays. state-dir/secondary holds what has to come back; it has passwords in it, and is for the master's
 * user alone. Tests: tests/unit/master/test_secondary.c, tests/e2e/test_api.py. */
#ifndef MASTER_SECONDARY_H
#define MASTER_SECONDARY_H

#include "common/conf/conf.h"

struct master;
struct state_file;
struct conf_report;

#define SECONDARY_MAX    256           /* streams at a time */
#define SECONDARY_MOST_S (366 * 86400) /* of one */

struct secondary_row {
    char uid[CONF_UID_MAX + 1];
    char *before, *now; /* as they stand in the file; before "": there was none */
    int64_t until_s;    /* wall clock; 0: until it is taken back */
};
struct secondary {
    struct state_file *file;
    struct secondary_row v[SECONDARY_MAX];
    size_t n;
};

/* 0 or -errno; what cannot be read is left out. */
int secondary_open(struct secondary *x, int state_dir);
void secondary_close(struct secondary *x);
/* url "": back at once. seconds 0: until it is taken back. A code of ctl.h; text (EDITS_TEXT_MAX): why not.
 */
struct secondary_order {
    const char *uid, *url, *by;
    int64_t seconds;
};
int secondary_set(struct master *m, const struct secondary_order *o, struct conf_report *r, char *text);
void secondary_check(struct master *m); /* once a second */

/* The table alone, for tests: what is kept comes back. */
bool secondary_read(struct secondary *x, struct span bytes); /* false: it is no msgpack */

#endif
