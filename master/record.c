#include "master/record.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/master.h"
#include "master/tell.h"

#include <errno.h>

#define FILE_NAME                                                                                            \
    "record" /* in state-dir: "<uid> <from_us> <until_us>" a line, and "!<uid> 0 <until_us>" of a pause,     \
                with '~' of one of live viewing */
#define FILE_MAX    (4u << 20)
#define PAUSE_MARK  '!' /* no uid has these */
#define UNSEEN_MARK '~'
/* A window's successor is told so long behind it: its last frames are still to be written. */
#define BEHIND_US (5 * US_PER_S)
/* A clock that was set is noticed after so long. */
#define LOOK_US (60 * US_PER_S)

/* --- state-dir --- */

static bool parse_line(struct record *r, struct span line)
{
    struct span uid, from;
    int64_t from_us, until_us;
    uint8_t mark;

    if (!span_split(&line, ' ', &uid) || !span_split(&line, ' ', &from) || !span_i64(from, &from_us) ||
        !span_i64(line, &until_us))
        return false;
    mark = uid.n > 0 ? uid.p[0] : 0;
    if (mark == PAUSE_MARK || mark == UNSEEN_MARK) uid = span_from(uid, 1);
    if (conf_uid_refused(uid)) return false;
    if (mark == PAUSE_MARK || mark == UNSEEN_MARK) {
        struct map *to = mark == PAUSE_MARK ? &r->paused : &r->unseen;

        mem_free(map_set(to, uid, mem_dup(&until_us, sizeof(until_us))));
    } else {
        struct record_order *o = NEW(struct record_order);

        *o = (struct record_order){.from_us = from_us, .until_us = until_us, .kept = true};
        mem_free(map_set(&r->was, uid, o));
    }
    return true;
}

static int parse(struct record *r, struct span text)
{
    struct span line;
    int err = 0;

    while (span_split(&text, '\n', &line))
        if (line.n > 0 && !parse_line(r, line)) err = -EBADMSG; /* the others are read */
    return err;
}

