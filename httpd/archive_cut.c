#include "httpd/archive_cut.h"
#include "archive/segproof.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>

static bool is_init(const struct cut_key *k)
{
    return k->to == 0;
}

static int open_file(struct storage *st, const struct cut_key *k, int *ret_fd, struct stat *ret)
{
    int err = records_file(st, k->uid, k->id, ret_fd);

    if (err == 0 && fstat(*ret_fd, ret) < 0) err = -errno;
    return err;
}

/* It ends where another node's footage goes on, and with what a viewer may see. */
static int cut_until(const struct cut_key *k, const struct seg_table *t, unsigned mask, struct seg_cut *ret)
{
    size_t from = k->from;
    struct seg_table *part = NULL, *seen = NULL;
    int err = -ENOMEM;

    if (k->until_us != k->shown_us) t = part = seg_table_part(t, INT64_MIN, k->until_us, &from);
    if (t && k->shown_us != 0) t = seen = seg_table_shown(t, k->shown_us, &from);
    if (t) err = seg_cut_listed(t, from, t->n, mask, ret);
    seg_table_free(part);
    seg_table_free(seen);
    return err;
}

static int make(const struct cut_key *k, const struct seg_table *t, struct cut *c)
{
    unsigned mask = mp4_mask(&t->tracks, MP4_PLAYABLE) & ~seg_quiet(t);
    bool ok;
    int err;

    if (mask == 0) return INDEX_E_NONE;
    if (is_init(k)) return mp4_init_segment(&c->head, &t->tracks, mask) ? 0 : -ENOMEM;
    if (k->until_us != 0)
        err = cut_until(k, t, mask, &c->media);
    else
        err = seg_cut_listed(t, k->from, k->to, mask, &c->media);
    if (err != 0) return err;
    if (c->media.n == 0) return INDEX_E_NONE;
    ok = mp4_fragment_head(&c->head, k->from + 1, c->media.s, c->media.n, NULL);
    mem_free(c->media.s);
    c->media.s = NULL;
    c->media.n = 0;
    return ok ? 0 : -ENOMEM;
}

static int read_open(struct storage *st, const struct cut_key *k, uint64_t bytes, int fd, struct cut *c)
{
    struct scan *s;
    int err = scans_read(st->scans, k->uid, k->id, fd, bytes, &s);

    if (err != 0) return err;
    err = make(k, scan_table(s), c);
    scan_done(st->scans, s);
    return err;
}

/* Its fragments say what its footer does not: of one that a crash left, and of one that was damaged since. */
static int read_fragments(const struct cut_key *k, int fd, struct cut *c)
{
    struct seg_table *t = NULL;
    int err = seg_table_fragments(fd, INT64_MAX, &t);

    if (err == 0) err = make(k, t, c);
    seg_table_free(t);
    return err;
}

static int read_piece(
    struct storage *st, const struct cut_key *k, const struct open_segment *open, int fd, struct cut *c)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    int known = info ? records_get(st, k->uid, k->id, info) : -ENOMEM, err;
    struct seg_table *t = NULL;

    /* A segment that is not in the index is still open, or was closed a moment ago; of a damaged record the
     * file says itself what it did. */
    if (known < 0) return known;
    err = seg_table_load(fd, known == INDEX_OK ? info : NULL, &t);
    if (err == 0) {
        err = k->to <= t->n ? make(k, t, c) : INDEX_E_NONE;
        seg_table_free(t);
        return err;
    }
    if (err == SEG_E_NO_FOOTER && st->node != 0) return read_open(st, k, INT64_MAX, fd, c);
    if (err == SEG_E_NO_FOOTER && open->id == k->id) return read_open(st, k, open->bytes, fd, c);
    if (err != SEG_E_NO_FOOTER && err != SEG_E_BAD) return err;
    if (known == INDEX_OK) storage_flaw(st, k->uid, k->id);
    return read_fragments(k, fd, c);
}

int archive_cut(struct storage *st, const struct cut_key *key, const struct open_segment *open,
    struct cut **ret, int *ret_fd)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat file;
    struct cut *c;
    int err = open_file(st, key, &fd, &file);

    if (err != 0) return err;
    c = cuts_get(st->cuts, key); /* another viewer's request has made it meanwhile */
    if (c && !cut_fits(c, &file)) {
        cut_unref(c);
        c = NULL;
    }
    if (!c) {
        c = cut_new(key);
        cut_made_from(c, &file);
        err = read_piece(st, key, open, fd, c);
        if (err == 0) cuts_put(st->cuts, c);
    }
    if (err != 0) {
        cut_unref(c);
        return err;
    }
    *ret = c;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int archive_cut_open(struct storage *st, const struct cut_key *key, const struct cut *c, int *ret_fd)
{
    CLEANUP(fd_close) int fd = -1;
    struct stat file;
    int err = open_file(st, key, &fd, &file);

    if (err == 0 && !cut_fits(c, &file)) err = -ESTALE;
    if (err != 0) return err;
    *ret_fd = fd;
    fd = -1;
    return 0;
}
