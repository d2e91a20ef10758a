#include "archive/segment.h"
#include "archive/segbox.h"
#include "archive/segtable.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_MODE    0640
#define FOLDER_MODE  02750
#define COUNTER_MAX  255             /* segments that begin in one millisecond */
#define LEAD_MAX_US  (10 * US_PER_S) /* other tracks may begin so much before the key frame */
#define GUESSED_RATE 25              /* frames a second, where only one is known */
#define TABLE_MAX    (32u << 20)     /* bytes */
#define CACHE_KEEP   (4u << 20)      /* newest bytes of the open file that stay in the page cache */
#define CACHE_STEP   (1u << 20)
#define HEAD_MAX     (64u << 10) /* of the file, and of a fragment */

_Static_assert(SEG_FRAGMENT_MAX + 2 <= IOV_MAX, "a fragment is one writev");

/* What an append changes, and taking it back restores. */
struct written {
    uint64_t bytes;
    uint32_t crc;
    uint32_t seq;
    usec_t end_us;
    uint32_t samples, damaged, repaired;
    unsigned based; /* bit i: base_dts of track i is fixed */
    unsigned early; /* bit i: track i has a sample in the first SEG_QUIET_US */
    size_t table_n;
    struct segtable_at at;
};

struct segw {
    int fd, records_fd;
    struct seg_info info;
    unsigned mask, sound; /* seg_sound */
    uint8_t n_tracks;
    uint8_t primary; /* its key frames are listed */
    uint32_t hz[TRACK_MAX];
    usec_t origin_us; /* media time at tfdt 0 */
    uint32_t key_apart_ms;
    struct written now, before;
    struct buf table, head;
    uint64_t let_go; /* up to this byte the file was taken out of the page cache */
    /* of the append that runs; kept, as the next one needs as much */
    struct mp4_sample *s;
    struct iovec *iov;
    size_t cap;
};

int seg_lock(int records_fd, int *ret_fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd =
        openat(records_fd, SEG_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);

    if (fd < 0) return -errno;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        int err = errno;

        close(fd);
        return err == EAGAIN || err == EACCES ? SEGW_E_LOCKED : -err;
    }
    *ret_fd = fd;
    return SEGW_OK;
}

/* Opens the folders of path one by one and makes those that are missing; no link is followed. */
static int open_folder(int records_fd, const char *path, int *ret_fd)
{
    struct span rest = span_of(path), name;
    int fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 0);

    while (fd >= 0 && span_split(&rest, '/', &name) && rest.p) {
        char folder[SEG_PATH_MAX];
        int sub;

        span_copy(name, folder, sizeof(folder));
        if (mkdirat(fd, folder, FOLDER_MODE) < 0 && errno != EEXIST) break;
        sub = openat(fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        close(fd);
        fd = sub;
    }
    if (fd >= 0 && rest.p) {
        int err = -errno;

        close(fd);
        return err;
    }
    if (fd < 0) return -errno;
    *ret_fd = fd;
    return 0;
}

/* Behind the last '/'. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int create_file(struct segw *w)
{
    CLEANUP(fd_close) int folder = -1;
    int err;

    w->info.id = (uint64_t)(w->info.start_us / US_PER_MS) << 8;
    if (!seg_id_ok(w->info.id)) return -EINVAL;
    seg_path_of(w->info.id, w->info.path);
    err = open_folder(w->records_fd, w->info.path, &folder);
    if (err) return err;
    for (int i = 0; i <= COUNTER_MAX; i++, w->info.id++) {
        seg_path_of(w->info.id, w->info.path);
        w->fd = openat(
            folder, file_name(w->info.path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
        if (w->fd >= 0 || errno != EEXIST) break;
    }
    return w->fd < 0 ? -errno : 0;
}

static usec_t media_us(const struct segw *w, const struct frame *f)
{
    return ticks_us((struct ticks){f->dts, w->hz[f->track]});
}

static bool ours(const struct segw *w, const struct frame *f)
{
    return f->track < w->n_tracks && w->mask & 1u << f->track && f->data.n > 0;
}

/* The track's media time at tfdt 0, at its first frame. One that turns up late with an earlier time than the
 * segment's start is late in the file by that much, which base_dts knows. */
static void fix_base(struct segw *w, const struct frame *f)
{
    int64_t base = scale_i64(w->origin_us, w->hz[f->track], 1000000);

    if (w->now.based & 1u << f->track) return;
    w->info.base_dts[f->track] = MIN(base, f->dts);
    w->now.based |= 1u << f->track;
}

