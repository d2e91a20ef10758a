/* A thread and its helper: one request at a time over a socket, with a deadline. */
#include "common/base/cage.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "httpd/pictures_impl.h"

#include <errno.h>
#include <poll.h>

/* --- getting one, and getting rid of it --- */

static void retire(struct slot *s)
{
    if (s->fd < 0) return;
    fd_close(&s->fd);
    s->p->ops->gone(s->p->arg, s->id);
    s->jobs = 0;
}

void pictures_helper(struct pictures *p, uint64_t id, int err, int fd)
{
    struct slot *to = NULL;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->n_slots && !to; i++)
        if (p->slots[i].waiting) to = &p->slots[i];
    if (to) {
        to->waiting = false;
        to->id = id;
        to->given_fd = fd;
        to->given_err = err;
        pthread_cond_broadcast(&p->given);
    }
    pthread_mutex_unlock(&p->lock);
    if (to || fd < 0) return;
    fd_close(&fd);
    p->ops->gone(p->arg, id);
}

/* 0 or -errno. */
static int await_helper(struct slot *s, usec_t until_us)
{
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
    struct pictures *p = s->p;
    int err = 0;

    pthread_mutex_lock(&p->lock);
    s->waiting = true;
    pthread_mutex_unlock(&p->lock);
    p->ops->want(p->arg);
    pthread_mutex_lock(&p->lock);
    while (s->waiting && !p->stop && err == 0) err = pthread_cond_timedwait(&p->given, &p->lock, &until);
    if (s->waiting) {
        s->waiting = false;
        err = p->stop ? ECANCELED : err;
    } else {
        err = s->given_err;
        s->fd = s->given_fd;
        s->given_fd = -1;
        if (err == 0 && s->fd < 0) err = EPROTO;
    }
    pthread_mutex_unlock(&p->lock);
    return -err;
}

/* The helper's first word: which layers of its cage do not stand. */
static int hear(struct slot *s, uint8_t *head, usec_t until_us)
{
    struct picture_answer hello;
    char missing[CAGE_TEXT_MAX];
    struct span map;
    int err = picture_recv_map(s->fd, head, &map, until_us);

    if (err < 0) return err;
    if (!picture_answer_read(map, &hello) || hello.id != 0) return -EPROTO;
    if (atomic_exchange(&s->p->cage_missing, hello.missing) != hello.missing)
        log_warn("sandbox-incomplete", "of=picture missing=%s", cage_text(hello.missing, missing));
    return 0;
}

/* Has it died while it had nothing to do? It never speaks by itself. */
static bool still_there(const struct slot *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

static int need_helper(struct slot *s, uint8_t *head)
{
    usec_t until_us = clock_mono_us() + PICTURES_BIRTH_US;
    int err;

    if (s->fd >= 0 && still_there(s)) return 0;
    retire(s);
    err = await_helper(s, until_us);
    if (err == 0) err = hear(s, head, until_us);
    s->born_us = clock_mono_us();
    if (err == 0) return 0;
    retire(s);
    if (err != -ECANCELED) log_error("picture-helper", "err=%s", log_q(span_of(err_text(err))));
    return err;
}

/* --- a job --- */

static int send_ask(struct slot *s, const struct picture_source *src, usec_t until_us)
{
    struct buf head;
    int err;

    buf_init(&head, PICTURE_HEAD_MAX + 4);
    err = picture_ask_write(&head, &src->ask) ? 0 : -EPROTO;
    if (err == 0) err = picture_send(s->fd, buf_span(&head), until_us);
    if (err == 0) err = picture_send(s->fd, buf_span(&src->bytes), until_us);
    buf_done(&head);
    return err;
}

static int of_helper(enum picture_err err)
{
    if (err == PICTURE_E_LARGE) return PICTURES_E_LARGE;
    return err == PICTURE_E_MEMORY ? PICTURES_E_LARGE : PICTURES_E_BAD;
}

/* 0 and *ret, a condition, or -errno: the helper is of no use any more. */
static int read_answer(struct slot *s, uint64_t id, uint8_t *head, usec_t until_us, struct picture **ret)
{
    struct picture_answer a;
    struct picture *made;
    struct span map;
    int err = picture_recv_map(s->fd, head, &map, until_us);

    if (err < 0) return err;
    if (!picture_answer_read(map, &a) || a.id != id) return -EPROTO;
    if (a.err != PICTURE_OK) return of_helper(a.err);
    if (a.n_bytes == 0) return -EPROTO;
    made = mem_try(sizeof(*made) + a.n_bytes);
    if (!made) return -ENOMEM;
    err = picture_recv(s->fd, made->data, a.n_bytes, until_us);
    if (err < 0) {
        mem_free(made);
        return err;
    }
    atomic_init(&made->refs, 1);
    made->n = a.n_bytes;
    made->width = a.width;
    made->height = a.height;
    made->pts = a.pts;
    *ret = made;
    return 0;
}

static void say_killed(const struct slot *s, const struct flight *f, int err)
{
    static _Atomic int64_t last_us;
    usec_t now_us = clock_mono_us(), before_us = atomic_load(&last_us);

    /* Whoever sends such frames could fill the log. */
    if (before_us != 0 && now_us - before_us < US_PER_S) return;
    atomic_store(&last_us, now_us);
    log_warn("picture-gave-up", "helper=%llu of=%s bytes=%zu err=%s", (unsigned long long)s->id,
        log_q(span_of(f->key)), buf_n(&f->src->bytes), log_q(span_of(err_text(err))));
}

static int work(struct slot *s, struct flight *f, uint8_t *head, struct picture **ret)
{
    usec_t until_us;
    int err;

    if (pictures_is_poison(s->p, f->hash)) return PICTURES_E_POISON;
    if (need_helper(s, head) < 0) return PICTURES_E_NONE;
    until_us = clock_mono_us() + PICTURES_JOB_US;
    atomic_fetch_add(&s->p->jobs, 1);
    s->jobs++;
    err = send_ask(s, f->src, until_us);
    if (err == 0) err = read_answer(s, f->src->ask.id, head, until_us, ret);
    if (err >= 0) return err;
    retire(s);
    pictures_add_poison(s->p, f->hash);
    say_killed(s, f, err);
    return PICTURES_E_KILLED;
}

void *pictures_thread(void *arg)
{
    struct slot *s = arg;
    uint8_t *head = mem_new(PICTURE_HEAD_MAX);
    struct flight *f;
    bool late;

    for (;;) {
        usec_t end_us = s->fd < 0 ? 0 : s->born_us + PICTURES_HELPER_LIFE_US;
        struct picture *made = NULL;
        int err;

        f = pictures_next(s->p, end_us, &late);
        if (late || s->jobs >= PICTURES_HELPER_JOBS || (end_us && clock_mono_us() >= end_us)) retire(s);
        if (!f && !late) break;
        if (!f) continue;
        err = work(s, f, head, &made);
        pictures_finish(s->p, f, err, made);
    }
    retire(s);
    mem_free(head);
    return NULL;
}
