#include "archive/disk.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

#define TICK_US      US_PER_S
#define THREAD_STACK (512u << 10)

struct disk {
    struct disk_conf conf;
    struct loop *loop;
    const struct disk_ops *ops;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* of jobs */
    pthread_cond_t wake;
    struct list jobs;
    _Atomic int64_t busy_since_us; /* 0: waits for work */
    bool stopping;                 /* the loop's */
    struct work work;              /* the thread's */
};

struct queued {
    struct list link;
    struct job job;
};

/* --- from the thread to the loop --- */

enum post_kind {
    POST_STATE,
    POST_FOLDER,
    POST_STORED,
    POST_INDEX,
    POST_LOCKS,
    POST_ROWS,
    POST_ANSWER,
    POST_EVENT,
    POST_OPEN_EVENT,
    POST_FILL,
    POST_GONE,
    POST_END
};
struct post {
    struct disk *disk;
    enum post_kind kind;
    char uid[40];
    int fd, err;
    uint64_t number;
    struct disk_report report;
    struct disk_gone gone;
    struct event *event;
    uint32_t n_rows;
    size_t bytes;
    struct index_lock *locks;
    char path[]; /* or text, or rows */
};

static void deliver(void *p)
{
    struct post *m = p;
    const struct disk_ops *ops = m->disk->ops;
    void *arg = m->disk->arg;

    switch (m->kind) {
    case POST_STATE: ops->on_state(arg, &m->report); break;
    case POST_FOLDER: ops->on_folder(arg, m->uid, m->fd, m->err); break;
    case POST_STORED: ops->on_stored(arg, m->uid, m->number); break;
    case POST_INDEX: ops->on_index(arg, m->path); break;
    case POST_LOCKS: ops->on_locks(arg, m->locks, m->n_rows, m->number > 0); break;
    case POST_ROWS: ops->on_rows(arg, m->number, m->n_rows, span(m->path, m->bytes)); break;
    case POST_ANSWER: ops->on_answer(arg, m->number, m->err, m->path); break;
    case POST_EVENT: ops->on_event(arg, m->event); break;
    case POST_OPEN_EVENT: ops->on_open_event(arg, m->event); break;
    case POST_FILL: ops->on_fill(arg, m->number, m->fd, m->err); break;
    case POST_GONE: ops->on_gone(arg, &m->gone); break;
    case POST_END: ops->on_end(arg); break;
    }
    mem_free(m->locks);
    mem_free(m->event);
    mem_free(m);
}

static struct post *post_new(struct disk *d, enum post_kind kind, const char *uid, const char *path)
{
    size_t n = path ? strlen(path) + 1 : 0;
    struct post *m = mem_new(sizeof(*m) + n);

    *m = (struct post){.disk = d, .kind = kind};
    m->fd = -1;
    if (uid) span_copy(span_of(uid), m->uid, sizeof(m->uid));
    if (path) memcpy(m->path, path, n);
    return m;
}

static void post_state(void *arg, const struct disk_report *r)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_STATE, NULL, NULL);

    m->report = *r;
    loop_post(d->loop, deliver, m);
}

static void post_folder(void *arg, const char *uid, int fd, int err)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_FOLDER, uid, NULL);

    m->fd = fd;
    m->err = err;
    loop_post(d->loop, deliver, m);
}

static void post_stored(void *arg, const char *uid, uint64_t id)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_STORED, uid, NULL);

    m->number = id;
    loop_post(d->loop, deliver, m);
}

static void post_index(void *arg, const char *path)
{
    struct disk *d = arg;

    loop_post(d->loop, deliver, post_new(d, POST_INDEX, NULL, path));
}

static void post_locks(void *arg, const struct index_lock *list, size_t n, bool last)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_LOCKS, NULL, NULL);

    m->locks = n > 0 ? mem_dup(list, n * sizeof(*list)) : NULL;
    m->n_rows = (uint32_t)n;
    m->number = last;
    loop_post(d->loop, deliver, m);
}

