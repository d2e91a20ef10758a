#include "archive/trash.h"
#include "archive/repair.h"
#include "archive/storage.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREAD_STACK  (256u << 10)
#define NICE          19
#define IOPRIO_WHO    1         /* IOPRIO_WHO_PROCESS: one thread; glibc has no header for these */
#define IOPRIO_IDLE   (3 << 13) /* IOPRIO_CLASS_IDLE */
#define PAUSE_MOST_US (200 * US_PER_MS)

struct item {
    struct list link;
    struct index_ref ref;
    uint64_t bytes;
};
struct trash {
    struct storage storage; /* its folder only */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct list todo, done;
    uint64_t leaving;
    bool urgent, stop, stopped;
};

static int remove_file(struct trash *t, const struct index_ref *ref)
{
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(&t->storage, ref->uid, &records);

    if (!err) err = repair_remove(records, ref->id, clock_wall_us());
    return err == -ENOENT ? 0 : err;
}

/* As long as it took, so that others have the disk for at least half of the time. */
static void pause_after(struct trash *t, usec_t took_us)
{
    usec_t until_us = clock_mono_us() + MIN(took_us, PAUSE_MOST_US);
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};

    while (!t->stop && !t->urgent && clock_mono_us() < until_us)
        if (pthread_cond_timedwait(&t->wake, &t->lock, &until) == ETIMEDOUT) return;
}

static void *run(void *arg)
{
    struct trash *t = arg;

    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread */
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO, 0, IOPRIO_IDLE);
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        struct item *i;
        usec_t from_us;
        int err;

        if (list_empty(&t->todo)) {
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        i = LIST_ITEM(t->todo.next, struct item, link);
        pthread_mutex_unlock(&t->lock);
        from_us = clock_mono_us();
        err = remove_file(t, &i->ref);
        pthread_mutex_lock(&t->lock);
        i->ref.tries = err ? i->ref.tries + 1 : 0;
        list_remove(&i->link);
        list_push(&t->done, &i->link);
        t->leaving -= i->bytes;
        pause_after(t, clock_mono_us() - from_us);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

int trash_new(int storage_fd, struct trash **ret)
{
    struct trash *t = NEW(struct trash);
    pthread_condattr_t clock;
    pthread_attr_t attr;

    t->storage = (struct storage){.fd = fcntl(storage_fd, F_DUPFD_CLOEXEC, 0)};
    if (t->storage.fd < 0) {
        int err = -errno;

        mem_free(t);
        return err;
    }
    list_init(&t->todo);
    list_init(&t->done);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    must(pthread_create(&t->thread, &attr, run, t) == 0);
    pthread_attr_destroy(&attr);
    *ret = t;
    return 0;
}

static void items_free(struct list *l)
{
    LIST_EACH(l, link) mem_free(LIST_ITEM(link, struct item, link));
}

void trash_stop(struct trash *t)
{
    if (!t || t->stopped) return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    t->stopped = true;
}

void trash_free(struct trash *t)
{
    if (!t) return;
    trash_stop(t);
    items_free(&t->todo);
    items_free(&t->done);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    storage_close(&t->storage);
    mem_free(t);
}

void trash_put(struct trash *t, const struct index_ref *ref, uint64_t bytes)
{
    struct item *i = NEW(struct item);

    i->ref = *ref;
    i->bytes = bytes;
    pthread_mutex_lock(&t->lock);
    list_push(&t->todo, &i->link);
    t->leaving += bytes;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

void trash_urgent(struct trash *t, bool urgent)
{
    pthread_mutex_lock(&t->lock);
    t->urgent = urgent;
    if (urgent) pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

uint64_t trash_leaving(struct trash *t)
{
    uint64_t leaving;

    pthread_mutex_lock(&t->lock);
    leaving = t->leaving;
    pthread_mutex_unlock(&t->lock);
    return leaving;
}

size_t trash_take(struct trash *t, struct index_ref *out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    while (n < max && !list_empty(&t->done)) {
        struct item *i = LIST_ITEM(t->done.next, struct item, link);

        out[n++] = i->ref;
        list_remove(&i->link);
        mem_free(i);
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

bool trash_has(struct trash *t)
{
    bool has;

    pthread_mutex_lock(&t->lock);
    has = !list_empty(&t->done);
    pthread_mutex_unlock(&t->lock);
    return has;
}

bool trash_idle(struct trash *t)
{
    bool idle;

    pthread_mutex_lock(&t->lock);
    idle = list_empty(&t->todo);
    pthread_mutex_unlock(&t->lock);
    return idle;
}
