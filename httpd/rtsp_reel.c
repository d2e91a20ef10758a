#include "httpd/rtsp_reel_impl.h"
#include "archive/segproof.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SAMPLE_MAX   (16u << 20)
#define LOOK_AWAY_US US_PER_S
#define JOINED_US    (40 * US_PER_MS) /* of playing between two stretches */

struct reel *reel_new(const char *uid, struct storage *const *st, size_t n, uint32_t random)
{
    struct reel *r = NEW(struct reel);

    span_copy(span_of(uid), r->uid, sizeof(r->uid));
    for (size_t i = 0; i < n && i < ARCHIVE_STORAGES_MAX; i++) {
        r->st[r->n_st++] = st[i];
        r->joint |= st[i]->node != 0;
    }
    r->random = random;
    r->fd = -1;
    return r;
}

static void close_segment(struct reel *r)
{
    seg_table_free(r->t);
    mem_free(r->order);
    r->t = NULL;
    r->order = NULL;
    r->n_order = 0;
    fd_close(&r->fd);
    r->placed = r->next_known = r->cut = false;
}

void reel_free(struct reel *r)
{
    if (!r) return;
    close_segment(r);
    for (size_t i = 0; i < r->n_st; i++) storage_unref(r->st[i]);
    mem_free(r);
}

void reel_seek(struct reel *r, const struct reel_way *way)
{
    close_segment(r);
    r->at = r->before = (struct found){0};
    r->way = *way;
    r->begun = false;
    r->joined = true;
    reel_search(r);
}

void reel_note_open(struct reel *r, const struct open_segment *open)
{
    r->open = *open;
    r->now_us = clock_wall_us();
}

struct storage *reel_storage(const struct reel *r)
{
    return r->st[r->searching ? r->ask : r->at.st];
}

const struct pay *reel_pays(const struct reel *r)
{
    return r->pay;
}

uint32_t reel_ts(const struct pay *p, usec_t play_us)
{
    return p->ts_base + (uint32_t)scale_i64(play_us, p->hz, 1000000);
}

bool reel_ready(const struct reel *r)
{
    return r->t && r->placed && r->i < r->t->n;
}

/* --- the segment at hand --- */

/* The form of a track that was described stays; its parameter sets go with the pictures. */
static void take_tracks(struct reel *r)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        const struct track *t = i < r->t->tracks.n ? &r->t->tracks.t[i] : NULL;

        if (t && r->pay[i].form && r->pay[i].track.codec == t->codec &&
            r->pay[i].track.clock_hz == t->clock_hz)
            r->pay[i].track = *t;
        else if (t && !r->has_pays)
            pay_init(&r->pay[i], t, i, r->random);
    }
    r->has_pays = true;
}

struct sorted {
    usec_t wall_us;
    uint32_t i;
};

