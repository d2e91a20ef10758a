/* The master's word: the ring, the stream's settings, sockets to connector and keeper. */
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/ipc/event.h"
#include "worker/worker_impl.h"

#include <errno.h>

/* --- the ring --- */

static void on_demand_changed(struct loop_io *io, unsigned events)
{
    struct worker *w = io->arg;
    uint64_t count;

    (void)events;
    if (read(io->fd, &count, sizeof(count)) < 0 && errno != EAGAIN) loop_io_stop(io);
    worker_later(w);
}

static void set_done(struct ring_set *s)
{
    loop_io_stop(&s->demand_io);
    demand_unmap(s->demand);
    fd_close(&s->fd);
    fd_close(&s->frames_fd);
    fd_close(&s->demand_fd);
}

/* The ring, and what lies beside it. 0, or negative: the master sent nonsense. */
static int set_open(struct incoming *in, struct ring_set *ret)
{
    struct ring_set s = {
        .gen = (uint32_t)packed_u64(in->body, "gen", 0), .fd = -1, .frames_fd = -1, .demand_fd = -1};
    int err;

    if (in->n_fds != 4) return -EPROTO;
    err = demand_map(in->fds[1], false, &s.demand);
    if (err != 0) return err < 0 ? err : -EPROTO;
    s.fd = in->fds[0];
    s.frames_fd = in->fds[2];
    s.demand_fd = in->fds[3];
    in->fds[0] = in->fds[2] = in->fds[3] = -1;
    (void)fd_nonblock(s.frames_fd);
    (void)fd_nonblock(s.demand_fd);
    *ret = s;
    return 0;
}

static void ring_moved(struct worker *w)
{
    struct packer *p = channel_begin(child_control(w->child), MSG_RING_MOVED, 1);

    pack_kv_u64(p, "gen", w->set.gen);
    channel_end(child_control(w->child), NULL, 0);
}

/* Once both the settings and the ring are there, and when one of them is new. */
static void take_settings(struct worker *w)
{
    if (!w->ring || !w->configured || w->stopping) return;
    ring_writer_settings(w->ring, w->settings.hash);
    w->policy.all = w->settings.mode == RECORD_CONTINUOUS;
    recorder_policy(w->recorder, &w->policy);
    recorder_set(w->recorder, w->settings.record, w->settings.chunk_us);
    if (w->settings.record)
        klink_ask(&w->keeper);
    else
        w->storage[0] = '\0';
    if (w->settings.on_demand && session_is_off(w->session) && w->state.now == STREAM_CONNECTING)
        worker_state(w, STREAM_IDLE, "nobody watches");
    worker_later(w);
}

static int on_ring(struct worker *w, struct incoming *in)
{
    struct ring_set set;
    struct ring_writer *ring;
    bool first = w->ring == NULL;
    int err = set_open(in, &set);

    if (err < 0) return err;
    err = ring_writer_open(set.fd, &ring);
    if (err != 0) {
        set_done(&set);
        log_error("ring", "err=%d", err);
        return -EPROTO;
    }
    recorder_ring(w->recorder, w->ring, ring);
    ingest_ring(w->ingest, ring);
    w->ring = ring;
    w->status = ring_writer_status(ring);
    if (!first) set_done(&w->set);
    w->set = set;
    loop_io_start(w->loop, &w->set.demand_io, w->set.demand_fd, LOOP_READ, on_demand_changed, w);
    log_info("ring", "gen=%u bytes=%u frames=%u", set.gen, ring_writer_geom(ring).data_bytes,
        ring_writer_geom(ring).frames);
    if (!first) {
        ring_writer_settings(ring, w->settings.hash);
        ring_moved(w);
    } else {
        worker_show_state(w);
        worker_beat(w, clock_mono_us());
        take_settings(w);
    }
    return 0;
}

/* --- settings and partners --- */

static void give_connector(struct worker *w)
{
    if (!w->session || w->connector_fd < 0) return;
    session_connector(w->session, w->connector_fd);
    w->connector_fd = -1;
}