/* Origin: the earliest frame of the first fragment, so that tfdt starts at 0 in the track that begins first.
 */
static int fix_start(struct segw *w, const struct segw_setup *setup)
{
    const struct frame *first = &setup->first[0], *lead = first;

    if (setup->n_first == 0 || !ours(w, first)) return -EINVAL;
    if (!(first->flags & FRAME_KEY) && !setup->continues) return -EINVAL;
    for (size_t i = 1; i < setup->n_first; i++) {
        const struct frame *f = &setup->first[i];

        if (!ours(w, f) || media_us(w, f) < media_us(w, first) - LEAD_MAX_US) continue;
        if (media_us(w, f) < media_us(w, lead)) lead = f;
    }
    w->origin_us = media_us(w, lead);
    w->info.start_us = first->wall_us - (media_us(w, first) - w->origin_us);
    if (w->info.start_us < 0 || w->origin_us < 0) return -EINVAL;
    /* exact for the leader, whose microseconds are rounded */
    w->info.base_dts[lead->track] = lead->dts;
    w->now.based = 1u << lead->track;
    for (size_t i = 0; i < setup->n_first; i++)
        if (ours(w, &setup->first[i])) fix_base(w, &setup->first[i]);
    for (unsigned t = 0; t < w->n_tracks; t++)
        if (!(w->now.based & 1u << t)) w->info.base_dts[t] = scale_i64(w->origin_us, w->hz[t], 1000000);
    return 0;
}

/* All of head and iov behind the file's last whole fragment, or nothing of it. */
static int write_behind(struct segw *w, struct iovec *iov, size_t n, size_t total)
{
    uint64_t at = w->now.bytes;
    size_t done = 0;

    while (done < total) {
        ssize_t got = pwritev(w->fd, iov, (int)n, (off_t)(at + done));

        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            int err = got < 0 ? -errno : -EIO;

            if (ftruncate(w->fd, (off_t)at) < 0) return err; /* the keeper cuts it */
            return err;
        }
        done += (size_t)got;
        while (n > 0 && (size_t)got >= iov->iov_len) {
            got -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0 && got > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + got;
            iov->iov_len -= (size_t)got;
        }
    }
    return 0;
}

static struct iovec iovec_of(struct span s)
{
    struct iovec v = {.iov_len = s.n};

    memcpy(&v.iov_base, &s.p, sizeof(v.iov_base)); /* writev does not write to it */
    return v;
}

static int write_head(struct segw *w, const struct track_set *tracks)
{
    struct iovec iov;
    int err;

    if (!mp4_init_segment(&w->head, tracks, w->mask) || !segbox_head(&w->head, &w->info)) return -ENOMEM;
    iov = iovec_of(buf_span(&w->head));
    err = write_behind(w, &iov, 1, iov.iov_len);
    if (err) return err;
    w->now.bytes = buf_n(&w->head);
    w->now.crc = crc32c(0, buf_span(&w->head));
    buf_clear(&w->head);
    return 0;
}

int segw_open(int records_fd, const struct segw_setup *setup, struct segw **ret)
{
    struct segw *w = NEW(struct segw);
    int err = 0;

    w->fd = -1;
    w->records_fd = fcntl(records_fd, F_DUPFD_CLOEXEC, 0);
    if (w->records_fd < 0) err = -errno;
    if (!span_copy(span_of(setup->uid), w->info.uid, sizeof(w->info.uid)) || !seg_uid_ok(setup->uid))
        err = -EINVAL;
    w->mask = mp4_mask(setup->tracks, MP4_ALL);
    w->sound = seg_sound(setup->tracks);
    w->n_tracks = setup->tracks->n;
    for (unsigned t = 0; t < w->n_tracks; t++) w->hz[t] = setup->tracks->t[t].clock_hz;
    w->primary = seg_primary(setup->tracks, w->mask);
    w->info.tracks_hash = seg_tracks_hash(setup->tracks);
    w->info.clock = setup->clock;
    w->info.clock_offset_us = setup->clock_offset_us;
    w->info.flags = setup->discont ? SEG_DISCONT : 0;
    if (setup->n_first > 0 && !(setup->first[0].flags & FRAME_KEY)) w->info.flags |= SEG_CONTINUES;
    w->key_apart_ms = SEG_KEY_APART_MS;
    w->now.at = segtable_start();
    buf_init(&w->table, TABLE_MAX);
    buf_init(&w->head, HEAD_MAX);
    if (!err) err = fix_start(w, setup);
    w->now.end_us = w->info.start_us;
    if (!err) err = create_file(w);
    if (!err) err = write_head(w, setup->tracks);
    w->before = w->now;
    if (err) {
        if (w->fd >= 0) unlinkat(w->records_fd, w->info.path, 0);
        segw_abandon(w);
        return err;
    }
    *ret = w;
    return 0;
}