static int by_time(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    if (x->wall_us != y->wall_us) return x->wall_us < y->wall_us ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

/* What the table has got since: behind what may have been sent. false: memory is out. */
static bool put_in_order(struct reel *r)
{
    size_t n = r->t->n - r->n_order;
    CLEANUP(mem_freep) struct sorted *all = mem_try(n * sizeof(*all));
    uint32_t *order = mem_try(r->t->n * sizeof(*order));

    if (!all || !order) {
        mem_free(order);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        all[i].i = (uint32_t)(r->n_order + i);
        all[i].wall_us = seg_wall_us(r->t, r->n_order + i);
    }
    qsort(all, n, sizeof(*all), by_time);
    if (r->n_order > 0) memcpy(order, r->order, r->n_order * sizeof(*order));
    for (size_t i = 0; i < n; i++) order[r->n_order + i] = all[i].i;
    mem_free(r->order);
    r->order = order;
    r->n_order = r->t->n;
    return true;
}

static const struct mp4_sample *sample_at(const struct reel *r, size_t i)
{
    return &r->t->s[r->order[i]];
}

static usec_t wall_at(const struct reel *r, size_t i)
{
    return seg_wall_us(r->t, r->order[i]);
}

static bool is_sent(const struct reel *r, size_t i)
{
    const struct mp4_sample *s = sample_at(r, i);
    const struct pay *p = &r->pay[s->track];

    if (!p->form || p->track.codec != r->t->tracks.t[s->track].codec) return false;
    if (r->way.keys) return p->track.kind == TRACK_VIDEO && (s->flags & FRAME_KEY);
    return r->way.scale_milli == 1000 || p->track.kind == TRACK_VIDEO;
}

/* The next one that is sent, from i on in reading direction, i included; t->n: none. */
static size_t step_to(const struct reel *r, size_t i)
{
    if (!reel_backward(r)) {
        while (i < r->t->n && !is_sent(r, i)) i++;
        return i;
    }
    for (i = MIN(i, r->t->n - 1) + 1; i-- > 0;)
        if (is_sent(r, i)) return i;
    return r->t->n;
}

static size_t step_behind(const struct reel *r, size_t i)
{
    if (!reel_backward(r)) return step_to(r, i + 1);
    return i == 0 ? r->t->n : step_to(r, i - 1);
}

/* It was listed, and the node gives no file: others may have the same time, and the one before, which would
 * have ended where this one began, goes on. */
static void go_around(struct reel *r)
{
    r->avoid |= 1u << r->at.st;
    r->avoid_us = clock_mono_us();
    close_segment(r);
    r->at = r->before;
    if (r->at.id != 0 && !reel_backward(r) && r->at.to_us < r->at.end_us) {
        r->at.from_us = r->at.to_us;
        r->at.to_us = r->at.end_us;
        return;
    }
    reel_search(r);
}

static enum reel_state load(struct reel *r)
{
    struct storage *st = r->st[r->at.st];
    int err = records_file(st, r->uid, r->at.id, &r->fd);

    if (err == 0 && r->at.open && st->node != 0)
        err = seg_table_scan(r->fd, INT64_MAX, &r->t);
    else if (err == 0)
        err = seg_table_any(r->fd, r->at.bytes, &r->t);
    if (err == 0 && r->t->n == 0) err = SEG_E_BAD;
    if (err == 0 && !put_in_order(r)) err = -ENOMEM;
    if (err != 0) { /* a gap */
        storage_say(st, err == -EHOSTUNREACH ? STORAGE_UNREAD : STORAGE_FLAWED, r->uid, err);
        if (st->node != 0) {
            go_around(r);
            return REEL_MORE;
        }
        close_segment(r);
        reel_search(r);
        return REEL_MORE;
    }
    take_tracks(r);
    return REEL_MORE;
}

/* Joint: the next one is known while this one is not played yet, and this one ends where that one begins.
 * false: nothing is left of it. */
static bool cut_end(struct reel *r)
{
    struct seg_table *part;

    r->cut = true;
    if (r->next.id == 0) r->next_known = false; /* until then something may have come */
    if (!r->next_known || r->at.open || r->next.from_us >= r->at.to_us) return true;
    part = seg_table_part(r->t, INT64_MIN, r->next.from_us, NULL);
    if (!part) return true;
    mem_free(r->order);
    r->order = NULL;
    r->n_order = 0;
    seg_table_free(r->t);
    r->t = part;
    r->at.to_us = r->next.from_us;
    return part->n > 0 && put_in_order(r);
}

/* From where it is played, or up to where when it is read backwards. INT64_MIN: all that may be seen. */
static usec_t place_us(const struct reel *r)
{
    if (!r->begun && r->way.at_us > r->at.start_us) return r->way.at_us;
    if (!r->joint) return INT64_MIN;
    if (reel_backward(r)) return r->at.to_us < r->at.end_us ? r->at.to_us - 1 : INT64_MIN;
    return r->at.from_us > r->at.start_us ? r->at.from_us : INT64_MIN;
}

/* The key frame to begin with: the first that may be seen, where the one that leads to at_us may not. t->n:
 * there is none yet. */
static size_t entry_at(const struct reel *r, usec_t at_us)
{
    size_t key = seg_key_at(r->t, at_us);

    if (reel_backward(r)) return key;
    while (key < r->t->n && seg_wall_us(r->t, key) < r->way.sight.from_us) key = seg_key_next(r->t, key);
    return key;
}

static void place(struct reel *r)
{
    size_t from = reel_backward(r) ? r->t->n - 1 : 0, key;
    usec_t at_us = place_us(r);

    /* Where the clock was set back the next one may begin before the window, too. */
    if (at_us != INT64_MIN || (!reel_backward(r) && r->at.start_us < r->way.sight.from_us)) {
        key = entry_at(r, at_us);
        for (from = 0; from < r->t->n && r->order[from] != key;) from++;
    }
    r->placed = from < r->t->n;
    r->i = r->placed ? step_to(r, from) : from;
}

/* Between the segment at hand and the next one. */
static usec_t gap_to_next(const struct reel *r)
{
    if (r->joint) return reel_backward(r) ? r->at.from_us - r->next.to_us : r->next.from_us - r->at.to_us;
    return reel_backward(r) ? r->at.start_us - r->next.end_us : r->next.start_us - r->at.end_us;
}

/* Goes to the next segment, which was searched. */
static enum reel_state leave(struct reel *r)
{
    usec_t gap_us = gap_to_next(r);

    if (r->next.id == 0) return REEL_END;
    if (gap_us > INDEX_JOIN_US || (!r->joint && gap_us < -INDEX_JOIN_US)) r->joined = true;
    r->before = r->at;
    r->at = r->next;
    close_segment(r);
    return REEL_MORE;
}

/* More of what another node writes is there once its file is asked for again. A node that is gone has written
 * as much as is here. */
static enum reel_state look_away(struct reel *r)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    size_t n = r->t->n;
    usec_t now_us = clock_mono_us();
    bool closed;
    int fd;

    if (now_us - r->looked_us < LOOK_AWAY_US) return REEL_WAIT;
    r->looked_us = now_us;
    if (!info) return REEL_FAILED;
    closed = records_file(r->st[r->at.st], r->uid, r->at.id, &fd) != 0;
    if (!closed) {
        fd_close(&r->fd);
        r->fd = fd;
        if (seg_table_scan(r->fd, INT64_MAX, &r->t) < 0) return REEL_FAILED;
        closed = seg_info_load(r->fd, info) == SEG_OK;
    }
    r->at.end_us = r->at.to_us = r->t->info.end_us;
    if (r->t->n > n) return put_in_order(r) ? REEL_MORE : REEL_FAILED;
    if (!closed) return REEL_WAIT;
    reel_search(r);
    return REEL_MORE;
}

