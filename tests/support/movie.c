#include "tests/support/movie.h"
#include "common/base/mem.h"
#include "common/media/mp4_box.h"

#include <errno.h>
#include <unistd.h>

#define SAMPLES_MAX 10000000

static struct span path(struct span in, const uint32_t *types, size_t n)
{
    for (size_t i = 0; i < n; i++) in = mp4_find(in, types[i]);
    return in;
}

/* A full box without its version and flags. */
static struct rd table(struct span stbl, uint32_t type, uint8_t *ret_version)
{
    struct rd r = rd_of(mp4_find(stbl, type));

    *ret_version = rd_u8(&r);
    rd_skip(&r, 3);
    return r;
}

static bool read_sizes(struct span stbl, struct movie_track_read *t)
{
    uint8_t version;
    struct rd r = table(stbl, MP4_TYPE('s', 't', 's', 'z'), &version);
    uint32_t same = rd_u32(&r), n = rd_u32(&r);

    if (!rd_ok(&r) || n > SAMPLES_MAX || (same == 0 && rd_left(&r) != 4 * (size_t)n)) return false;
    t->s = mem_new_n(n + 1u, sizeof(*t->s));
    t->n = n;
    for (uint32_t i = 0; i < n; i++) t->s[i].size = same ? same : rd_u32(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

/* Runs of (count, value): stts and ctts. */
static bool read_runs(struct span stbl, uint32_t type, struct movie_track_read *t)
{
    bool cts = type == MP4_TYPE('c', 't', 't', 's');
    uint8_t version;
    struct rd r = table(stbl, type, &version);
    uint32_t rows = rd_u32(&r);
    size_t at = 0;

    if (cts && !mp4_find(stbl, type).p) return true;
    for (uint32_t i = 0; i < rows && rd_ok(&r); i++) {
        uint32_t n = rd_u32(&r), v = rd_u32(&r);

        if (n > t->n - at || (cts && version == 0 && v > INT32_MAX)) return false;
        for (; n > 0; n--, at++) {
            if (cts)
                t->s[at].cts = (int32_t)v;
            else
                t->s[at].dur = v;
        }
    }
    return rd_ok(&r) && rd_left(&r) == 0 && at == t->n;
}

static bool read_keys(struct span stbl, struct movie_track_read *t)
{
    uint8_t version;
    struct rd r = table(stbl, MP4_TYPE('s', 't', 's', 's'), &version);
    uint32_t rows = rd_u32(&r), before = 0;
    bool any = mp4_find(stbl, MP4_TYPE('s', 't', 's', 's')).p != NULL;

    for (size_t i = 0; i < t->n; i++) t->s[i].key = !any;
    if (!any) return true;
    for (uint32_t i = 0; i < rows && rd_ok(&r); i++) {
        uint32_t n = rd_u32(&r);

        if (n <= before || n > t->n) return false;
        t->s[n - 1].key = true;
        before = n;
    }
    return rd_ok(&r) && rd_left(&r) == 0;
}

static bool read_chunks(struct span stbl, struct movie_track_read *t)
{
    uint8_t version;
    struct rd co = table(stbl, MP4_TYPE('c', 'o', '6', '4'), &version);
    struct rd sc = table(stbl, MP4_TYPE('s', 't', 's', 'c'), &version);
    uint32_t chunks = rd_u32(&co), rows = rd_u32(&sc), in = 0, form = 0, next = rd_u32(&sc);
    size_t at = 0;

    for (uint32_t c = 1; c <= chunks && rd_ok(&co) && rd_ok(&sc); c++) {
        uint64_t offset = rd_u64(&co);

        if (c == next) {
            in = rd_u32(&sc);
            form = rd_u32(&sc);
            next = --rows > 0 ? rd_u32(&sc) : 0;
            if (rows > 0 && next <= c) return false;
        }
        if (in > t->n - at || in == 0 || form == 0 || form > t->forms) return false;
        for (uint32_t i = 0; i < in; i++, at++) {
            t->s[at].offset = offset;
            t->s[at].form = form;
            offset += t->s[at].size;
        }
    }
    return rd_ok(&co) && rd_ok(&sc) && rd_left(&co) == 0 && rd_left(&sc) == 0 && at == t->n && rows == 0;
}

static void read_edits(struct span trak, struct movie_track_read *t)
{
    uint8_t version;
    struct rd r = table(mp4_find(trak, MP4_TYPE('e', 'd', 't', 's')), MP4_TYPE('e', 'l', 's', 't'), &version);
    uint32_t n = rd_u32(&r);

    t->skip = -1;
    for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
        int64_t shown = version ? (int64_t)rd_u64(&r) : rd_u32(&r);
        int64_t media = version ? (int64_t)rd_u64(&r) : (int32_t)rd_u32(&r);

        rd_skip(&r, 4);
        if (media < 0)
            t->empty = shown;
        else
            t->skip = media;
        t->shown = shown;
    }
}

static bool read_track(struct span trak, struct movie_track_read *t)
{
    static const uint32_t to_stbl[] = {
        MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'i', 'n', 'f'), MP4_TYPE('s', 't', 'b', 'l')};
    static const uint32_t to_mdhd[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'd', 'h', 'd')};
    struct span stbl = path(trak, to_stbl, ARRAY_N(to_stbl));
    struct rd mdhd = rd_of(path(trak, to_mdhd, ARRAY_N(to_mdhd))), stsd;
    uint8_t version = rd_u8(&mdhd);

    rd_skip(&mdhd, version ? 19 : 11);
    t->hz = rd_u32(&mdhd);
    t->length = version ? rd_u64(&mdhd) : rd_u32(&mdhd);
    stsd = table(stbl, MP4_TYPE('s', 't', 's', 'd'), &version);
    t->forms = rd_u32(&stsd);
    read_edits(trak, t);
    return rd_ok(&mdhd) && rd_ok(&stsd) && read_sizes(stbl, t) &&
        read_runs(stbl, MP4_TYPE('s', 't', 't', 's'), t) &&
        read_runs(stbl, MP4_TYPE('c', 't', 't', 's'), t) && read_keys(stbl, t) && read_chunks(stbl, t);
}

