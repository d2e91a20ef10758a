/* What worker.c (the parts and their words), worker_orders.c (the master's) and worker_due.c (the one timer)
 * share. */
#ifndef WORKER_WORKER_IMPL_H
#define WORKER_WORKER_IMPL_H

#include "common/base/log.h"
#include "common/ipc/child.h"
#include "worker/keeper_link.h"
#include "worker/onvif_events.h"
#include "worker/rec_policy.h"
#include "worker/recorder.h"
#include "worker/session.h"
#include "worker/state.h"
#include "worker/worker.h"
#include "worker/write_log.h"

/* What the ring's message brought; the next one replaces it. */
struct ring_set {
    uint32_t gen;
    int fd, frames_fd, demand_fd;
    struct demand *demand;
    struct loop_io demand_io;
};

struct worker {
    struct loop *loop;
    struct child *child;
    struct settings settings;
    bool configured;
    struct ring_set set;
    struct ring_writer *ring; /* NULL: none yet. Owned by the recorder */
    struct ring_status *status;
    struct ingest *ingest;
    struct session *session;
    struct recorder *recorder;
    struct rec_policy policy;
    struct onvif_events *onvif; /* NULL: no metadata has come */
    struct log_rate metadata;
    usec_t document_us; /* when the document at hand came */
    struct klink keeper;
    struct write_log write_log;
    struct state state;
    struct loop_task task;
    struct loop_timer timer;
    usec_t timer_us; /* it is armed for, 0: not */
    usec_t beat_us;
    usec_t unwanted_us; /* on demand: since when nobody wants the camera, 0: somebody does */
    uint64_t want_bytes;
    usec_t want_us;
    usec_t poke_us;
    uint64_t poke_bytes;
    uint64_t signalled; /* frames that followers were told of */
    int connector_fd;   /* came before the settings, -1: none */
    char storage[48];
    bool stopping, camera_off, recorder_off, orphaned;
};

#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/* worker.c */
void worker_state(struct worker *w, enum stream_state to, const char *reason);
void worker_show_state(struct worker *w); /* in the ring's status */
extern const struct session_ops worker_session_ops;

/* worker_due.c: at the end of this turn of the loop, what is due is done. */
void worker_later(struct worker *w);
void worker_beat(struct worker *w, usec_t now_us);

/* worker_metadata.c: documents of the camera, and the end of its session */
void worker_document(void *arg, unsigned track, const struct piece *pieces, size_t n, usec_t wall_us);
void worker_metadata_over(struct worker *w);

/* worker_orders.c */
int worker_on_message(struct child *c, struct incoming *in);

#endif
