#include "archive/segproof.h"
#include "archive/segbox.h"
#include "common/base/crc.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/media/mp4_box.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK      (256u << 10)
#define PROOF_MOST (64 << 20)              /* bytes of a file that is read to its end for a viewer */
#define MARK_HEAD  (SEGBOX_MARK_BYTES - 4) /* all but the checksum: the same in every mark */

struct walk {
    int fd;
    const struct segproof_watch *watch;
    uint64_t size;
    uint64_t at;  /* where the next stretch begins: behind a mark */
    uint32_t crc; /* of the file up to there, as it was written */
    bool key_due; /* a picture behind a hole has to begin anew */
    struct seg_table *t;
    struct segproof proof;
    uint32_t now; /* of the file up to `at`, as it is */
};

int segproof_crc(int fd, uint64_t at, uint64_t end, const struct segproof_watch *watch, uint32_t *crc)
{
    CLEANUP(mem_freep) uint8_t *mem = mem_new((size_t)CLAMP(end - at, 1, CHUNK));

    while (at < end) {
        ssize_t n = pread(fd, mem, (size_t)MIN(CHUNK, end - at), (off_t)at);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? -errno : -EIO;
        *crc = crc32c(*crc, span(mem, (size_t)n));
        at += (uint64_t)n;
        if (watch) watch->alive(watch->arg);
    }
    return 0;
}

static int read_mark(const struct walk *w, uint64_t at, uint8_t mem[SEGBOX_MARK_BYTES], uint32_t *ret_crc)
{
    ssize_t n = pread(w->fd, mem, SEGBOX_MARK_BYTES, (off_t)at);

    if (n < 0) return -errno;
    return n == SEGBOX_MARK_BYTES && segbox_mark_read(span(mem, SEGBOX_MARK_BYTES), ret_crc) ? SEG_OK
                                                                                             : SEG_E_BAD;
}

/* From box to box. SEG_OK, SEG_E_BAD: no mark can be reached so; -errno. */
static int mark_by_boxes(const struct walk *w, uint64_t *ret_at)
{
    uint8_t mem[SEGBOX_MARK_BYTES];
    uint64_t at = w->at;
    struct mp4_box box;
    uint32_t crc;

    while (at < w->size) {
        ssize_t n = pread(w->fd, mem, sizeof(mem), (off_t)at);

        if (n < 0) return -errno;
        if (mp4_box_head(span(mem, (size_t)n), w->size - at, &box) != MP4_OK) return SEG_E_BAD;
        if (box.size == sizeof(mem) && n == sizeof(mem) && segbox_mark_read(span(mem, sizeof(mem)), &crc)) {
            *ret_at = at;
            return SEG_OK;
        }
        at += box.size;
    }
    return SEG_E_BAD;
}

/* Byte by byte. The same. */
static int mark_by_bytes(const struct walk *w, uint64_t *ret_at)
{
    size_t most = (size_t)MIN(CHUNK, w->size - w->at);
    CLEANUP(mem_freep) uint8_t *mem = mem_new(most + 1);
    uint8_t like[SEGBOX_MARK_BYTES];
    struct wr l = wr_of(like, sizeof(like));
    uint64_t at = w->at;

    segbox_mark(&l, 0);
    while (at + SEGBOX_MARK_BYTES <= w->size) {
        ssize_t n = pread(w->fd, mem, most, (off_t)at);
        const uint8_t *found;

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n < SEGBOX_MARK_BYTES) break;
        found = memmem(mem, (size_t)n, like, MARK_HEAD);
        if (found && found + SEGBOX_MARK_BYTES <= mem + n) {
            *ret_at = at + (uint64_t)(found - mem);
            return SEG_OK;
        }
        at += (uint64_t)n - (SEGBOX_MARK_BYTES - 1);
        if (w->watch) w->watch->alive(w->watch->arg);
    }
    return SEG_E_BAD;
}

/* The mark that ends the stretch; whole: all of it is as it was written. */
static int next_mark(const struct walk *w, uint64_t *ret_at, bool *ret_whole)
{
    uint8_t mem[SEGBOX_MARK_BYTES];
    uint32_t crc = w->crc, said = 0;
    int err = mark_by_boxes(w, ret_at);

    *ret_whole = false;
    if (err == SEG_OK) {
        err = segproof_crc(w->fd, w->at, *ret_at, w->watch, &crc);
        if (!err) err = read_mark(w, *ret_at, mem, &said);
        *ret_whole = !err && said == crc;
        if (*ret_whole) return SEG_OK;
    }
    return err < 0 ? err : mark_by_bytes(w, ret_at);
}

/* What is nothing without a picture before it. */
static void drop_until_key(struct walk *w, size_t from)
{
    struct seg_table *t = w->t;
    size_t kept = from;

    for (size_t i = from; i < t->n; i++) {
        bool video = t->tracks.t[t->s[i].track].kind == TRACK_VIDEO;

        if (video && t->s[i].flags & FRAME_KEY) w->key_due = false;
        if (!video || !w->key_due) t->s[kept++] = t->s[i];
    }
    t->n = kept;
}

