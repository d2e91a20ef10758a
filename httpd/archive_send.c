/* A film that was laid out, sent piece by piece: heads from memory, rows of its tables made when they are
 * sent, media by sendfile. At no time more than one segment's rows are in memory, and more than one file is
 * open. */
#include "httpd/archive_mp4.h"
#include "archive/segproof.h"
#include "httpd/text.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>

#define TYPE_MP4   "video/mp4"
#define MOVED      1 /* the next piece lies on another storage */
#define LIST_MAX   (1u << 20)
#define NAME_MAX_N (RING_UID_MAX + 40)

static struct film_answer *answer_of(struct lent *l)
{
    return CONTAINER(l, struct film_answer, lent);
}

/* --- in the pool --- */

/* What archive/export says of a file that is not what it was. */
static int changed(int err)
{
    return err > 0 ? -ESTALE : err;
}

/* Rows, behind what is in a->out. */
static int put_rows(struct film_answer *a, const struct export_piece *p, const struct seg_table *t)
{
    size_t before = buf_n(&a->out), skip = (size_t)(a->next - p->at);
    uint64_t want = MIN(p->n - skip, a->end - a->next);
    int err = changed(export_rows(a->film->x, p, t, &a->out));
    uint8_t *rows = a->out.mem + a->out.from + before;

    if (err) return err;
    if (skip > 0) memmove(rows, rows + skip, (size_t)want);
    a->out.to = a->out.from + before + (size_t)want;
    a->next += want;
    return 0;
}

static int put_media(struct film_answer *a, const struct export_piece *p, const struct seg_table *t, int *fd)
{
    uint64_t skip = a->next - p->at;
    int err;

    mem_free(a->r);
    a->r = NULL;
    err = changed(export_ranges(a->film->x, p, t, &a->r, &a->n_r));
    if (err) return err;
    for (a->r_at = 0; a->r_at < a->n_r && skip >= a->r[a->r_at].n; a->r_at++) skip -= a->r[a->r_at].n;
    if (a->r_at == a->n_r) return -ESTALE;
    a->r[a->r_at].at += skip;
    a->r[a->r_at].n -= skip;
    a->left = MIN(p->at + p->n, a->end) - a->next;
    a->next += a->left;
    fd_close(&a->fd);
    a->fd = *fd;
    *fd = -1;
    return 0;
}

static int put_piece(struct film_answer *a, const struct export_piece *p)
{
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    int err = changed(film_source(a, p->source, &fd, p->needs_table ? &t : NULL));

    if (err == 0) err = p->kind == EXPORT_ROWS ? put_rows(a, p, t) : put_media(a, p, t, &fd);
    seg_table_free(t);
    return err;
}

/* Makes a->out or the media at hand hold the next piece. 0, -errno, or MOVED. */
static int prepare(struct film_answer *a)
{
    struct export_piece p;
    struct pool *pool;
    struct span fixed;

    if (!export_seek(a->film->x, a->next, &p)) return -ESTALE;
    if (p.kind == EXPORT_FIXED) {
        fixed = span_sub(export_fixed(a->film->x, &p), (size_t)(a->next - p.at), (size_t)(a->end - a->next));
        a->next += fixed.n;
        return buf_put(&a->out, fixed) ? 0 : -ENOMEM;
    }
    pool = a->st[a->film->source[p.source].storage]->pool;
    if (pool != a->lent.pool) {
        a->lent.pool = pool;
        return MOVED;
    }
    return p.kind == EXPORT_MADE ? film_sound_put(a, &p) : put_piece(a, &p);
}

/* The first piece is there before the answer's head goes out, and the first sound that is made: until then a
 * disk or a helper may fail in time. */
static int open_first(struct lent *l)
{
    struct film_answer *a = answer_of(l);
    bool first = l->done == 0 && a->left == 0 && a->next < a->end;
    int err = first ? film_sound_first(a) : 0;

    if (first && err == 0) err = prepare(a);
    return err == MOVED ? 0 : err;
}

/* A film that does not fit its files is not offered again. */
static ssize_t failed(struct film_answer *a, int err)
{
    if (a->sound_err == PICTURES_OK) films_drop(a->films, a->film);
    return err;
}

static ssize_t write_out(struct film_answer *a)
{
    bool more = a->next < a->end || a->left > 0;
    ssize_t n = conn_lent_send(a->lent.conn, buf_span(&a->out), more);

    if (n > 0) buf_take(&a->out, (size_t)n);
    if (buf_n(&a->out) == 0) buf_shrink(&a->out);
    return n;
}

static ssize_t write_media(struct film_answer *a)
{
    struct seg_range *r;
    ssize_t n;

    while (a->r[a->r_at].n == 0) a->r_at++;
    r = &a->r[a->r_at];
    n = conn_lent_file(a->lent.conn, a->fd, r->at, (size_t)MIN(MIN(r->n, a->left), LEND_TURN));
    if (n == 0) return failed(a, -EIO); /* the file is shorter than its table says */
    if (n > 0) {
        r->at += (uint64_t)n;
        r->n -= (uint64_t)n;
        a->left -= (uint64_t)n;
    }
    return n;
}

static ssize_t write_some(struct lent *l)
{
    struct film_answer *a = answer_of(l);
    int err = 0;

    if (buf_n(&a->out) == 0 && a->left == 0) err = prepare(a);
    if (err == MOVED) return 0;
    if (err != 0) return failed(a, err);
    return buf_n(&a->out) > 0 ? write_out(a) : write_media(a);
}

