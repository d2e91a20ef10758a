#include "archive/work_clock.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SAVE_US  (60 * US_PER_S)
#define TEXT_N   21 /* 20 digits and a newline: written over in place */
#define MODE     0640
#define STREAMS  64 /* a page */
#define FILE_MAX 64

/* 0: there is none, or it cannot be read. */
static usec_t read_file(const struct work *w)
{
    uint8_t *p = NULL;
    int64_t us = 0;
    size_t n;

    if (fd_read_file(w->storage.fd, WORK_CLOCK_FILE, FILE_MAX, &p, &n) < 0) return 0;
    if (!span_i64(span_trim(span(p, n)), &us) || us < 0 || us > SEG_TIME_MAX_US) us = 0;
    mem_free(p);
    return us;
}

/* What a clock that was ahead has left behind lies in the future and says nothing. */
static usec_t newest_footage(const struct work *w, usec_t wall_us)
{
    struct index_total page[STREAMS] = {0};
    struct seg_info *info = NEW(struct seg_info);
    char after[sizeof(page[0].uid)] = "";
    usec_t newest_us = 0;
    size_t n = STREAMS;

    while (n == STREAMS && index_totals(w->indexer.ix, after, page, STREAMS, &n) >= 0) {
        for (size_t i = 0; i < n; i++)
            if (index_last_by(w->indexer.ix, page[i].uid, wall_us, info) == INDEX_OK)
                newest_us = MAX(newest_us, MIN(info->end_us, wall_us));
        if (n > 0) memcpy(after, page[n - 1].uid, sizeof(after));
    }
    mem_free(info);
    return newest_us;
}

void work_clock_opened(struct work *w)
{
    usec_t wall_us = clock_wall_us(), known_us = read_file(w);

    if (known_us == 0) known_us = newest_footage(w, wall_us);
    age_clock_learn(&w->clock.age, known_us, wall_us, clock_boot_us());
    w->clock.saved_us = 0;
    (void)work_clock_now(w);
}

usec_t work_clock_now(struct work *w)
{
    struct work_clock *c = &w->clock;
    bool was = c->ahead_us > 0;

    c->now_us = age_clock_now(&c->age, clock_wall_us(), clock_boot_us(), &c->ahead_us);
    if (was == (c->ahead_us > 0)) return c->now_us;
    if (was)
        log_note("storage-clock", "storage=%s ahead_s=0", w->conf->name);
    else
        log_error("storage-clock",
            "storage=%s ahead_s=%lld action=\"ages are counted without it\" confirm=\"msctl storage clock "
            "%s\"",
            w->conf->name, (long long)(c->ahead_us / US_PER_S), w->conf->name);
    return c->now_us;
}

static int save(struct work *w)
{
    CLEANUP(fd_close)
    int fd = openat(w->storage.fd, WORK_CLOCK_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    char text[TEXT_N + 1];

    if (fd < 0) return -errno;
    snprintf(text, sizeof(text), "%020lld\n", (long long)MAX(w->clock.age.known_us, 0));
    return pwrite(fd, text, TEXT_N, 0) == TEXT_N ? 0 : -EIO;
}

void work_clock_tick(struct work *w, usec_t now_us)
{
    struct work_clock *c = &w->clock;
    int err;

    if (!c->age.begun) return;
    (void)work_clock_now(w);
    if (w->storage.state != STORAGE_OK || (c->saved_us > 0 && now_us - c->saved_us < SAVE_US)) return;
    c->saved_us = now_us;
    age_clock_learn(&c->age, 0, 0, clock_boot_us()); /* what has gone by is known, too */
    err = save(w);
    if (err)
        log_warn("storage-clock-file", "storage=%s err=%s", w->conf->name, log_q(span_of(err_text(err))));
}

bool work_clock_accept(struct work *w, struct answer *a)
{
    if (strcmp(a->ask.args[0], w->conf->name) != 0) return false;
    age_clock_accept(&w->clock.age, clock_wall_us(), clock_boot_us());
    (void)work_clock_now(w);
    w->clock.saved_us = 0;
    w->keep.due_us = 0;
    return false;
}