static void post_rows(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    struct disk *d = arg;
    struct post *m = mem_new(sizeof(*m) + rows.n);

    *m = (struct post){.disk = d, .kind = POST_ROWS, .number = id, .n_rows = n, .bytes = rows.n};
    memcpy(m->path, rows.p, rows.n);
    loop_post(d->loop, deliver, m);
}

static void post_answer(void *arg, uint64_t id, int code, const char *text)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_ANSWER, NULL, text);

    m->number = id;
    m->err = code;
    loop_post(d->loop, deliver, m);
}

static void post_with_event(struct disk *d, enum post_kind kind, const struct event *e)
{
    struct post *m = post_new(d, kind, NULL, NULL);

    m->event = mem_dup(e, sizeof(*e));
    loop_post(d->loop, deliver, m);
}

static void post_event(void *arg, const struct event *e)
{
    post_with_event(arg, POST_EVENT, e);
}

static void post_open_event(void *arg, const struct event *e)
{
    post_with_event(arg, POST_OPEN_EVENT, e);
}

static void post_fill(void *arg, uint64_t id, int fd, int err)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_FILL, NULL, NULL);

    m->number = id;
    m->fd = fd;
    m->err = err;
    loop_post(d->loop, deliver, m);
}

static void post_gone(void *arg, const struct disk_gone *g)
{
    struct disk *d = arg;
    struct post *m = post_new(d, POST_GONE, NULL, NULL);

    m->gone = *g;
    loop_post(d->loop, deliver, m);
}

static void alive(void *arg)
{
    struct disk *d = arg;

    atomic_store(&d->busy_since_us, clock_mono_us());
}

static const struct work_ops posts = {post_state, post_folder, post_stored, post_index, post_locks, post_rows,
    post_answer, post_event, post_open_event, post_fill, post_gone, alive};

/* --- the thread --- */

/* Waits for a job until the clock's work is due, when `wait`. false: none. */
static bool next_job(struct disk *d, bool wait, usec_t until_us, struct job *ret)
{
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
    struct queued *q = NULL;

    pthread_mutex_lock(&d->lock);
    if (list_empty(&d->jobs) && wait) {
        atomic_store(&d->busy_since_us, 0);
        pthread_cond_timedwait(&d->wake, &d->lock, &until);
    }
    if (!list_empty(&d->jobs)) {
        q = LIST_ITEM(d->jobs.next, struct queued, link);
        list_remove(&q->link);
    }
    pthread_mutex_unlock(&d->lock);
    atomic_store(&d->busy_since_us, clock_mono_us());
    if (!q) return false;
    *ret = q->job;
    mem_free(q);
    return true;
}

static void *run(void *arg)
{
    struct disk *d = arg;
    usec_t tick_us = 0, now_us;
    bool more = false;
    struct job job;

    for (;;) {
        bool got = next_job(d, !more, tick_us, &job);

        if (got && job.kind == JOB_STOP) break;
        if (got) {
            work_job(&d->work, &job);
            mem_free(job.data);
        }
        now_us = clock_mono_us();
        if (now_us >= tick_us || work_due(&d->work)) {
            tick_us = now_us + MIN(TICK_US, d->work.sync_every_us);
            work_tick(&d->work, now_us);
        }
        more = work_scan(&d->work);
    }
    work_done(&d->work, clock_mono_us());
    atomic_store(&d->busy_since_us, 0);
    loop_post(d->loop, deliver, post_new(d, POST_END, NULL, NULL));
    return NULL;
}

/* --- the loop's side --- */

struct disk *disk_new(struct loop *l, const struct disk_conf *conf, const struct disk_ops *ops, void *arg)
{
    struct disk *d = NEW(struct disk);
    pthread_condattr_t clock;
    pthread_attr_t attr;

    d->conf = *conf;
    d->loop = l;
    d->ops = ops;
    d->arg = arg;
    list_init(&d->jobs);
    work_init(&d->work, &d->conf, &posts, d);
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    must(pthread_create(&d->thread, &attr, run, d) == 0);
    pthread_attr_destroy(&attr);
    return d;
}