bool movie_read(struct span head, struct movie *ret)
{
    struct span rest = head, body;
    struct mp4_box mdat;
    uint32_t type;
    bool ok = true;

    *ret = (struct movie){0};
    if (!mp4_next(&rest, &type, &body) || type != MP4_TYPE('f', 't', 'y', 'p')) return false;
    if (!mp4_next(&rest, &type, &body) || type != MP4_TYPE('m', 'o', 'o', 'v')) return false;
    if (mp4_box_head(rest, UINT64_MAX, &mdat) != MP4_OK || mdat.type != MP4_TYPE('m', 'd', 'a', 't'))
        return false;
    ret->mdat_at = head.n - rest.n + mdat.head;
    ret->mdat_n = mdat.size - mdat.head;
    while (ok && mp4_next(&body, &type, &rest)) {
        if (type != MP4_TYPE('t', 'r', 'a', 'k')) continue;
        ok = ret->n < TRACK_MAX && read_track(rest, &ret->t[ret->n]);
        ret->n++;
    }
    if (!ok) movie_done(ret);
    return ok;
}

void movie_done(struct movie *m)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) mem_free(m->t[i].s);
    *m = (struct movie){0};
}

static int put_file(int fd, const struct seg_range *r, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *at = buf_room(to, (size_t)r[i].n);

        if (!at) return -ENOMEM;
        if (pread(fd, at, (size_t)r[i].n, (off_t)r[i].at) != (ssize_t)r[i].n) return -EIO;
        buf_added(to, (size_t)r[i].n);
    }
    return 0;
}

static int put_piece(
    const struct export *x, const struct reel *reels, const struct export_piece *p, struct buf *to)
{
    const struct seg_table *t = p->needs_table ? reels[p->source].t : NULL;
    struct seg_range *r = NULL;
    uint8_t *at;
    size_t n;
    int err;

    if (p->kind == EXPORT_FIXED) return buf_put(to, export_fixed(x, p)) ? 0 : -ENOMEM;
    if (p->kind == EXPORT_ROWS) return export_rows(x, p, t, to);
    if (p->kind == EXPORT_MADE) {
        at = buf_room(to, (size_t)p->n);
        if (!at) return -ENOMEM;
        memset(at, 'm', (size_t)p->n);
        buf_added(to, (size_t)p->n);
        return 0;
    }
    err = export_ranges(x, p, t, &r, &n);
    if (err == 0) err = put_file(reels[p->source].fd, r, n, to);
    mem_free(r);
    return err;
}

int movie_render(const struct export *x, const struct reel *reels, uint64_t from, uint64_t n, struct buf *to)
{
    struct export_piece p;
    struct buf piece;
    int err = 0;

    buf_init(&piece, 1u << 30);
    if (!export_seek(x, from, &p)) return -ERANGE;
    while (err == 0 && n > 0) {
        struct span part;

        buf_clear(&piece);
        err = put_piece(x, reels, &p, &piece);
        if (err == 0 && buf_n(&piece) != p.n) err = -EPROTO;
        part = span_sub(buf_span(&piece), (size_t)(from - p.at), (size_t)n);
        if (err == 0 && !buf_put(to, part)) err = -ENOMEM;
        from += part.n;
        n -= part.n;
        if (err == 0 && n > 0 && !export_next(x, &p)) err = -ERANGE;
    }
    buf_done(&piece);
    return err;
}
