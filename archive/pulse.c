#include "archive/pulse.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/span.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BLOCK        4096 /* bytes, and their place in memory: what every device takes */
#define THREAD_STACK (64u << 10)
#define STAT_MAX     512
#define STAT_READS   0 /* fields of the device's file: what it has finished */
#define STAT_WRITES  4

struct pulse {
    char *path;
    _Atomic int users; /* the loop, the thread: the last one frees */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    _Atomic int64_t since_us; /* a write waits for the device; 0: none does */
    _Atomic uint64_t dev;     /* of the file; 0: there is none yet */
    /* the loop's */
    uint64_t finished;
    usec_t moved_us; /* when that was less */
};

static const _Alignas(BLOCK) uint8_t block[BLOCK];

static void unref(struct pulse *p)
{
    if (atomic_fetch_sub(&p->users, 1) > 1) return;
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->path);
    mem_free(p);
}

/* --- the thread --- */

static void make_file(struct pulse *p, int *fd)
{
    struct stat st;

    *fd = open(p->path, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
    if (*fd >= 0 && fstat(*fd, &st) == 0) atomic_store(&p->dev, st.st_dev);
}

static bool wait_turn(struct pulse *p)
{
    usec_t until_us = clock_mono_us() + PULSE_US;
    struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
    bool stopping;

    pthread_mutex_lock(&p->lock);
    if (!p->stopping) pthread_cond_timedwait(&p->wake, &p->lock, &until);
    stopping = p->stopping;
    pthread_mutex_unlock(&p->lock);
    return !stopping;
}

static void *run(void *arg)
{
    struct pulse *p = arg;
    int fd = -1;

    while (wait_turn(p)) {
        atomic_store(&p->since_us, clock_mono_us());
        if (fd < 0) make_file(p, &fd);
        if (fd >= 0 && pwrite(fd, block, BLOCK, 0) != BLOCK) fd_close(&fd);
        atomic_store(&p->since_us, 0);
    }
    fd_close(&fd);
    unref(p);
    return NULL;
}

/* --- the loop's side --- */

struct pulse *pulse_new(const char *path)
{
    struct pulse *p = NEW(struct pulse);
    pthread_condattr_t clock;
    pthread_attr_t attr;
    pthread_t thread;

    p->path = mem_dup(path, strlen(path) + 1);
    atomic_store(&p->users, 2);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, run, p) != 0) {
        atomic_store(&p->users, 1);
        unref(p);
        p = NULL;
    }
    pthread_attr_destroy(&attr);
    return p;
}

void pulse_free(struct pulse *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    unref(p);
}

/* Reads and writes that the device has finished. false: nobody counts them. */
static bool count_finished(dev_t dev, uint64_t *ret)
{
    char path[64];
    uint8_t *text = NULL;
    struct span rest, word;
    uint64_t n = 0, v;
    size_t len;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(dev), minor(dev));
    if (fd_read_file(AT_FDCWD, path, STAT_MAX, &text, &len) < 0) return false;
    rest = span_trim(span(text, len));
    for (int field = 0; field <= STAT_WRITES; field++) {
        rest = span_trim(rest);
        if (!span_split(&rest, ' ', &word) || !span_u64(word, UINT64_MAX, &v)) break;
        if (field == STAT_READS || field == STAT_WRITES) n += v;
    }
    mem_free(text);
    *ret = n;
    return true;
}

bool pulse_silent(struct pulse *p, usec_t now_us)
{
    usec_t since_us = atomic_load(&p->since_us);
    uint64_t n, dev = atomic_load(&p->dev);
    bool counted = dev != 0 && count_finished((dev_t)dev, &n);

    if (counted && n != p->finished) {
        p->finished = n;
        p->moved_us = now_us;
    }
    return since_us > 0 && now_us - MAX(since_us, p->moved_us) > (counted ? PULSE_SILENT_US : PULSE_BLIND_US);
}