static void put(struct disk *d, struct job job)
{
    struct queued *q = NEW(struct queued);

    q->job = job;
    pthread_mutex_lock(&d->lock);
    list_push(&d->jobs, &q->link);
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

static struct job job_of(enum job_kind kind, const char *uid)
{
    struct job j = {.kind = kind};

    span_copy(span_of(uid), j.uid, sizeof(j.uid));
    return j;
}

void disk_stop(struct disk *d)
{
    if (!d->stopping) put(d, job_of(JOB_STOP, NULL));
    d->stopping = true;
}

void disk_free(struct disk *d)
{
    pthread_join(d->thread, NULL);
    LIST_EACH(&d->jobs, link)
    {
        struct queued *q = LIST_ITEM(link, struct queued, link);

        mem_free(q->job.data);
        mem_free(q);
    }
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

usec_t disk_busy_us(const struct disk *d, usec_t now_us)
{
    int64_t since = atomic_load(&d->busy_since_us);

    return since > 0 && now_us > since ? now_us - since : 0;
}

void disk_accept(struct disk *d)
{
    put(d, job_of(JOB_ACCEPT, NULL));
}

void disk_folder(struct disk *d, const char *uid, uid_t owner, gid_t group)
{
    struct job j = job_of(JOB_FOLDER, uid);

    j.owner = owner;
    j.group = group;
    put(d, j);
}

void disk_look(struct disk *d, const char *uid, bool gone)
{
    put(d, job_of(gone ? JOB_GONE : JOB_LOOK, uid));
}

void disk_opened(struct disk *d, const char *uid, uint64_t id)
{
    struct job j = job_of(JOB_OPENED, uid);

    j.id = id;
    put(d, j);
}

void disk_closed(struct disk *d, const char *uid, uint64_t id)
{
    struct job j = job_of(JOB_CLOSED, uid);

    j.id = id;
    put(d, j);
}

void disk_probe(struct disk *d)
{
    put(d, job_of(JOB_PROBE, NULL));
}

void disk_ask(struct disk *d, const struct ask *q)
{
    struct job j = job_of(JOB_ASK, NULL);

    j.data = mem_dup(q, sizeof(*q));
    put(d, j);
}

void disk_keep(struct disk *d, const char *uid, const struct keep_policy *p)
{
    struct job j = job_of(JOB_KEEP, uid);

    if (p) j.data = mem_dup(p, sizeof(*p));
    put(d, j);
}

void disk_suspect(struct disk *d)
{
    put(d, job_of(JOB_SUSPECT, NULL));
}

void disk_lock(struct disk *d, const struct index_lock *lock)
{
    struct job j = job_of(JOB_LOCK, lock->uid);

    j.data = mem_dup(lock, sizeof(*lock));
    put(d, j);
}

void disk_keep_ready(struct disk *d)
{
    put(d, job_of(JOB_KEEP_READY, NULL));
}

void disk_sync_every(struct disk *d, usec_t sync_us)
{
    struct job j = job_of(JOB_SYNC_EVERY, NULL);

    j.id = (uint64_t)sync_us;
    put(d, j);
}

void disk_fill_open(
    struct disk *d, uint64_t id, const char *uid, uid_t owner, gid_t group, const struct fill_order *o)
{
    struct job j = job_of(JOB_FILL_OPEN, uid);

    j.id = id;
    j.owner = owner;
    j.group = group;
    j.data = mem_dup(o, sizeof(*o));
    put(d, j);
}

void disk_fill_done(struct disk *d, uint64_t id, bool given_up)
{
    struct job j = job_of(given_up ? JOB_FILL_DROP : JOB_FILL_DONE, NULL);

    j.id = id;
    put(d, j);
}

void disk_event(struct disk *d, const struct event *e)
{
    struct job j = job_of(JOB_EVENT, e->uid);

    j.data = mem_dup(e, sizeof(*e));
    put(d, j);
}

void disk_event_over(struct disk *d, const struct event *e, usec_t known_us)
{
    struct job j = job_of(JOB_EVENT_OVER, e->uid);

    j.id = (uint64_t)known_us;
    j.data = mem_dup(e, sizeof(*e));
    put(d, j);
}
