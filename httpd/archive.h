/* What the roads of the archive have in common: what a viewer asks for, the open segment that only the ring
 * knows, and jobs that ask all storages of a stream. Tests: tests/unit/httpd/test_archive.c,
 * tests/e2e/test_archive_hls.py. */
#ifndef HTTPD_ARCHIVE_H
#define HTTPD_ARCHIVE_H

#include "archive/reader.h"
#include "httpd/answer.h"
#include "httpd/records.h"
#include "httpd/storages.h"

#define ARCHIVE_SPAN_MOST_US  (7 * 86400 * US_PER_S) /* one playlist */
#define ARCHIVE_SPAN_USUAL_US (3600 * US_PER_S)      /* where no duration is given */
#define ARCHIVE_TIME_MOST_S   99999999999ull
#define ARCHIVE_LATE_US       (10 * US_PER_S) /* a disk that has not answered by then: 503 */
#define ARCHIVE_PATIENCE_US   (2 * US_PER_S)  /* by then: the others answer without it */
#define ARCHIVE_EXTRA_MAX     64
#define ARCHIVE_STORAGES_MAX  32 /* of a stream, and other nodes: those behind are not asked */
#define ARCHIVE_PAGE          32 /* segments read from an index at once */

/* The segment that is being written, as the ring publishes it. id 0: none. */
struct open_segment {
    uint64_t id, bytes;
    usec_t start_us, end_us;
    char path[SEG_PATH_MAX], storage[STORAGE_NAME_MAX];
};
void archive_open_segment(const struct stream *s, struct open_segment *ret);

struct archive_job;
/* What one storage has to say, read in its pool. What is found lies with the job's owner, by n; nobody else
 * touches that before the visit is over. */
struct archive_visit {
    struct job job;
    struct archive_job *j;
    struct storage *st;
    uint8_t n;                  /* which of the job's */
    bool damaged;               /* the index left out what it cannot read */
    bool stale;                 /* a node that does not answer: what it has said before */
    bool writes;                /* it is being recorded there, as far as was listed */
    bool unlikely;              /* a node that is not named for the stream: asked, and not missed */
    bool wrote;                 /* this one also wrote the answer */
    usec_t before_us, after_us; /* archive_nearest: footage around an empty span; 0: none */
    int err;
    _Atomic bool over;
};
typedef int (*archive_read)(struct archive_visit *v);

/* A request that reads the archive: all storages of the stream are asked at once; when all have answered, or
 * after ARCHIVE_PATIENCE_US with those that have, finish writes the answer (in a pool) and answer sends it
 * (in the hub). A storage whose read gave an error, or that is not over in time, is missing in it. */
struct archive_job {
    struct http *h; /* NULL: answered, or the connection has gone */
    struct archive_visit v[ARCHIVE_STORAGES_MAX];
    size_t n;
    size_t out;     /* the hub's: jobs in pools */
    bool impatient; /* the hub's: the next that has something is enough */
    _Atomic unsigned left;
    _Atomic bool taken;
    struct job writing;
    uint32_t used;                /* for finish and answer: the visits in it, a bit each */
    unsigned missing;             /* and how many are not */
    unsigned stale;               /* and how many are as they were before */
    const struct storage *holder; /* finish: another node's, where all that was asked for lies there; NULL */
    bool damaged;
    char uid[RING_UID_MAX + 1];
    struct open_segment open;
    usec_t from_us, to_us, now_us;
    archive_read read;
    void (*finish)(struct archive_job *j); /* in a pool */
    void (*answer)(struct archive_job *j); /* in the hub; j->h is there */
    void (*free)(struct archive_job *j);   /* what the job's owner put into it */
};
/* Answers 503 itself where nothing can be asked. Takes j (allocated by mem_new, freed by mem_free). */
void archive_start(struct http *h, struct archive_job *j);
/* Leaves the job behind: the connection goes, or was answered. */
void archive_forget(struct http *h);
/* In a pool: the text with its tag, and its gzip form where the viewer takes one. */
void archive_body(struct body *b, struct span text, bool pack);
/* 200 with that body; says where storages are missing in it, and that no cache may keep it then. */
void archive_answer(struct archive_job *j, const char *type, struct body *b);
/* In the pool, once its segments were listed: the one that is written in the visit's storage; id 0: none. Of
 * another node's only its file says how much of it there is: bytes is INT64_MAX. */
struct open_segment archive_open_of(const struct archive_visit *v, const struct records *r);
/* Closes the records, and notes what they are worth. Returns err. */
int archive_read_end(struct archive_visit *v, struct records *r, int err);
/* In the pool: nothing is in the job's span; where the next footage is. */
void archive_nearest(struct archive_visit *v, struct records *r);
/* Whole seconds inside footage, as the visits have found it; 0: nowhere. */
int64_t archive_nearest_s(const struct archive_job *j);
/* 404 with the nearest moment, or 503 where it may lie in what could not be read. */
void archive_answer_nothing(struct archive_job *j);
/* INDEX_E_DAMAGED is lived with: what the index has left out is a gap. */
int archive_index_err(struct archive_visit *v, int err);

/* In a pool thread: the segments between the newest of the index and the open one. They are closed, and the
 * keeper is about to put them in (after its next syncfs); until then only their files know of them. fn gets
 * each, in no order. */
void archive_fresh(struct archive_visit *v, const struct records *r,
    void (*fn)(struct archive_visit *v, const struct seg_info *info));

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