uint64_t segw_id(const struct segw *w)
{
    return w->info.id;
}

const char *segw_path(const struct segw *w)
{
    return w->info.path;
}

usec_t segw_start_us(const struct segw *w)
{
    return w->info.start_us;
}

usec_t segw_end_us(const struct segw *w)
{
    return w->now.end_us;
}

uint64_t segw_bytes(const struct segw *w)
{
    return w->now.bytes;
}

void segw_clock(struct segw *w, enum seg_clock clock, int64_t offset_us)
{
    if (w->info.clock != SEG_CLOCK_SERVER) return;
    w->info.clock = clock;
    w->info.clock_offset_us = offset_us;
}

static bool scratch(struct segw *w, size_t n)
{
    struct mp4_sample *s;
    struct iovec *iov;

    if (n <= w->cap) return true;
    s = mem_retry(w->s, n * sizeof(*s));
    if (s) w->s = s;
    iov = mem_retry(w->iov, (n + 2) * sizeof(*iov));
    if (iov) w->iov = iov;
    if (!s || !iov) return false;
    w->cap = n;
    return true;
}

/* The frames that are ours, one track behind the other: samples, pieces and their order. Returns how many. */
static size_t gather(struct segw *w, const struct frame *frames, size_t n, size_t *ret_total)
{
    int64_t dts[TRACK_MAX] = {0};
    size_t count = 0;

    *ret_total = 0;
    for (uint8_t t = 0; t < w->n_tracks; t++) {
        size_t from = count;

        for (size_t i = 0; i < n; i++) {
            const struct frame *f = &frames[i];
            struct mp4_sample *s = &w->s[count];

            if (f->track != t || !ours(w, f)) continue;
            fix_base(w, f);
            *s = (struct mp4_sample){.size = (uint32_t)f->data.n,
                .dts = f->dts - w->info.base_dts[t],
                .cts = f->cts,
                .dur = f->dur ? f->dur : w->now.at.t[t].dur,
                .flags = f->flags,
                .track = t};
            if (count > from && s->dts > dts[t] && s->dts - dts[t] <= UINT32_MAX)
                s[-1].dur = (uint32_t)(s->dts - dts[t]);
            if (s->dur == 0) s->dur = count > from ? s[-1].dur : w->hz[t] / GUESSED_RATE;
            dts[t] = s->dts;
            w->iov[++count] = iovec_of(f->data);
            *ret_total += f->data.n;
        }
    }
    return count;
}

/* What the info says of the frames, in the order of the table: as gather put them. Key frames lie where
 * readers find them, on the line of start and media time; the end is no earlier than that, and no earlier
 * than the last frame's own wall clock. */
static void account(struct segw *w, const struct frame *frames, size_t n)
{
    const struct mp4_sample *s = w->s;

    for (uint8_t t = 0; t < w->n_tracks; t++) {
        for (size_t i = 0; i < n; i++) {
            const struct frame *f = &frames[i];
            usec_t at, end;

            if (f->track != t || !ours(w, f)) continue;
            /* as readers of the table count it (seg_wall_us) */
            at = w->info.start_us + ticks_us((struct ticks){s->dts, w->hz[t]});
            if (at - w->info.start_us <= SEG_QUIET_US) w->now.early |= 1u << t;
            end = MAX(at, f->wall_us) + ticks_us((struct ticks){s++->dur, w->hz[t]});
            if (t == w->primary && f->flags & FRAME_KEY)
                seg_keys_add(&w->info, &w->key_apart_ms, at, w->now.samples);
            if (f->flags & FRAME_DAMAGED) w->now.damaged++;
            if (f->flags & FRAME_REPAIRED) w->now.repaired++;
            w->now.end_us = MAX(w->now.end_us, end);
            w->now.samples++;
        }
    }
}

/* Head, count frames and the mark behind them, whose bytes are `mark`. */
static void checksum(struct segw *w, size_t count, struct wr *mark)
{
    for (size_t i = 0; i <= count; i++)
        w->now.crc = crc32c(w->now.crc, span(w->iov[i].iov_base, w->iov[i].iov_len));
    segbox_mark(mark, w->now.crc);
    w->iov[count + 1] = iovec_of(wr_span(mark));
    w->now.crc = crc32c(w->now.crc, wr_span(mark));
}

