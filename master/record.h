/* When a stream of dvr-mode = schedule or ondemand is recorded: the window of its schedule that is now or
 * comes next, or what `msctl record` has said. The worker is told of one order at a time. Those of calls are
 * kept in state-dir over restarts, unless the call said otherwise. */
#ifndef MASTER_RECORD_H
#define MASTER_RECORD_H

#include "common/base/map.h"
#include "master/state_file.h"

struct master;
struct stream;

/* Of one stream: [from_us, until_us) of wall clock; until -1: until it is taken back; 0: none. */
struct record_order {
    usec_t from_us, until_us;
    bool kept;        /* in state-dir */
    usec_t looked_us; /* at the schedule, wall clock */
    /* Whatever the mode: nothing is recorded until then; -1: until it is taken back; 0: it is not paused. */
    usec_t pause_us;
    usec_t unseen_us; /* the same: nobody watches it live */
};
struct record {
    struct state_file *file;
    struct map was;            /* uid -> struct record_order: as state-dir had them at the start */
    struct map paused, unseen; /* uid -> usec_t, the same */
};

/* 0 or -errno. */
int record_open(struct record *r, int state_dir);
void record_close(struct record *r);

/* A stream is new, or its configuration. */
void record_follow(struct stream *s);
/* RECORD to its worker, which runs. */
void record_tell(struct stream *s);
/* By call; until_us as above. */
void record_set(struct stream *s, usec_t until_us, bool keep);
/* By call, kept over restarts; until_us as above. */
void record_pause(struct stream *s, usec_t until_us);
bool record_is_paused(const struct stream *s, usec_t wall_us);
/* The same of its live viewers; recording and the archive go on. */
void record_unseen(struct stream *s, usec_t until_us);
bool record_is_unseen(const struct stream *s, usec_t wall_us);
/* Once a second. */
void record_check(struct stream *s, usec_t wall_us);
void record_said(struct master *m); /* once a second: what could not be written is logged */

#endif
