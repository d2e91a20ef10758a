/* What footage goes, and when: the decisions, without a disk, an index or a clock. Of a storage are known its
 * room and what it takes in; of a stream, how it is kept (keep.h) and how much it has.
 *
 * Three limits, each a reason to delete the oldest: a stream's footage is older than its dvr-duration; it is
 * more than its dvr-capacity; the storage comes near its floor, the space below which recording pauses. For
 * the floor the oldest goes first over all streams, also of those that are not configured any more, which
 * nothing else deletes. What a lock or an event holds is nobody's to delete. Tests:
 * tests/unit/archive/test_retention.c. */
#ifndef ARCHIVE_RETENTION_H
#define ARCHIVE_RETENTION_H

#include "archive/keep.h"

enum retention_why { RETENTION_KEPT, RETENTION_AGE, RETENTION_CAPACITY, RETENTION_FLOOR, RETENTION_REASONS };
const char *retention_word(enum retention_why why); /* "", "age", "capacity", "floor" */

/* --- a storage's room, in bytes --- */
#define RETENTION_FLOOR_LEAST (8ull << 20) /* the index and footers need some room too */
struct retention_floor {
    bool automatic; /* the larger of 2 % and what comes in an hour, at most 10 % */
    uint64_t bytes;
    unsigned percent; /* of the whole; the larger one counts */
};
struct retention_room {
    uint64_t total, free, floor;
    uint64_t rate;    /* bytes a second that are recorded here, as measured */
    uint64_t leaving; /* of files that are being removed: as good as free */
};
uint64_t retention_floor_bytes(const struct retention_floor *f, uint64_t total, uint64_t rate);
/* Below so much free space deleting begins: before the floor, so that recording need not wait for it. */
uint64_t retention_begin(const struct retention_room *r);
/* Up to so much it goes on. */
uint64_t retention_end(const struct retention_room *r);
/* How much has to go now for the floor; 0 while there is enough. */
uint64_t retention_needed(const struct retention_room *r);
/* So near to the floor that files are removed without a pause between them. */
bool retention_urgent(const struct retention_room *r);

/* --- a stream's limits --- */
/* The most that a stream may have here; UINT64_MAX: no limit. p NULL: it is not configured. */
uint64_t retention_capacity(const struct keep_policy *p, uint64_t total);
/* Its oldest segment: does its own policy let it go? has: bytes of all that it has. */
enum retention_why retention_due(
    const struct keep_policy *p, usec_t now_us, usec_t end_us, uint64_t has, uint64_t capacity);

/* --- forecast --- */
struct retention_stream {
    usec_t oldest_us; /* of its footage; 0: it has none */
    uint64_t rate;    /* bytes a second */
    usec_t duration_us;
};
struct retention_sum { /* of all streams of a storage */
    uint64_t rate;     /* all that comes in */
    uint64_t growth;   /* of those that do not delete by age yet */
    uint64_t wanted;   /* bytes when each holds its duration; UINT64_MAX: without end */
    uint64_t kept;     /* the same of those that have a duration: what is not to go before its time */
    uint64_t endless;  /* bytes a second of those that have none */
    uint64_t footage;  /* bytes */
    usec_t oldest_us;
};
void retention_sum_add(
    struct retention_sum *s, const struct retention_stream *st, uint64_t bytes, usec_t now_us);
struct retention_forecast {
    usec_t full_us;  /* when deleting for the floor begins; 0: never, as it is now */
    usec_t keeps_us; /* so long a time fits here at this rate; 0: not known */
    uint64_t
        spare; /* bytes that may come beside what comes within an hour, and nothing goes before its time */
};
struct retention_forecast retention_forecast(
    const struct retention_sum *s, const struct retention_room *r, usec_t now_us);

#endif
