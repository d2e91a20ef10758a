/* The walk over the segments' tables, after which a film's length is known. Some at a time, in the pool of
 * the storage they lie on. A segment that is gone, or not to be read as one, is a gap. */
#include "httpd/archive_mp4.h"
#include "archive/segproof.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <sys/stat.h>

#define WALK_TURN 16 /* tables, then the next job of this storage */

void film_answer_free(struct film_answer *a)
{
    for (size_t i = 0; i < a->n_st; i++) storage_unref(a->st[i]);
    film_unref(a->film);
    seg_table_free(a->t);
    buf_done(&a->out);
    fd_close(&a->fd);
    mem_free(a->r);
    mem_free(a);
}

/* --- in the pool --- */

/* The source of the picture at that moment, or its n if none was recorded then. */
static size_t source_at(const struct film *f, usec_t at_us)
{
    size_t i = f->n;

    while (i > 0 && f->source[i - 1].start_us > at_us) i--;
    if (i == 0 || f->source[i - 1].end_us <= at_us) return f->n;
    for (i--; i > 0 && f->source[i].inside && f->source[i].key_us > at_us; i--)
        if (f->source[i].start_us - f->source[i - 1].end_us > INDEX_JOIN_US) break;
    return i;
}

static usec_t picture_us(const struct film_ask *ask, size_t i)
{
    return ask->from_us + scale_i64(ask->to_us - ask->from_us, (uint32_t)i, ask->pictures);
}

static size_t steps(const struct film_answer *a)
{
    return a->ask.kind == FILM_WHOLE ? a->film->n : a->ask.pictures;
}

/* Of which source the next step needs the table; film->n: of none. */
static size_t source_of(const struct film_answer *a)
{
    return a->ask.kind == FILM_WHOLE ? a->at : source_at(a->film, picture_us(&a->ask, a->at));
}

/* A part of a segment is all that is known of it here. */
static int take_part(const struct export_source *s, struct seg_table **t)
{
    struct seg_table *part = seg_table_part(*t, s->start_us, s->end_us, NULL);

    seg_table_free(*t);
    *t = part;
    return part ? 0 : -ENOMEM;
}

