/* The copies of events (event_file.h), in a storage's thread: written before an event is in the index, read
 * when the index is built anew or one of its records is damaged, a day now and then without what is not
 * needed any more. Nothing is deleted while they are read. Tests: tests/unit/archive/test_work.c. */
#ifndef ARCHIVE_WORK_COPIES_H
#define ARCHIVE_WORK_COPIES_H

#include "archive/event_file.h"
#include "common/base/log.h"

struct work;
struct work_copies {
    bool restoring;
    bool copying; /* all events of the index, as they are walked over */
    int copy_err; /* of that */
    struct event_reader reader;
    struct event *page;
    uint64_t restored;
    char day[EVENT_FILE_DAY]; /* that was compacted last */
    usec_t compact_us;
    struct log_rate failed;
};

/* The index has just been opened; the storage is going to be closed. */
void work_copies_opened(struct work *w);
void work_copies_closed(struct work *w);
/* All of them are to be put into the index, unless that is going on. */
void work_copies_restore(struct work *w);
/* Some more of them to the index; true: there is more. */
bool work_copies_step(struct work *w);
bool work_copies_restoring(const struct work *w);
void work_copies_tick(struct work *w, usec_t now_us);

/* false: they are not to be put into the index either, but said again. */
bool work_copies_add(struct work *w, const struct event *list, size_t n);
/* A walk over all events of the index begins; what it sees; and its end. */
void work_copies_walk(struct work *w);
void work_copies_seen(struct work *w, const struct event *list, size_t n);
void work_copies_walked(struct work *w, int err);

#endif