static void make_session(struct worker *w)
{
    struct session_ops ops = worker_session_ops;
    const char *why = "";

    ops.arg = w;
    w->session = session_new(w->loop, &w->settings, w->ingest, &ops, &why);
    if (w->session) {
        give_connector(w);
        return;
    }
    log_error("settings", "url=refused why=%s", log_q(span_of(why)));
    worker_state(w, STREAM_INVALID, why);
    child_exit(w->child, CHILD_EXIT_CONFIG);
}

static int on_stream(struct worker *w, struct incoming *in)
{
    struct settings s;
    const char *why = "";

    if (!settings_read(in->body, &s, &why)) {
        log_error("settings", "why=%s", log_q(span_of(why)));
        child_exit(w->child, CHILD_EXIT_CONFIG);
    }
    if (w->configured && !settings_same_source(&w->settings, &s)) {
        settings_done(&s);
        return -EPROTO;
    }
    if (w->configured) log_info("settings", "hash=%016llx", (unsigned long long)s.hash);
    if (w->settings.mode != s.mode) w->policy.n = 0; /* what still holds is told again */
    settings_done(&w->settings);
    w->settings = s;
    ingest_invalid_after(w->ingest, s.invalid_after);
    ingest_keep(w->ingest, s.tracks);
    if (w->configured)
        session_settings(w->session);
    else
        make_session(w);
    w->configured = true;
    take_settings(w);
    return 0;
}

static int on_connector(struct worker *w, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    fd_close(&w->connector_fd);
    w->connector_fd = in->fds[0];
    in->fds[0] = -1;
    give_connector(w);
    worker_later(w);
    return 0;
}

static int on_keeper_sock(struct worker *w, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    klink_keeper(&w->keeper, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

static int on_camera_free(struct worker *w, struct incoming *in)
{
    (void)in;
    if (w->session) session_camera_free(w->session);
    worker_later(w);
    return 0;
}

/* --- who pushes by a token --- */

static int on_push_may(struct worker *w, struct incoming *in)
{
    if (w->session)
        session_push_said(w->session, packed_u64(in->body, "id", 0),
            (unsigned)MIN(packed_u64(in->body, "status", 503), 999));
    worker_later(w);
    return 0;
}

static int on_push_ask(struct worker *w, struct incoming *in)
{
    (void)in;
    if (w->session) session_push_again(w->session);
    return 0;
}

/* --- what is recorded --- */

static int on_event(struct worker *w, struct incoming *in)
{
    struct event e;

    if (!event_read(in->body, &e)) return -EPROTO;
    rec_policy_event(&w->policy, e.id, e.start_us - e.before_us, e.end_us ? e.end_us + e.after_us : REC_OPEN,
        clock_wall_us());
    recorder_policy(w->recorder, &w->policy);
    worker_later(w);
    return 0;
}

static int on_record(struct worker *w, struct incoming *in)
{
    usec_t until_us = packed_i64(in->body, "until_us", 0);

    rec_policy_order(
        &w->policy, packed_i64(in->body, "from_us", 0), until_us < 0 ? REC_OPEN : until_us, clock_wall_us());
    recorder_policy(w->recorder, &w->policy);
    worker_later(w);
    return 0;
}

int worker_on_message(struct child *c, struct incoming *in)
{
    static const struct {
        enum message type;
        int (*fn)(struct worker *w, struct incoming *in);
    } handlers[] = {
        {MSG_STREAM, on_stream},
        {MSG_RING, on_ring},
        {MSG_CONNECTOR_SOCK, on_connector},
        {MSG_KEEPER_SOCK, on_keeper_sock},
        {MSG_CAMERA_FREE, on_camera_free},
        {MSG_EVENT, on_event},
        {MSG_RECORD, on_record},
        {MSG_PUSH_MAY, on_push_may},
        {MSG_PUSH_ASK, on_push_ask},
    };

    for (size_t i = 0; i < ARRAY_N(handlers); i++)
        if (handlers[i].type == in->type) return handlers[i].fn(child_arg(c), in);
    return 0;
}
