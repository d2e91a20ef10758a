/* Rows for a script, as an answer of the master has them (master_ask.h): msgpack maps in pages of
 * CTL_ROWS_MAX. They stay below MASTER_ROWS_MAX, with room for numbers that say what is not in them. Tests:
 * tests/unit/httpd/test_row_pages.c. */
#ifndef HTTPD_ROW_PAGES_H
#define HTTPD_ROW_PAGES_H

#include "common/ipc/pack.h"
#include "httpd/master_ask.h"

#define ROW_PAGES_MOST (MASTER_ROWS_MAX - (64u << 10)) /* bytes of all rows but numbers */

struct row_pages {
    struct master_answer answer;
    struct buf page; /* n rows of it */
    uint32_t n;
    size_t cap; /* of answer.ends */
};
void row_pages_init(struct row_pages *p);
void row_pages_done(struct row_pages *p); /* what the receiver took apart */
/* One map. false: there is no room for it. */
bool row_pages_put(struct row_pages *p, struct span row);
void row_pages_number(struct row_pages *p, const char *key, uint64_t v); /* a map of this alone */
void row_pages_end(struct row_pages *p);                                 /* all are in the answer */
/* And those of another, ended. false: there is no room for all of them. */
bool row_pages_join(struct row_pages *p, const struct row_pages *other);

#endif
