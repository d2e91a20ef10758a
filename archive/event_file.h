/* All events a second time, beside the index: <storage>/.events/YYYY-MM-DD, by the day (UTC) that an event
 * begins on. What protects footage is to outlive an index that was damaged or taken away, and stands nowhere
 * else.
 *
 * Records one behind the other: NUL "MSE", length of the body, CRC-32C of that length and the body, then,
 * big-endian, id, start, end, before, after (8 bytes each), uid, kind, source and payload as length (2 bytes)
 * and text. No text holds a NUL, so that nobody's payload can be taken for a record. What does not hold its
 * checksum is skipped, up to the next record that does. An event has one record for each time that it was
 * put; the one with the later end counts (index_events_restore). Appended durably; a day is written anew,
 * under its name at once, when half of it is not needed any more. "complete" stands there once what an index
 * had from before there were copies is among them. Tests: tests/unit/archive/test_event_file.c,
 * tests/fuzz/fuzz_event_file.c. */
#ifndef ARCHIVE_EVENT_FILE_H
#define ARCHIVE_EVENT_FILE_H

#include "common/ipc/event.h"

#define EVENT_FILE_FOLDER ".events"
#define EVENT_FILE_DAY    16           /* bytes of a day's name, with its NUL */
#define EVENT_FILE_MOST   (1ull << 30) /* bytes of a day: -EFBIG behind it */
#define EVENT_RECORD_MAX  (64 + EVENT_UID_MAX + EVENT_KIND_MAX + EVENT_SOURCE_MAX + EVENT_PAYLOAD_MAX)

/* Durably, before it returns. 0 or -errno. */
int event_file_add(int storage_fd, const struct event *list, size_t n);
/* Has somebody said that all events of the index are here, and said it for good? */
bool event_file_complete(int storage_fd);
int event_file_set_complete(int storage_fd); /* 0 or -errno */

/* Days that there are, in order; *ret is the caller's (mem_free). 0, also without a folder; -errno. */
int event_file_days(int storage_fd, char (**ret)[EVENT_FILE_DAY], size_t *ret_n);
/* The name of the day that this lies in. */
void event_file_day(usec_t wall_us, char dst[EVENT_FILE_DAY]);

/* All records of all days, in order. */
struct event_reader {
    int dir_fd, fd;
    char (*days)[EVENT_FILE_DAY];
    size_t n_days, day;
    uint8_t *mem;
    size_t n, at;
    bool end; /* of the day's file */
    int err;  /* the first, -errno: a day that could not be read to its end */
};
/* day NULL: all of them. 0 or -errno. */
int event_reader_open(int storage_fd, const char *day, struct event_reader *ret);
bool event_reader_next(struct event_reader *r, struct event *ret);
void event_reader_close(struct event_reader *r); /* a zeroed one too */

/* Leaves out what `keep` does not want, and what stands there twice, where that is half of the day or more. A
 * day without any goes. 0 or -errno. */
int event_file_compact(
    int storage_fd, const char *day, bool (*keep)(void *arg, const struct event *e), void *arg);

/* --- records: of memory only --- */
/* false: it does not fit. */
struct wr;
bool event_record_write(struct wr *w, const struct event *e);
/* The next record at or behind *at, which moves behind it. false: none; a record that is not whole may stand
 * at *at, unless this is the end. */
bool event_record_next(struct span s, size_t *at, bool end, struct event *ret);

#endif