/* The last sample that is there: more of the segment may have come, or the next one tells how this ends. */
static enum reel_state look_ahead(struct reel *r)
{
    size_t n = r->t->n;

    if (r->at.open && !reel_backward(r) && r->st[r->at.st]->node != 0) return look_away(r);

    if (r->at.open && !reel_backward(r)) {
        bool open = r->open.id == r->at.id;

        if (seg_table_scan(r->fd, open ? r->open.bytes : UINT64_MAX, &r->t) < 0) return REEL_FAILED;
        if (r->t->n > n) return put_in_order(r) ? REEL_MORE : REEL_FAILED;
        if (open) return REEL_WAIT;
        r->at.open = false;
        r->at.end_us = r->at.to_us = r->t->info.end_us;
    }
    reel_search(r);
    return REEL_MORE;
}

/* --- frames --- */

static usec_t scaled(const struct reel *r, usec_t us)
{
    return us * 1000 / r->way.scale_milli;
}

/* When it is due. What goes back in time, or far on, is joined. */
static usec_t due_us(struct reel *r, usec_t wall_us, bool *ret_joined)
{
    usec_t due = r->play0_us + scaled(r, wall_us - r->wall0_us);

    *ret_joined = !r->begun || r->joined || due < r->last_us - US_PER_S;
    if (*ret_joined) {
        r->play0_us = r->last_us + JOINED_US;
        r->wall0_us = wall_us;
        due = r->play0_us;
    }
    r->begun = true;
    r->joined = false;
    r->last_us = MAX(due, r->last_us);
    return due;
}

static uint8_t *read_sample(const struct reel *r, const struct mp4_sample *s)
{
    uint8_t *mem = s->size > 0 && s->size <= SAMPLE_MAX ? mem_try(s->size) : NULL;
    size_t got = 0;

    while (mem && got < s->size) {
        ssize_t n = pread(r->fd, mem + got, s->size - got, (off_t)(s->offset + got));

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            mem_free(mem);
            return NULL;
        }
        got += (size_t)n;
    }
    return mem;
}