int record_open(struct record *r, int state_dir)
{
    uint8_t *p;
    size_t n;
    int err;

    *r = (struct record){.file = state_file_new(state_dir, FILE_NAME)};
    if (!r->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    err = parse(r, span(p, n));
    mem_free(p);
    return err;
}

void record_close(struct record *r)
{
    state_file_free(r->file);
    r->file = NULL;
    map_drop(&r->was, mem_free);
    map_drop(&r->paused, mem_free);
    map_drop(&r->unseen, mem_free);
}

static void save(struct master *m)
{
    struct map_slot slot;
    size_t at = 0;
    struct buf b;

    buf_init(&b, FILE_MAX);
    while (map_next(&m->fleet.by_uid, &at, &slot)) {
        const struct record_order *o = &((struct stream *)slot.value)->order;

        if (o->kept && o->until_us != 0)
            buf_fmt(&b, "%s %lld %lld\n", slot.key, (long long)o->from_us, (long long)o->until_us);
        if (o->pause_us != 0) buf_fmt(&b, "%c%s 0 %lld\n", PAUSE_MARK, slot.key, (long long)o->pause_us);
        if (o->unseen_us != 0) buf_fmt(&b, "%c%s 0 %lld\n", UNSEEN_MARK, slot.key, (long long)o->unseen_us);
    }
    state_file_write(m->record.file, buf_span(&b));
    buf_done(&b);
}

void record_said(struct master *m)
{
    int err = state_file_failed(m->record.file);

    if (err < 0) log_error("state-dir-write", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
}

/* --- orders --- */

void record_tell(struct stream *s)
{
    struct packer *p;

    if (!proc_runs(&s->proc) || !s->conf ||
        (s->conf->dvr_mode != CONF_DVR_SCHEDULE && s->conf->dvr_mode != CONF_DVR_ONDEMAND))
        return;
    p = channel_begin(s->proc.ch, MSG_RECORD, 2);
    pack_kv_i64(p, "from_us", s->order.from_us);
    pack_kv_i64(p, "until_us", s->order.until_us);
    channel_end(s->proc.ch, NULL, 0);
}

static void order(struct stream *s, usec_t from_us, usec_t until_us)
{
    if (s->order.from_us == from_us && s->order.until_us == until_us) return;
    s->order.from_us = from_us;
    s->order.until_us = until_us;
    record_tell(s);
}

static void look_at_schedule(struct stream *s, usec_t wall_us)
{
    int64_t from_s, to_s;

    s->order.looked_us = wall_us;
    if (schedule_at(&s->conf->dvr_schedule, wall_us / US_PER_S, &from_s, &to_s))
        order(s, from_s * US_PER_S, to_s * US_PER_S);
    else
        order(s, 0, 0);
}

/* What is under way, or was until just now, stays as it is. */
static bool settled(const struct record_order *o, usec_t wall_us)
{
    usec_t since_us = wall_us - o->looked_us;

    if (since_us < 0) return false;
    if (o->until_us != 0 && wall_us >= o->from_us) return wall_us < o->until_us + BEHIND_US;
    return since_us < LOOK_US;
}

/* --- pauses --- */

bool record_is_paused(const struct stream *s, usec_t wall_us)
{
    return s->order.pause_us < 0 || s->order.pause_us > wall_us;
}

void record_pause(struct stream *s, usec_t until_us)
{
    if (s->order.pause_us == until_us) return;
    s->order.pause_us = until_us;
    log_event_of(LOG_NOTE, s->uid, "record-pause", "on=%d until_s=%lld", until_us != 0,
        (long long)(until_us > 0 ? until_us / US_PER_S : until_us));
    if (proc_runs(&s->proc)) tell_settings(s);
    save(s->m);
}

bool record_is_unseen(const struct stream *s, usec_t wall_us)
{
    return s->order.unseen_us < 0 || s->order.unseen_us > wall_us;
}

void record_unseen(struct stream *s, usec_t until_us)
{
    if (s->order.unseen_us == until_us) return;
    s->order.unseen_us = until_us;
    log_event_of(LOG_NOTE, s->uid, "broadcast", "on=%d until_s=%lld", until_us == 0,
        (long long)(until_us > 0 ? until_us / US_PER_S : until_us));
    tell_view(s);
    save(s->m);
}

static void take_hold(struct map *from, struct span uid, usec_t *to)
{
    usec_t *was = map_remove(from, uid);

    if (was) *to = *was;
    mem_free(was);
}

void record_check(struct stream *s, usec_t wall_us)
{
    if (s->order.pause_us > 0 && !record_is_paused(s, wall_us)) record_pause(s, 0);
    if (s->order.unseen_us > 0 && !record_is_unseen(s, wall_us)) record_unseen(s, 0);
    if (s->conf->dvr_mode == CONF_DVR_SCHEDULE && !settled(&s->order, wall_us)) look_at_schedule(s, wall_us);
}

void record_follow(struct stream *s)
{
    struct record_order *was = map_get(&s->m->record.was, span_of(s->uid));
    usec_t pause_us, unseen_us;

    take_hold(&s->m->record.paused, span_of(s->uid), &s->order.pause_us);
    take_hold(&s->m->record.unseen, span_of(s->uid), &s->order.unseen_us);
    pause_us = s->order.pause_us;
    unseen_us = s->order.unseen_us;
    if (s->conf->dvr_mode == CONF_DVR_SCHEDULE) {
        s->order.kept = false;
        look_at_schedule(s, clock_wall_us());
        return;
    }
    if (s->conf->dvr_mode == CONF_DVR_ONDEMAND && was) s->order = *was;
    if (was) mem_free(map_remove(&s->m->record.was, span_of(s->uid)));
    if (s->conf->dvr_mode != CONF_DVR_ONDEMAND || s->order.looked_us != 0)
        s->order = (struct record_order){0};
    s->order.pause_us = pause_us;
    s->order.unseen_us = unseen_us;
}

void record_set(struct stream *s, usec_t until_us, bool keep)
{
    usec_t now_us = clock_wall_us();
    bool goes_on = s->order.until_us < 0 || s->order.until_us > now_us, kept = s->order.kept;

    s->order.kept = keep && until_us != 0;
    order(s, until_us == 0 ? 0 : goes_on ? s->order.from_us : now_us, until_us);
    log_event_of(LOG_NOTE, s->uid, "record", "on=%d until_s=%lld", until_us != 0,
        (long long)(until_us > 0 ? until_us / US_PER_S : until_us));
    if (kept || s->order.kept) save(s->m);
}
