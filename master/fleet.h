/* The streams: one worker each, its ring, its state. What others are told of a stream stands in tell.h. */
#ifndef MASTER_FLEET_H
#define MASTER_FLEET_H

#include "common/conf/conf.h"
#include "master/events.h"
#include "master/lines.h"
#include "master/past.h"
#include "master/proc.h"
#include "master/record.h"
#include "master/stream_ring.h"
#include "master/usage.h"

struct master;

struct stream {
    struct master *m;
    struct proc proc;
    const struct conf_stream *conf; /* of the configuration that holds */
    char uid[CONF_UID_MAX + 1];
    struct stream_ring ring;
    struct lines lines;
    struct stream_events events;
    struct record_order order;
    struct cluster_stream *cluster; /* NULL: there is none */
    enum stream_state state;
    char reason[RING_REASON_MAX];
    usec_t since_us; /* wall clock */
    bool decided;    /* by the master, not by the worker: httpd is told */
    bool probe;      /* a camera that is tried: no list has it, and nobody else is told of it */
    bool gone;       /* not configured any more: freed when its worker is off */
    uint64_t frames_at_birth;
    usec_t born_wall_us;
    struct usage usage; /* of its worker usage_pid, as last looked at, at usage_us */
    usec_t usage_us;
    double usage_share; /* of one processor, between the last two looks */
    pid_t usage_pid;
    struct past *past;    /* NULL: its workers have told nothing yet */
    uint32_t told_record; /* hooks.c: what was said last */
    uint64_t told_reconnects;
};
struct fleet {
    struct map by_uid;        /* to struct stream */
    size_t usage_at;          /* metrics.c: where its round is */
    usec_t cpu_us, system_us; /* the same: of all workers so far */
    size_t alive;             /* streams whose process is not off, those that are gone too */
};

void fleet_init(struct master *m);
void fleet_done(struct master *m);
void fleet_start(struct master *m); /* all that are configured */
void fleet_stop(struct master *m);
void fleet_kill(struct master *m);
void fleet_check(struct master *m, usec_t now_us);
/* Once a second: schedules, events. */
void fleet_windows(struct master *m);
/* Its worker starts or stops, as configuration and cluster say. */
void fleet_follow(struct stream *s);
struct stream *fleet_stream(const struct master *m, struct span uid);

/* A service has shaken hands: what it has to know of all streams. */
void fleet_tell_connector(struct master *m);
void fleet_tell_keeper(struct master *m);
void fleet_tell_keeping(struct master *m); /* how their footage is kept, to the keeper */
void fleet_tell_httpd(struct master *m);
void fleet_httpd_gone(struct master *m);

/* A worker for settings that the caller keeps until fleet_probe_end; the stream is freed when that is off. */
struct stream *fleet_probe(struct master *m, const struct conf_stream *conf);
void fleet_probe_end(struct stream *s);

/* A reload. The streams know their new configuration already; was: the one before. */
void fleet_add(struct master *m, const struct conf_stream *conf);
void fleet_remove(struct master *m, struct span uid);
void fleet_change(struct stream *s, const struct conf_stream *was, enum conf_change change);

/* What the recorder does: "on", "paused", ...; "stopped" when nothing runs that could. */
const char *stream_record_word(const struct stream *s);
/* Why it does not record though it should; "" when it does. word: of stream_record_word. dst: where a text of
 * its own is put. */
#define STREAM_WHY_MAX 256 /* a storage's name may be a path of 200 bytes */
const char *stream_record_reason(const struct stream *s, const char *word, char dst[static STREAM_WHY_MAX]);

#endif
