/* A playlist of the archive: read from all storages, planned, written, answered. Which one a URL means is
 * archive_forms.c's. Tests: tests/unit/httpd/test_archive.c, test_archive_forms.c. */
#ifndef HTTPD_ARCHIVE_LIST_H
#define HTTPD_ARCHIVE_LIST_H

#include "httpd/archive_plan.h"
#include "httpd/http.h"

#define LIST_URI_MAX    128
#define LIST_STOPPED_US (300 * US_PER_S) /* nothing recorded for so long: a playlist that grew ends */

struct list_want {
    enum plan_kind kind;
    bool master, gaps, from_start;
    usec_t from_us;         /* SLIDING: where it is counted from */
    usec_t to_us;           /* VOD: its end; SLIDING: the edge */
    usec_t window_us;       /* SLIDING */
    char uri[LIST_URI_MAX]; /* master: of the media playlist */
};
void archive_list(struct http *h, const struct list_want *want);

#endif
