/* What the roads of the archive have in common: what a viewer asks for, the open segment that only the ring
 * knows, and jobs that go from storage to storage of a stream. Tests: tests/unit/httpd/test_archive_plan.c,
 * tests/e2e/test_http_archive.py. */
#ifndef HTTPD_ARCHIVE_H
#define HTTPD_ARCHIVE_H

#include "archive/reader.h"
#include "httpd/answer.h"
#include "httpd/storages.h"

#define ARCHIVE_SPAN_MOST_US  (7 * 86400 * US_PER_S) /* one playlist */
#define ARCHIVE_SPAN_USUAL_US (3600 * US_PER_S)      /* where no duration is given */
#define ARCHIVE_TIME_MOST_S   99999999999ull
#define ARCHIVE_LATE_US       (10 * US_PER_S) /* a disk that has not answered by then: 503 */
#define ARCHIVE_STORAGES_MAX  8
#define ARCHIVE_PAGE          32 /* segments read from an index at once */

/* The segment that is being written, as the ring publishes it. id 0: none. */
struct open_segment {
    uint64_t id, bytes;
    usec_t start_us, end_us;
    char path[SEG_PATH_MAX], storage[STORAGE_NAME_MAX];
};
void archive_open_segment(const struct stream *s, struct open_segment *ret);

struct archive_job;
/* One visit of a storage, in its pool. A negative or positive return is logged, and that storage is left out.
 */
typedef int (*archive_visit)(struct archive_job *j, struct storage *st);

/* A request that reads the archive: visits every storage of the stream, one after the other, then finishes
 * (in the last one's pool), and answers in the hub. */
struct archive_job {
    struct job job;
    struct http *h; /* NULL: the connection has gone */
    struct storage *storages[ARCHIVE_STORAGES_MAX];
    size_t n_storages, at;
    unsigned failed; /* storages that could not be read */
    char uid[RING_UID_MAX + 1];
    struct open_segment open;
    usec_t from_us, to_us, now_us;
    archive_visit visit;
    void (*finish)(struct archive_job *j); /* in the pool; may be NULL */
    void (*answer)(struct archive_job *j); /* in the hub; j->h is there */
    void (*free)(struct archive_job *j);   /* what the job's owner put into it */
};
/* Answers 503 itself where nothing can be asked. Takes j (allocated by mem_new, freed by mem_free). */
void archive_start(struct http *h, struct archive_job *j);
/* Leaves the job behind: the connection goes, or was answered. */
void archive_forget(struct http *h);

/* In a pool thread: the segments between the newest of the index and the open one. They are closed, and the
 * keeper is about to put them in (after its next syncfs); until then only their files know of them. fn gets
 * each, in no order. */
#define ARCHIVE_FRESH_MOST_US                                                                                \
    (1800 * US_PER_S) /* older than this, what is not in the index is the keeper's to find */
#define ARCHIVE_FRESH_MAX 64
void archive_fresh(struct archive_job *j, struct storage *st, struct index *ix,
    void (*fn)(struct archive_job *j, const struct seg_info *info));

/* "1700000000". */
bool archive_time(struct span s, usec_t *ret_us);
/* ISO 8601 with or without zone ("2026-11-22T17:03:20Z", "2026-11-22 17:03:20"; without: UTC), or unix
 * seconds. */
bool archive_date(struct span s, usec_t *ret_us);
/* "3600": the end of so many seconds from from_us on. */
bool archive_span(struct span s, usec_t from_us, usec_t *ret_to_us);

/* Eight hexadecimal digits that stand for a storage in URLs. */
void archive_tag(const struct storage *st, char dst[9]);

#endif
