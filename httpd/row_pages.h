/* Rows for a script, as an answer of the master has them (master_ask.h): msgpack maps in pages of
 * CTL_ROWS_MAX. What is more than MASTER_ROWS_MAX is left out, from the end. Tests:
 * tests/unit/httpd/test_archive_away.c. */
#ifndef HTTPD_ROW_PAGES_H
#define HTTPD_ROW_PAGES_H

#include "common/ipc/pack.h"
#include "httpd/master_ask.h"

struct row_pages {
    struct master_answer answer;
    struct buf page; /* n rows of it */
    uint32_t n;
    size_t cap; /* of answer.ends */
};
void row_pages_init(struct row_pages *p);
void row_pages_done(struct row_pages *p);                                /* what the receiver took apart */
void row_pages_put(struct row_pages *p, struct span row);                /* one map */
void row_pages_number(struct row_pages *p, const char *key, uint64_t v); /* a map of this alone */
void row_pages_end(struct row_pages *p);                                 /* all are in the answer */
void row_pages_join(struct row_pages *p, const struct row_pages *other); /* and those of another, ended */

#endif