int film_source(const struct film_answer *a, uint32_t source, int *ret_fd, struct seg_table **ret_t)
{
    const struct export_source *s = &a->film->source[source];
    CLEANUP(fd_close) int fd = -1;
    int err = records_file(a->st[s->storage], a->uid, s->id, &fd);

    if (err == 0 && ret_t) err = seg_table_any(fd, s->bytes, ret_t);
    if (err == 0 && ret_t && s->part) err = take_part(s, ret_t);
    if (err != 0) return err;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* What is still written elsewhere is taken as far as it is now, here and whenever it is sent. */
static void settle_bytes(struct export_source *s, int fd)
{
    struct stat file;

    if (s->bytes == INT64_MAX && fstat(fd, &file) == 0) s->bytes = (uint64_t)file.st_size;
}

/* 0, -errno, or positive: there is none to be read. */
static int load(struct film_answer *a, size_t i)
{
    CLEANUP(fd_close) int fd = -1;
    int err;

    if (a->t && a->loaded == i) return 0;
    seg_table_free(a->t);
    a->t = NULL;
    err = film_source(a, (uint32_t)i, &fd, &a->t);
    if (err == 0) settle_bytes(&a->film->source[i], fd);
    if (err == 0) a->loaded = (uint32_t)i;
    return err == -ENOENT ? SEG_E_BAD : err;
}

static int add_picture(struct film_answer *a, usec_t at_us)
{
    struct film *f = a->film;
    const struct export_setup seen = {.see_from_us = a->ask.sight.from_us, .see_to_us = a->ask.sight.to_us};
    size_t key = export_seen_key(&seen, a->t, seg_key_at(a->t, at_us));
    usec_t taken_us;
    int err;

    if (key == a->t->n || a->t->tracks.t[a->t->s[key].track].kind != TRACK_VIDEO ||
        !(a->t->s[key].flags & FRAME_KEY))
        return EXPORT_OK;
    taken_us = seg_wall_us(a->t, key);
    if (f->n_times > 0 && f->times[f->n_times - 1] >= taken_us) return EXPORT_OK; /* the same again */
    err = export_still(f->x, a->loaded, a->t, key, STRIP_SHOW_US);
    if (err == EXPORT_OK) f->times[f->n_times++] = taken_us;
    return err;
}

static int step(struct film_answer *a)
{
    size_t i = source_of(a);
    int err = i < a->film->n ? load(a, i) : SEG_E_BAD;

    if (err > 0) return EXPORT_OK;
    if (err < 0) return err;
    if (a->ask.kind == FILM_WHOLE) return export_add(a->film->x, (uint32_t)i, a->t);
    return add_picture(a, picture_us(&a->ask, a->at));
}

static int begin(struct film_answer *a)
{
    struct film *f = a->film;
    struct export_setup setup = {.from_us = a->ask.from_us,
        .to_us = a->ask.to_us,
        .see_from_us = a->ask.sight.from_us,
        .see_to_us = a->ask.sight.to_us,
        .keep_gaps = a->ask.keep_gaps,
        .no_sound = a->ask.no_sound};

    /* Of the first segment: what has another form later is silent. */
    if (a->ask.make_sound && load(a, source_of(a)) == 0) (void)film_sound_form(a->t, &f->sound, &setup.made);

    for (size_t i = 1; i < f->n; i++)
        setup.gap_us = MAX(setup.gap_us, f->source[i].start_us - f->source[i - 1].end_us);
    f->x = export_new(&setup);
    f->times = mem_try((a->ask.pictures + 1) * sizeof(*f->times));
    return f->x && f->times ? 0 : -ENOMEM;
}

static void walk(struct job *j)
{
    struct film_answer *a = CONTAINER(j, struct film_answer, lent.job);
    const struct storage *here = NULL;

    a->err = a->film->x ? 0 : begin(a);
    for (unsigned n = 0; a->err == 0 && a->at < steps(a) && n < WALK_TURN; n++, a->at++) {
        size_t i = source_of(a);
        const struct storage *st = i < a->film->n ? a->st[a->film->source[i].storage] : here;

        if (here && st != here) return;
        here = st;
        a->err = step(a);
    }
    if (a->err != 0 || a->at < steps(a)) return;
    seg_table_free(a->t);
    a->t = NULL;
    a->err = export_end(a->film->x);
}

/* --- in the hub --- */

static void go(struct http *h, struct film_answer *a);

static void forget(struct http *h)
{
    struct film_answer *a = h->ask->work;

    a->lent.h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    forget(h);
    lend_refuse_late(h);
}

static void refuse(struct http *h, const struct film_answer *a)
{
    if (a->err == EXPORT_E_MANY)
        answer_error(h, 413, "too many samples or changes of format for one file: ask for a shorter time");
    else if (a->err == EXPORT_E_NONE && export_facts(a->film->x)->left_out != 0)
        answer_error(h, 415, "no track of it that MP4 players know");
    else if (a->err == EXPORT_E_NONE)
        answer_error(h, 404, "no picture of it can be read");
    else
        answer_error_with(h, 503, "Retry-After: 5\r\n", "the archive cannot be read now");
}

static void walked(struct job *j)
{
    struct film_answer *a = CONTAINER(j, struct film_answer, lent.job);
    struct http *h = a->lent.h;

    if (!h) {
        film_answer_free(a);
        return;
    }
    forget(h);
    loop_timer_stop(&h->timer);
    if (a->err == 0 && a->at < steps(a)) {
        go(h, a);
    } else if (a->err == 0) {
        films_put(a->films, a->film);
        film_send(h, a);
    } else {
        refuse(h, a);
        film_answer_free(a);
    }
}

static void go(struct http *h, struct film_answer *a)
{
    size_t i = source_of(a);

    a->lent.h = h;
    a->lent.job.work = walk;
    a->lent.job.done = walked;
    if (!pool_put(a->st[i < a->film->n ? a->film->source[i].storage : 0]->pool, &a->lent.job)) {
        film_answer_free(a);
        lend_refuse_busy(h);
        return;
    }
    h->ask->work = a;
    h->ask->abort = forget;
    http_timer(h, ARCHIVE_LATE_US, late);
}

void film_walk(struct http *h, struct film_answer *a)
{
    go(h, a);
}
