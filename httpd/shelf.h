/* What another node has said of its archive a moment ago. An answer counts for SHELF_FRESH_US, so that many
 * viewers of the same footage cost one question; behind that it is kept for the time in which the node does
 * not answer, and is then said to be old. A node that did not answer is asked again after SHELF_SILENT_US.
 * One shelf a node, capped in bytes; what was asked for longest ago goes first. In pool threads; a lock is
 * held for a look into memory only. Tests: tests/unit/httpd/test_archive_away.c. */
#ifndef HTTPD_SHELF_H
#define HTTPD_SHELF_H

#include "httpd/away.h"

#define SHELF_BYTES_MAX (8u << 20)
#define SHELF_FRESH_US  (2 * US_PER_S)
#define SHELF_SILENT_US US_PER_S
#define SHELF_GRID_US   (5 * US_PER_S) /* times asked for are widened to these, so that questions are alike */

struct shelf;
struct shelf *shelf_new(struct away *a, uint16_t node, size_t bytes_max);
void shelf_free(struct shelf *s); /* nobody uses it; NULL too */

/* As away_find and away_ranges; node is the shelf's. *ret_stale: the node does not answer, it has said this
 * before; or a storage of it cannot be read, so that it is not all. What comes may reach over what was asked.
 * The caller gives the reference back. */
int shelf_find(struct shelf *s, const struct away_ask *q, struct away_list **ret, bool *ret_stale);
int shelf_ranges(struct shelf *s, const struct away_ask *q, struct away_spans **ret, bool *ret_stale);
/* As away_marks; a node that was silent a moment ago is not waited for. */
int shelf_marks(struct shelf *s, const struct away_ask *q, struct away_marks **ret);
size_t shelf_bytes(struct shelf *s);

#endif
