#include "master/state_file.h"
#include "common/base/err.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LAST_MS 500 /* for the last write, when the master ends */

struct state_file {
    int dir;
    const char *name;
    mode_t mode;
    size_t most; /* of a file that is added to; 0: it is written whole */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    char *next; /* guarded by lock; NULL: nothing to write */
    size_t next_n;
    uint64_t last; /* guarded: the number of the newest write */
    bool end, abandoned;
    _Atomic int err;
    struct log_rate said;
    _Atomic uint64_t kept;
};

static int write_file(const struct state_file *f, struct span content)
{
    char tmp[64];
    CLEANUP(fd_close) int fd = -1;
    int err;

    snprintf(tmp, sizeof(tmp), "%s.new", f->name);
    fd = openat(f->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, f->mode);
    if (fd < 0) return -errno;
    err = fd_write_all(fd, content);
    if (err < 0) return err;
    if (fsync(fd) < 0 || renameat(f->dir, tmp, f->dir, f->name) < 0 || fsync(f->dir) < 0) return -errno;
    return 0;
}

static void set_aside(const struct state_file *f)
{
    char from[64], to[64];

    for (unsigned i = STATE_FILE_OLDER; i > 0; i--) {
        snprintf(from, sizeof(from), "%s.%u", f->name, i - 1);
        snprintf(to, sizeof(to), "%s.%u", f->name, i);
        (void)renameat(f->dir, i > 1 ? from : f->name, f->dir, to); /* there may be none yet */
    }
}

static int append_file(const struct state_file *f, struct span content)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat st;
    int err;

    if (fstatat(f->dir, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size > f->most)
        set_aside(f);
    fd = openat(f->dir, f->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -errno;
    err = fd_write_all(fd, content);
    if (err < 0) return err;
    return fsync(fd) < 0 || fsync(f->dir) < 0 ? -errno : 0;
}

/* What is to be written next; false: nothing, and the end. */
static bool take(struct state_file *f, char **ret, size_t *ret_n, uint64_t *ret_number)
{
    pthread_mutex_lock(&f->lock);
    while (!f->next && !f->end) pthread_cond_wait(&f->wake, &f->lock);
    *ret = f->next;
    *ret_n = f->next_n;
    *ret_number = f->last;
    f->next = NULL;
    pthread_mutex_unlock(&f->lock);
    return *ret != NULL;
}

static void release(struct state_file *f)
{
    mem_free(f->next);
    fd_close(&f->dir);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

static void *run(void *arg)
{
    struct state_file *f = arg;
    bool abandoned;
    uint64_t number;
    char *content;
    size_t n;

    while (take(f, &content, &n, &number)) {
        int err = f->most > 0 ? append_file(f, span(content, n)) : write_file(f, span(content, n));

        if (err < 0)
            atomic_store(&f->err, err);
        else
            atomic_store(&f->kept, number);
        mem_free(content);
    }
    pthread_mutex_lock(&f->lock);
    abandoned = f->abandoned;
    f->end = false; /* nobody may abandon it any more */
    pthread_mutex_unlock(&f->lock);
    if (abandoned) release(f);
    return NULL;
}

static void start(struct state_file *f)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    must(pthread_create(&f->thread, NULL, run, f) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    f->started = true;
}

struct state_file *state_file_new(int dir, const char *name)
{
    int own = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    struct state_file *f;

    if (own < 0) return NULL;
    f = NEW(struct state_file);
    f->dir = own;
    f->name = name;
    f->mode = 0640;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    return f;
}

struct state_file *state_file_private(int dir, const char *name)
{
    struct state_file *f = state_file_new(dir, name);

    if (f) f->mode = 0600;
    return f;
}

struct state_file *state_file_log(int dir, const char *name, size_t most)
{
    struct state_file *f = state_file_new(dir, name);

    if (f) f->most = most;
    return f;
}

uint64_t state_file_write(struct state_file *f, struct span content)
{
    uint64_t number;

    if (!f->started) start(f);
    pthread_mutex_lock(&f->lock);
    mem_free(f->next);
    f->next = mem_dup(content.p, content.n); /* any bytes: span_dup is for texts */
    f->next_n = content.n;
    number = ++f->last;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    return number;
}

uint64_t state_file_kept(const struct state_file *f)
{
    return atomic_load(&f->kept);
}

bool state_file_add(struct state_file *f, struct span content)
{
    bool room;

    if (!f->started) start(f);
    pthread_mutex_lock(&f->lock);
    if (!f->next) f->next_n = 0;
    room = f->next_n + content.n <= STATE_FILE_WAITS;
    if (room) {
        f->next = mem_renew(f->next, f->next_n + content.n);
        memcpy(f->next + f->next_n, content.p, content.n);
        f->next_n += content.n;
        pthread_cond_signal(&f->wake);
    }
    pthread_mutex_unlock(&f->lock);
    return room;
}

int state_file_failed(struct state_file *f)
{
    return atomic_exchange(&f->err, 0);
}

void state_file_too_large(struct state_file *f)
{
    atomic_store(&f->err, -EFBIG);
}

bool state_file_say(struct state_file *f)
{
    int err = state_file_failed(f);
    uint32_t held;

    if (err < 0 && log_limited(&f->said, clock_mono_us(), &held))
        log_error("state-dir-write", "file=%s err=%s held=%u", f->name, log_q(span_of(err_text(err))), held);
    return err < 0;
}

/* --- at the start --- */

#define ASIDE_MAX 64

static const char *aside_of(const char *name, char dst[static ASIDE_MAX])
{
    snprintf(dst, ASIDE_MAX, "%s.bad", name);
    return dst;
}

void state_file_set_aside(int dir, const char *name, int err)
{
    char aside[ASIDE_MAX];
    bool kept = renameat(dir, name, dir, aside_of(name, aside)) == 0;

    log_error(
        "state-lost", "file=%s err=%s kept=%s", name, log_q(span_of(err_text(err))), kept ? aside : "no");
}

bool state_file_is_aside(int dir, const char *name)
{
    char aside[ASIDE_MAX];

    return faccessat(dir, aside_of(name, aside), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int state_file_read(int dir, const char *name, size_t most, state_take_fn *fn, void *arg)
{
    uint8_t *bytes;
    size_t n;
    int err = fd_read_file(dir, name, most, &bytes, &n);

    if (err == -ENOENT) return 0;
    if (err == 0) {
        if (!fn(arg, span(bytes, n))) err = -EBADMSG;
        mem_free(bytes);
    }
    if (err < 0) state_file_set_aside(dir, name, err);
    return err;
}

static bool ended(struct state_file *f)
{
    struct timespec until;

    if (!f->started) return true;
    pthread_mutex_lock(&f->lock);
    f->end = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LAST_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_timedjoin_np(f->thread, NULL, &until) == 0;
}

/* The thread releases it when the disk lets it go. false: it has come to its end in the meantime. */
static bool abandon(struct state_file *f)
{
    pthread_t thread = f->thread;
    bool late;

    pthread_mutex_lock(&f->lock);
    late = f->abandoned = f->end;
    pthread_mutex_unlock(&f->lock);
    if (late)
        pthread_detach(thread); /* f may be gone by now */
    else
        pthread_join(thread, NULL);
    return late;
}

void state_file_free(struct state_file *f)
{
    if (!f) return;
    if (ended(f) || !abandon(f)) release(f);
}
