#include "archive/reader.h"
#include "archive/segbox.h"
#include "archive/segment.h"
#include "archive/segtable.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/media/mp4_read.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEAD_READ 16384u        /* bytes at the start: ftyp, moov and our head lie within */
#define TAIL_READ 8192u         /* bytes at the end: the info box lies within */
#define MOOF_MAX  (4u << 20)    /* bytes */
#define TABLE_MAX (64ull << 20) /* bytes of footer */

_Static_assert(TAIL_READ >= SEGBOX_INFO_MAX, "the info box in one read");

/* No link is followed on the way below the storage (openat2: Linux 5.6). */
int seg_open(const char *storage_path, const char *uid, const char *path, int *ret_fd)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    CLEANUP(fd_close) int folder = -1;
    char below[2 * SEG_PATH_MAX];
    uint64_t id;
    long fd;

    if (!seg_uid_ok(uid) || !seg_path_parse(path, &id)) return -EINVAL;
    if (snprintf(below, sizeof(below), "%s/records/%s", uid, path) >= (int)sizeof(below))
        return -ENAMETOOLONG;
    folder = open(storage_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    fd = syscall(SYS_openat2, folder, below, &how, sizeof(how));
    if (fd < 0) return -errno;
    *ret_fd = (int)fd;
    return 0;
}

/* n bytes from `at`, or fewer at the end of the file. 0 or -errno. */
static int read_at(int fd, uint64_t at, void *dst, size_t n, struct span *ret)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = pread(fd, (uint8_t *)dst + have, n - have, (off_t)(at + have));

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        have += (size_t)got;
    }
    *ret = span(dst, have);
    return 0;
}

static int file_size(int fd, uint64_t *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0) return -errno;
    if (!S_ISREG(st.st_mode)) return SEG_E_BAD;
    *ret = (uint64_t)st.st_size;
    return SEG_OK;
}

int seg_info_load(int fd, struct seg_info *ret)
{
    uint8_t mem[TAIL_READ];
    uint64_t bytes = 0;
    uint32_t n;
    struct span tail = SPAN_NONE;
    int err = file_size(fd, &bytes);

    if (!err) err = read_at(fd, bytes > TAIL_READ ? bytes - TAIL_READ : 0, mem, TAIL_READ, &tail);
    if (err) return err;
    n = tail.n >= 4 ? segbox_info_size(span_from(tail, tail.n - 4)) : 0;
    if (n == 0 || n > tail.n || !segbox_info_read(span_from(tail, tail.n - n), ret)) return SEG_E_NO_FOOTER;
    return ret->bytes == bytes ? SEG_OK : SEG_E_BAD;
}

/* The tracks at the numbers they were written by: track id - 1. */
static bool place_tracks(const struct mp4_movie *m, struct track_set *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < m->tracks.n; i++) {
        if (m->id[i] > TRACK_MAX || ret->t[m->id[i] - 1].codec != CODEC_NONE) return false;
        ret->t[m->id[i] - 1] = m->tracks.t[i];
        ret->n = (uint8_t)MAX(ret->n, m->id[i]);
    }
    for (unsigned i = 0; i < ret->n; i++)
        if (ret->t[i].codec == CODEC_NONE) ret->t[i] = (struct track){.kind = TRACK_DATA, .clock_hz = 1};
    return ret->n > 0;
}

/* What stands before the first fragment: the movie with its tracks renumbered, our head (ret_info may be
 * NULL), and where the fragments begin. */
static int read_head(
    int fd, uint64_t bytes, struct mp4_movie *ret_m, struct seg_info *ret_info, uint64_t *ret_at)
{
    CLEANUP(mem_freep) uint8_t *mem = mem_try(HEAD_READ);
    bool moov = false, head = false;
    struct span all = SPAN_NONE;
    uint64_t at = 0;
    struct mp4_box b;
    int err;

    if (!mem) return -ENOMEM;
    err = read_at(fd, 0, mem, (size_t)MIN(bytes, HEAD_READ), &all);
    if (err) return err;
    while (!head && mp4_box_head(span_from(all, (size_t)at), all.n - at, &b) == MP4_OK) {
        struct span body = span_sub(all, (size_t)at + b.head, (size_t)b.size - b.head);
        struct seg_info info;

        if (b.type == MP4_TYPE('m', 'o', 'o', 'v')) moov = mp4_read_moov(body, ret_m) == MP4_OK;
        if (b.type == MP4_TYPE('u', 'u', 'i', 'd')) {
            head = segbox_head_read(body, &info);
            if (head && ret_info) *ret_info = info;
        }
        at += b.size;
    }
    if (!moov || !head) return SEG_E_BAD;
    *ret_at = at;
    return SEG_OK;
}

static struct seg_table *table_new(void)
{
    return mem_try(sizeof(struct seg_table));
}

void seg_table_free(struct seg_table *t)
{
    if (!t) return;
    mem_free(t->s);
    mem_free(t);
}