/* The samples of the stretch up to `mark`. Of the first the file's head is wanted, even where it is not
 * whole. */
static int take(struct walk *w, uint64_t mark, bool whole)
{
    size_t from = w->t ? w->t->n : 0;
    int err = SEG_OK;

    if (w->t && !whole) return SEG_OK;
    if (w->t) w->t->scanned = w->at;
    err = seg_table_scan(w->fd, mark, &w->t);
    if (err) return err;
    if (!whole)
        w->t->n = 0;
    else if (w->key_due)
        drop_until_key(w, from);
    return SEG_OK;
}

static int walk(struct walk *w)
{
    uint8_t mem[SEGBOX_MARK_BYTES];
    uint64_t mark;
    uint32_t said = 0;
    bool whole;
    int err;

    while (w->at < w->size) {
        err = next_mark(w, &mark, &whole);
        if (err == SEG_E_BAD) return SEG_OK; /* what is left has no mark */
        if (!err) err = read_mark(w, mark, mem, &said);
        if (!err) err = take(w, mark, whole);
        if (err) return err;
        if (!whole) w->proof.holes++;
        w->key_due |= !whole;
        w->crc = crc32c(said, span(mem, sizeof(mem)));
        if (w->proof.holes > 0) err = segproof_crc(w->fd, w->at, mark + sizeof(mem), w->watch, &w->now);
        if (err) return err;
        if (w->proof.holes == 0) w->now = w->crc;
        w->at = mark + sizeof(mem);
        if (whole) w->proof = (struct segproof){w->at, w->now, w->proof.holes};
    }
    return SEG_OK;
}

int segproof_table(
    int fd, const struct segproof_watch *watch, struct seg_table **ret, struct segproof *ret_proof)
{
    struct walk w = {.fd = fd, .watch = watch};
    struct stat st;
    int err;

    *ret_proof = (struct segproof){0};
    if (fstat(fd, &st) < 0) return -errno;
    if (!S_ISREG(st.st_mode)) return SEG_E_BAD;
    w.size = (uint64_t)st.st_size;
    err = walk(&w);
    *ret_proof = w.proof;
    if (!err && (!w.t || w.proof.bytes == 0)) err = SEG_E_BAD;
    if (!err) {
        w.t->scanned = w.proof.bytes;
        err = seg_table_scan(fd, w.proof.bytes, &w.t); /* settles what is left */
    }
    if (err) {
        seg_table_free(w.t);
        return err;
    }
    w.t->info.crc = w.proof.crc;
    *ret = w.t;
    return SEG_OK;
}

/* Is there a mark behind those that were followed? */
static bool goes_on(int fd, uint64_t from, uint64_t bytes)
{
    struct walk w = {.fd = fd, .at = from, .size = bytes};
    uint64_t at;

    return from < bytes && mark_by_bytes(&w, &at) == SEG_OK;
}

int seg_table_fragments(int fd, uint64_t bytes, struct seg_table **ret)
{
    struct seg_table *t = NULL;
    struct segproof proof;
    struct stat st;
    bool grows;
    int err = fstat(fd, &st) < 0 ? -errno : SEG_OK;

    if (err) return err;
    grows = bytes < (uint64_t)st.st_size;
    if (grows || st.st_size > PROOF_MOST) err = seg_table_scan(fd, bytes, &t);
    if (!err && !grows && (!t || goes_on(fd, t->scanned, (uint64_t)st.st_size))) {
        seg_table_free(t);
        t = NULL;
        err = segproof_table(fd, NULL, &t, &proof);
    }
    if (!err && (!t || t->n == 0)) err = SEG_E_BAD;
    if (err) {
        seg_table_free(t);
        return err;
    }
    *ret = t;
    return SEG_OK;
}

int seg_table_any(int fd, uint64_t bytes, struct seg_table **ret)
{
    int err = seg_table_load(fd, NULL, ret);

    return err > 0 ? seg_table_fragments(fd, bytes, ret) : err;
}

/* The checksum covers all that lies before the box that holds it, whose size stands in the last four bytes.
 */
int segproof_file(int fd, const struct seg_info *info, const struct segproof_watch *watch)
{
    struct seg_info *got = NEW(struct seg_info);
    uint8_t last[4];
    uint32_t size, crc = 0;
    int err = seg_info_load(fd, got);

    if (!err &&
        (got->id != info->id || strcmp(got->uid, info->uid) != 0 || got->bytes != info->bytes ||
            got->crc != info->crc))
        err = SEG_E_NO_FOOTER;
    mem_free(got);
    if (err) return err == SEG_E_BAD ? SEG_E_NO_FOOTER : err;
    if (pread(fd, last, sizeof(last), (off_t)(info->bytes - sizeof(last))) != sizeof(last)) return -EIO;
    size = segbox_info_size(span(last, sizeof(last)));
    err = segproof_crc(fd, 0, info->bytes - size, watch, &crc);
    return err ? err : crc == info->crc ? SEG_OK : SEG_E_BAD;
}