/* Footage is written once and seldom read: left in the page cache it drives out what is read (indexes,
 * tables), and each new page of the cache costs more than the copy into it. What is behind the newest bytes
 * by more than CACHE_KEEP is clean by then (syncfs), or its writing is begun by this. */
static void let_go(struct segw *w)
{
    if (w->now.bytes < w->let_go + CACHE_KEEP + CACHE_STEP) return;
    w->let_go = w->now.bytes - CACHE_KEEP;
    (void)posix_fadvise(w->fd, 0, (off_t)w->let_go, POSIX_FADV_DONTNEED);
}

int segw_append(struct segw *w, const struct frame *frames, size_t n)
{
    uint8_t mark_mem[SEGBOX_MARK_BYTES];
    struct wr mark = wr_of(mark_mem, sizeof(mark_mem));
    size_t count, total;
    int err;

    if (n == 0 || n > SEG_FRAGMENT_MAX) return -EINVAL;
    if (!scratch(w, n)) return -ENOMEM;
    w->before = w->now;
    count = gather(w, frames, n, &total);
    if (count == 0) return SEGW_OK;
    if (w->now.samples + count > SEG_SAMPLES_MAX || w->now.bytes + total > SEG_BYTES_MAX) {
        w->now = w->before;
        return SEGW_E_LARGE;
    }
    buf_clear(&w->head);
    if (!mp4_fragment_head(&w->head, w->now.seq + 1, w->s, count, NULL)) {
        w->now = w->before;
        return -ENOMEM;
    }
    w->iov[0] = iovec_of(buf_span(&w->head));
    checksum(w, count, &mark);
    err = write_behind(w, w->iov, count + 2, buf_n(&w->head) + total + SEGBOX_MARK_BYTES);
    if (err) {
        w->now = w->before;
        return err;
    }
    for (size_t i = 0, at = w->now.bytes + buf_n(&w->head); i < count; at += w->s[i++].size)
        w->s[i].offset = at;
    if (!segtable_write(&w->table, &w->now.at, w->s, count)) {
        segw_undo_last(w);
        return -ENOMEM;
    }
    w->now.table_n = buf_n(&w->table);
    w->now.bytes += buf_n(&w->head) + total + SEGBOX_MARK_BYTES;
    w->now.seq++;
    account(w, frames, n);
    let_go(w);
    return SEGW_OK;
}

int segw_undo_last(struct segw *w)
{
    w->now = w->before;
    w->table.to = w->table.from + w->now.table_n;
    while (w->info.n_keys > 0 && w->info.keys[w->info.n_keys - 1].sample >= w->now.samples) w->info.n_keys--;
    return ftruncate(w->fd, (off_t)w->now.bytes) < 0 ? -errno : 0;
}

static int write_footer(struct segw *w)
{
    struct iovec iov[3];
    struct buf tail;
    int err = -ENOMEM;

    buf_init(&tail, SEGBOX_INFO_MAX);
    buf_clear(&w->head);
    if (segbox_footer(&w->head, &tail, buf_span(&w->table), &w->info)) {
        iov[0] = iovec_of(buf_span(&w->head));
        iov[1] = iovec_of(buf_span(&w->table));
        iov[2] = iovec_of(buf_span(&tail));
        err = write_behind(w, iov, 3, (size_t)(w->info.bytes - w->info.table_at));
    }
    buf_done(&tail);
    return err;
}

int segw_close(struct segw *w, struct seg_info *ret)
{
    int err = 0;

    w->info.end_us = w->now.end_us;
    w->info.table_at = w->now.bytes;
    w->info.crc = w->now.crc;
    w->info.samples = w->now.samples;
    w->info.damaged = w->now.damaged;
    w->info.repaired = w->now.repaired;
    if (w->info.damaged > 0) w->info.flags |= SEG_DAMAGED;
    w->info.tracks_hash = seg_hash_without(w->info.tracks_hash, w->sound & ~w->now.early);
    if (w->info.samples == 0)
        err = unlinkat(w->records_fd, w->info.path, 0) < 0 ? -errno : 0;
    else
        err = write_footer(w);
    if (!err) *ret = w->info;
    segw_abandon(w);
    return err;
}

void segw_abandon(struct segw *w)
{
    if (!w) return;
    fd_close(&w->fd);
    fd_close(&w->records_fd);
    buf_done(&w->table);
    buf_done(&w->head);
    mem_free(w->s);
    mem_free(w->iov);
    mem_free(w);
}