/* false: it cannot be read, or is nothing that can be sent. */
static bool make_frame(struct reel *r, size_t i, bool end, struct reel_frame *ret)
{
    const struct mp4_sample *s = sample_at(r, i);
    CLEANUP(mem_freep) uint8_t *mem = read_sample(r, s);
    struct pay *p = &r->pay[s->track];
    struct frame f = {.flags = s->flags, .track = s->track, .wall_us = wall_at(r, i)};
    struct pay_replay replay = {.clean = s->flags & FRAME_KEY, .end = end, .cseq = r->way.cseq};
    usec_t shown_us;
    struct wr w;
    size_t n;

    if (!mem) return false;
    f.data = span(mem, s->size);
    n = pay_size(p, &f, r->way.replay ? &replay : NULL);
    ret->c = n > 0 ? chunk_new(n) : NULL;
    if (!ret->c) return false;
    ret->play_us = due_us(r, f.wall_us, &ret->joined);
    shown_us =
        r->way.keys ? 0 : scaled(r, ticks_us((struct ticks){s->cts, r->t->tracks.t[s->track].clock_hz}));
    if (ret->joined) r->joining = ~0u;
    replay.discont = r->joining & 1u << s->track;
    r->joining &= ~(1u << s->track);
    ret->track = s->track;
    ret->entry = p->track.kind == TRACK_VIDEO && (s->flags & FRAME_KEY);
    ret->seq = p->seq;
    ret->ts = reel_ts(p, ret->play_us + shown_us);
    ret->wall_us = f.wall_us;
    w = wr_of(ret->c->data, n);
    pay_write(p, &f, ret->ts, r->way.replay ? &replay : NULL, &w);
    must(wr_ok(&w) && w.n == n);
    return true;
}

/* What is shown is decoded at that time or before. */
static bool over(const struct reel *r)
{
    usec_t wall_us = wall_at(r, r->i);

    if (r->way.sight.to_us > 0 && seg_shown_us(r->t, r->order[r->i]) >= r->way.sight.to_us) return true;
    if (r->way.to_us == 0) return false;
    return reel_backward(r) ? wall_us < r->way.to_us : wall_us >= r->way.to_us;
}

/* The last one of the segment's pictures (where there are none, of all) that is sent. */
static size_t last_picture(const struct reel *r)
{
    bool any = track_find(&r->t->tracks, TRACK_VIDEO) < 0;

    for (size_t k = 0; k < r->t->n; k++) {
        size_t i = reel_backward(r) ? k : r->t->n - 1 - k;

        if (is_sent(r, i) && (any || r->t->tracks.t[sample_at(r, i)->track].kind == TRACK_VIDEO)) return i;
    }
    return r->t->n;
}

/* Does a stretch end with this segment? */
static bool gap_behind(const struct reel *r)
{
    return r->next.id == 0 || gap_to_next(r) > INDEX_JOIN_US;
}

/* Frames of the segment at hand. */
static enum reel_state read_some(struct reel *r, struct reel_frame *out, size_t most, size_t *n)
{
    size_t bytes = 0, tail = last_picture(r);
    usec_t until_us = r->last_us + REEL_AHEAD_US;

    while (*n < most && bytes < REEL_BYTES && r->last_us < until_us) {
        bool at_tail = r->i == tail;

        if (r->i >= r->t->n) return r->next_known ? leave(r) : look_ahead(r);
        if (over(r)) return REEL_END;
        if (at_tail && !r->next_known) return look_ahead(r);
        if (make_frame(r, r->i, at_tail && gap_behind(r), &out[*n])) bytes += out[(*n)++].c->n;
        r->i = step_behind(r, r->i);
    }
    return REEL_MORE;
}

enum reel_state reel_turn(struct reel *r, struct reel_frame *out, size_t most, size_t *ret_n)
{
    *ret_n = 0;
    if (r->searching) return reel_search_on(r);
    if (!r->t) return r->next_known ? leave(r) : load(r); /* one that cannot be read is passed over */
    if (r->joint && !r->cut && !r->at.open && !reel_backward(r) && !r->next_known) {
        reel_search(r);
        return REEL_MORE;
    }
    if (r->joint && !r->cut && !cut_end(r)) return leave(r);
    if (!r->placed) place(r);
    if (r->placed) return most > 0 ? read_some(r, out, most, ret_n) : REEL_MORE;
    return r->next_known ? leave(r) : look_ahead(r);
}

usec_t reel_start_us(const struct reel *r)
{
    return reel_ready(r) ? wall_at(r, r->i) : r->at.start_us;
}