/* Each duration to the next sample of its track, and dts as media time when base is not NULL. */
static void settle(struct seg_table *t, size_t from, const int64_t *base)
{
    size_t last[TRACK_MAX];

    for (size_t i = 0; i < TRACK_MAX; i++) last[i] = SIZE_MAX;
    for (size_t i = from; base && i < t->n; i++) t->s[i].dts += base[t->s[i].track];
    for (size_t i = 0; i < t->n; i++) {
        struct mp4_sample *s = &t->s[i];

        if (last[s->track] != SIZE_MAX) {
            struct mp4_sample *before = &t->s[last[s->track]];

            if (s->dts > before->dts && s->dts - before->dts <= UINT32_MAX)
                before->dur = (uint32_t)(s->dts - before->dts);
        }
        last[s->track] = i;
    }
}

/* Media time as a wall clock could be. */
static bool media_ok(const struct seg_table *t, uint8_t track, int64_t dts)
{
    return dts >= 0 && dts <= INT64_MAX / 4 && dts / t->tracks.t[track].clock_hz < SEG_TIME_MAX_US / US_PER_S;
}

static bool bases_ok(const struct seg_table *t)
{
    for (uint8_t i = 0; i < t->tracks.n; i++)
        if (t->tracks.t[i].codec != CODEC_NONE && !media_ok(t, i, t->info.base_dts[i])) return false;
    return true;
}

/* From that one on, whose dts still counts from tfdt 0. */
static bool samples_ok(const struct seg_table *t, size_t from)
{
    for (size_t i = from; i < t->n; i++) {
        const struct mp4_sample *s = &t->s[i];

        if (s->track >= t->tracks.n || t->tracks.t[s->track].codec == CODEC_NONE) return false;
        if (!media_ok(t, s->track, s->dts) || !media_ok(t, s->track, s->dts + t->info.base_dts[s->track]))
            return false;
    }
    return true;
}

static int load_table(int fd, struct seg_table *t)
{
    uint64_t n = t->info.bytes - t->info.table_at;
    CLEANUP(mem_freep) uint8_t *mem = NULL;
    struct span from = SPAN_NONE, table;
    int err;

    /* At least two bytes a sample bound what is allocated by what is there. */
    if (n > TABLE_MAX || t->info.samples > n / 2 || t->info.samples > SEG_SAMPLES_MAX) return SEG_E_BAD;
    mem = mem_try((size_t)MAX(n, 1));
    t->s = mem_try(MAX(t->info.samples, 1) * sizeof(*t->s));
    if (!mem || !t->s) return -ENOMEM;
    err = read_at(fd, t->info.table_at, mem, (size_t)n, &from);
    if (err) return err;
    table = segbox_table_read(from, t->info.samples);
    if (!table.p || !segtable_read(table, t->info.table_at, t->s, t->info.samples)) return SEG_E_BAD;
    t->n = t->cap = t->info.samples;
    if (!bases_ok(t) || !samples_ok(t, 0)) return SEG_E_BAD;
    t->scanned = t->info.table_at;
    settle(t, 0, t->info.base_dts);
    return SEG_OK;
}

int seg_table_load(int fd, const struct seg_info *info, struct seg_table **ret)
{
    struct seg_table *t = table_new();
    struct mp4_movie *m = mem_try(sizeof(*m));
    uint64_t bytes = 0, at;
    int err = t && m ? SEG_OK : -ENOMEM;

    if (!err) err = file_size(fd, &bytes);
    if (!err && info) t->info = *info;
    if (!err && !info) err = seg_info_load(fd, &t->info);
    if (!err && (t->info.bytes > bytes || t->info.table_at > t->info.bytes)) err = SEG_E_BAD;
    if (!err) err = read_head(fd, bytes, m, NULL, &at);
    if (!err && !place_tracks(m, &t->tracks)) err = SEG_E_BAD;
    if (!err) err = load_table(fd, t);
    mem_free(m);
    if (err) {
        seg_table_free(t);
        return err;
    }
    *ret = t;
    return SEG_OK;
}

struct filling {
    struct seg_table *t;
    bool no_memory; /* not the file's fault: a repair must not cut here */
};

static bool add_sample(void *arg, const struct mp4_sample *s)
{
    struct filling *f = arg;
    struct seg_table *t = f->t;

    if (t->n == SEG_SAMPLES_MAX) return false;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 256;
        struct mp4_sample *grown = mem_retry(t->s, cap * sizeof(*grown));

        f->no_memory = !grown;
        if (!grown) return false;
        t->s = grown;
        t->cap = cap;
    }
    t->s[t->n++] = *s;
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct mp4_sample *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The movie as mp4_read_moof wants it: samples get the numbers of the table's tracks. */
static void movie_of(const struct seg_table *t, struct mp4_movie *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->tracks.n = t->tracks.n;
    for (uint32_t i = 0; i < t->tracks.n; i++) ret->id[i] = t->tracks.t[i].codec == CODEC_NONE ? 0 : i + 1;
}