/* --- in the hub --- */

static void lent_free(struct lent *l)
{
    film_answer_free(answer_of(l));
}

/* No helper made its sound; or the footage was deleted or repaired since the film was laid out: the next
 * request finds what is there now. */
static void refused(struct http *h, struct lent *l)
{
    struct film_answer *a = answer_of(l);
    int err = a->sound_err;

    if (err != PICTURES_OK) {
        film_answer_free(a);
        answer_error_with(h, 503, err == PICTURES_E_POISON ? "Retry-After: 60\r\n" : "Retry-After: 3\r\n",
            "%s", film_sound_why(err));
        return;
    }
    films_drop(a->films, a->film);
    film_answer_free(a);
    answer_error_with(h, 503, "Retry-After: 1\r\n", "the footage has changed");
}

static const struct lent_ops ops = {open_first, write_some, refused, lent_free};

static void put_name(struct wr *w, const struct film_answer *a)
{
    struct tm tm = clock_utc(export_facts(a->film->x)->start_us);

    wr_fmt(w, "Content-Disposition: %s; filename=\"%s_%04d-%02d-%02dT%02d-%02d-%02dZ.mp4\"\r\n",
        a->ask.kind == FILM_WHOLE ? "attachment" : "inline", a->uid, tm.tm_year + 1900, tm.tm_mon + 1,
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_seconds(struct wr *w, const char *name, usec_t us)
{
    wr_fmt(w, "%s: %lld.%03d\r\n", name, (long long)(us / US_PER_S), (int)(us % US_PER_S / US_PER_MS));
}

static void put_left_out(struct wr *w, unsigned codecs)
{
    const char *before = "X-Tracks-Left-Out: ";

    for (enum codec c = CODEC_NONE; codecs >> c != 0; c++) {
        if (!(codecs & 1u << c)) continue;
        wr_fmt(w, "%s%s", before, codec_name(c));
        before = ", ";
    }
    if (codecs != 0) wr_text(w, "\r\n");
}

/* What the file cannot say of itself. */
static const char *notes(const struct film_answer *a, char *dst, size_t cap)
{
    const struct export_facts *f = export_facts(a->film->x);
    struct wr w = wr_of(dst, cap);

    put_name(&w, a);
    put_seconds(&w, "X-Archive-From", f->start_us);
    put_seconds(&w, "X-Archive-To", f->end_us);
    if (f->gaps > 0) wr_fmt(&w, "X-Archive-Gaps: %u\r\n", f->gaps);
    if (f->gaps > 0) put_seconds(&w, "X-Archive-Gap-Seconds", f->gaps_us);
    if (f->changes > 0) wr_fmt(&w, "X-Format-Changes: %u\r\n", f->changes);
    put_left_out(&w, f->left_out);
    if (a->missing > 0) wr_fmt(&w, "X-Archive-Incomplete: %u of %zu storages\r\n", a->missing, a->n_st);
    return wr_cstr(&w);
}

static void send_list(struct http *h, struct film_answer *a)
{
    struct answer answer = {
        .status = 200, .type = "application/json", .cache = a->missing ? CACHE_NEVER : CACHE_CHECK};
    struct text b;

    text_init(&b, LIST_MAX);
    text_fmt(&b, "{\"show\":%d,\"frames\":[", STRIP_SHOW_S);
    for (size_t i = 0; i < a->film->n_times; i++)
        text_fmt(&b, "%s%lld.%03d", i > 0 ? "," : "", (long long)(a->film->times[i] / US_PER_S),
            (int)(a->film->times[i] % US_PER_S / US_PER_MS));
    text_put(&b, "]}\n");
    if (text_ok(&b))
        answer_made(h, &answer, text_span(&b));
    else
        answer_error(h, 503, "out of memory");
    text_done(&b);
    film_answer_free(a);
}

static bool begin(struct http *h, struct film_answer *a)
{
    struct answer answer = {.status = 200, .type = TYPE_MP4, .cache = a->missing ? CACHE_NEVER : CACHE_CHECK};
    const struct export_facts *f = export_facts(a->film->x);
    char own[ANSWER_EXTRA_MAX], extra[ANSWER_EXTRA_MAX + 128], etag[ETAG_MAX];
    struct http_range range;

    snprintf(
        etag, sizeof(etag), "\"%016llx-%llx\"", (unsigned long long)f->tag, (unsigned long long)f->bytes);
    answer.v.etag = span_of(etag);
    answer.extra = notes(a, own, sizeof(own));
    if (!answer_range(h, &answer, f->bytes, extra, sizeof(extra), &range)) return false;
    if (h->ask->head_only) {
        answer_head(h, &answer, range.n);
        http_done(h);
        return false;
    }
    if (!answer_head_put(h, &answer, range.n, &a->out)) {
        http_cut(h);
        return false;
    }
    a->next = range.from;
    a->end = range.from + range.n;
    a->lent.total = buf_n(&a->out) + range.n;
    return true;
}

void film_send(struct http *h, struct film_answer *a)
{
    struct export_piece p;

    if (a->ask.kind == FILM_STRIP_LIST) {
        send_list(h, a);
        return;
    }
    if (!begin(h, a)) {
        film_answer_free(a);
        return;
    }
    must(export_seek(a->film->x, a->next, &p));
    a->lent.ops = &ops;
    a->lent.pool = a->st[p.kind == EXPORT_FIXED ? 0 : a->film->source[p.source].storage]->pool;
    lend_start(h, &a->lent);
}