static bool is_mark(int fd, uint64_t at, uint64_t bytes)
{
    uint8_t mem[SEGBOX_MARK_BYTES];
    struct span got = SPAN_NONE;
    uint32_t crc;

    return bytes - at >= sizeof(mem) && read_at(fd, at, mem, sizeof(mem), &got) == SEG_OK &&
        segbox_mark_read(got, &crc);
}

/* Moof and mdat, or a mark, at t->scanned. SEG_OK with *ret_more false: not whole yet. */
static int scan_one(int fd, uint64_t bytes, struct seg_table *t, const struct mp4_movie *m, bool *ret_more)
{
    CLEANUP(mem_freep) uint8_t *mem = NULL;
    struct filling filling = {t, false};
    struct mp4_sink sink = {add_sample, &filling};
    uint8_t first[MP4_HEAD_MAX];
    struct mp4_box moof, mdat;
    size_t from = t->n;
    struct span got = SPAN_NONE;
    uint32_t seq;
    int err = read_at(fd, t->scanned, first, (size_t)MIN(sizeof(first), bytes - t->scanned), &got);

    *ret_more = false;
    if (err || mp4_box_head(got, bytes - t->scanned, &moof) != MP4_OK) return err;
    if (moof.type == MP4_TYPE('u', 'u', 'i', 'd') && is_mark(fd, t->scanned, bytes)) {
        t->scanned += SEGBOX_MARK_BYTES;
        *ret_more = true;
        return SEG_OK;
    }
    if (moof.type != MP4_TYPE('m', 'o', 'o', 'f') || moof.size > MOOF_MAX) return SEG_OK;
    mem = mem_try((size_t)moof.size + MP4_HEAD_MAX);
    if (!mem) return -ENOMEM;
    err = read_at(fd, t->scanned, mem, (size_t)MIN(moof.size + MP4_HEAD_MAX, bytes - t->scanned), &got);
    if (err) return err;
    if (mp4_box_head(span_from(got, (size_t)moof.size), bytes - t->scanned - moof.size, &mdat) != MP4_OK)
        return SEG_OK;
    if (mdat.type != MP4_TYPE('m', 'd', 'a', 't')) return SEG_OK;
    err = mp4_read_moof(span_sub(got, moof.head, (size_t)moof.size - moof.head), t->scanned,
        t->scanned + moof.size + mdat.size, m, &sink, &seq);
    if (err || !samples_ok(t, from)) {
        t->n = from;
        return filling.no_memory ? -ENOMEM : SEG_OK;
    }
    if (t->n > from) qsort(t->s + from, t->n - from, sizeof(*t->s), by_offset);
    t->scanned += moof.size + mdat.size;
    *ret_more = true;
    return SEG_OK;
}

/* Length, end and key frames, as the footer would say. */
static void describe(struct seg_table *t)
{
    struct seg_info *i = &t->info;
    uint32_t apart_ms = SEG_KEY_APART_MS;

    i->bytes = i->table_at = t->scanned;
    i->samples = (uint32_t)t->n;
    i->tracks_hash = seg_hash_without(t->announced_hash, seg_quiet(t));
    i->end_us = i->start_us;
    i->n_keys = 0;
    for (size_t k = 0; k < t->n; k++) {
        usec_t end =
            seg_wall_us(t, k) + ticks_us((struct ticks){t->s[k].dur, t->tracks.t[t->s[k].track].clock_hz});

        i->end_us = MAX(i->end_us, end);
    }
    for (size_t k = seg_key_at(t, i->start_us); k < t->n; k = seg_key_next(t, k))
        if (t->s[k].flags & FRAME_KEY) /* one that continues another may have none */
            seg_keys_add(i, &apart_ms, seg_wall_us(t, k), (uint32_t)k);
}

int seg_table_scan(int fd, uint64_t bytes, struct seg_table **t)
{
    struct mp4_movie *m = mem_try(sizeof(*m));
    struct seg_table *made = NULL, *tab = *t;
    uint64_t size = 0;
    size_t from;
    bool more = true;
    int err = m ? file_size(fd, &size) : -ENOMEM;

    if (!err && !tab) {
        tab = made = table_new();
        err = made ? read_head(fd, MIN(size, bytes), m, &made->info, &made->scanned) : -ENOMEM;
        if (!err && (!place_tracks(m, &made->tracks) || !bases_ok(made))) err = SEG_E_BAD;
        if (!err) made->announced_hash = made->info.tracks_hash;
    }
    if (err) {
        seg_table_free(made);
        mem_free(m);
        return err;
    }
    movie_of(tab, m);
    from = tab->n;
    while (!err && more && tab->scanned < MIN(size, bytes))
        err = scan_one(fd, MIN(size, bytes), tab, m, &more);
    settle(tab, from, tab->info.base_dts);
    describe(tab);
    mem_free(m);
    *t = tab;
    return err;
}
