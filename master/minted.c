#include "master/minted.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/base64.h"
#include "common/wire/hex.h"
#include "master/state_file.h"

#include <errno.h>

#define FILE_NAME "tokens" /* in state-dir; a line: numbers, streams, then texts as base64url */
#define FILE_MAX  (4u << 20)
#define TEXT_MAX  (BASE64_N(MINTED_NOTE_MAX) + 1)

enum { REVOKED = 1, MANY = 2 }; /* a row's flags in the file */

static void row_done(struct minted_row *r)
{
    mem_free(r->streams);
    mem_free(r->note);
}

static void drop(struct minted *m, size_t at)
{
    row_done(&m->v[at]);
    memmove(&m->v[at], &m->v[at + 1], (m->n - at - 1) * sizeof(*m->v));
    m->n--;
}

/* A walk over all costs as much for one as for some: of those that programs make, some go at once. */
static void make_room(struct minted *m, bool many)
{
    size_t same = 0, kept = 0, most = many ? MINTED_MANY_MAX : MINTED_MAX, go = many ? most / 8 : 1;

    for (size_t i = 0; i < m->n; i++) same += m->v[i].many == many;
    if (same < most) return;
    for (size_t i = 0; i < m->n; i++) {
        if (go > 0 && m->v[i].many == many) {
            row_done(&m->v[i]);
            go--;
        } else {
            m->v[kept++] = m->v[i];
        }
    }
    m->n = kept;
}

static void put(struct minted *m, const struct minted_row *r)
{
    make_room(m, r->many);
    if (m->n == 0 || (m->n & (m->n - 1)) == 0) m->v = mem_renew(m->v, MAX(m->n * 2, 1) * sizeof(*m->v));
    m->v[m->n++] = *r;
}

/* --- state-dir --- */

static void put_text(struct buf *b, const char *text)
{
    uint8_t mem[TEXT_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    base64url_write(&w, span_of(text));
    buf_put(b, SPAN_LIT(" "));
    buf_put(b, wr_span(&w));
}

static void save(struct minted *m)
{
    struct buf b;

    buf_init(&b, FILE_MAX);
    for (size_t i = 0; i < m->n; i++) {
        const struct minted_row *r = &m->v[i];

        buf_fmt(&b, "%s %lld %lld %lld %lld %u %d %s", r->id, (long long)r->made_s, (long long)r->until_s,
            (long long)r->from_s, (long long)r->to_s, r->ops, r->revoked * REVOKED + r->many * MANY,
            r->streams);
        put_text(&b, r->by);
        put_text(&b, r->user);
        put_text(&b, r->note);
        buf_put(&b, SPAN_LIT("\n"));
    }
    state_file_write(m->file, buf_span(&b));
    buf_done(&b);
    m->stale = false;
}

static bool take_text(struct span *line, char *dst, size_t cap)
{
    uint8_t mem[MINTED_NOTE_MAX + 4];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span piece;

    return span_split(line, ' ', &piece) && base64_read(piece, &w) && span_copy(wr_span(&w), dst, cap);
}

static bool parse_line(struct span line, struct minted_row *r)
{
    int64_t *numbers[] = {&r->made_s, &r->until_s, &r->from_s, &r->to_s};
    char streams[MINTED_STREAMS], note[MINTED_NOTE_MAX + 1];
    struct span piece;
    uint64_t ops, flags;

    if (!span_split(&line, ' ', &piece) || !span_copy(piece, r->id, sizeof(r->id))) return false;
    for (size_t i = 0; i < ARRAY_N(numbers); i++)
        if (!span_split(&line, ' ', &piece) || !span_i64(piece, numbers[i])) return false;
    if (!span_split(&line, ' ', &piece) || !span_u64(piece, TOKEN_OPS_ALL, &ops)) return false;
    if (!span_split(&line, ' ', &piece) || !span_u64(piece, REVOKED | MANY, &flags)) return false;
    if (!span_split(&line, ' ', &piece) || !span_copy(piece, streams, sizeof(streams))) return false;
    if (!take_text(&line, r->by, sizeof(r->by)) || !take_text(&line, r->user, sizeof(r->user)) ||
        !take_text(&line, note, sizeof(note)))
        return false;
    r->ops = (unsigned)ops;
    r->revoked = flags & REVOKED;
    r->many = flags & MANY;
    r->streams = mem_strdup(streams);
    r->note = mem_strdup(note);
    return true;
}

int minted_open(struct minted *m, int state_dir)
{
    struct span rest, line;
    size_t n, bad = 0;
    uint8_t *p;
    int err;

    *m = (struct minted){.file = state_file_new(state_dir, FILE_NAME)};
    if (!m->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) {
        state_file_set_aside(state_dir, FILE_NAME, err); /* those in it stay good: they are not listed */
        return 0;
    }
    rest = span(p, n);
    while (span_split(&rest, '\n', &line)) {
        struct minted_row row = {.ops = 0};

        if (line.n == 0) continue;
        if (parse_line(line, &row))
            put(m, &row);
        else
            bad++;
    }
    mem_free(p);
    if (bad > 0) log_warn("tokens-unread", "lines=%zu effect=\"they are not listed\"", bad);
    return 0;
}

void minted_close(struct minted *m)
{
    state_file_free(m->file);
    while (m->n > 0) row_done(&m->v[--m->n]);
    mem_free(m->v);
    *m = (struct minted){.n = 0};
}

/* --- rows --- */

static const char *streams_of(const struct token *t, char dst[MINTED_STREAMS])
{
    struct wr w = wr_of(dst, MINTED_STREAMS);

    for (size_t i = 0; i < t->n_streams; i++) wr_fmt(&w, "%s%s", i > 0 ? "," : "", t->streams[i]);
    return wr_cstr(&w);
}

void minted_add(struct minted *m, const struct token *t, const char *by, const char *note)
{
    char streams[MINTED_STREAMS];
    struct minted_row r = {.ops = t->ops,
        .made_s = t->made_us / US_PER_S,
        .until_s = t->not_after_s,
        .from_s = t->from_s,
        .to_s = t->to_s};
    struct wr id = wr_of(r.id, sizeof(r.id));

    hex_write(&id, span(t->id, TOKEN_ID_N));
    wr_cstr(&id);
    span_copy(span_of(by), r.by, sizeof(r.by));
    span_copy(span_of(t->user), r.user, sizeof(r.user));
    r.streams = mem_strdup(streams_of(t, streams));
    r.note = span_dup(span_sub(span_of(note), 0, MINTED_NOTE_MAX));
    put(m, &r);
    save(m);
}

void minted_put_many(struct minted *m, const struct minted_row *row)
{
    struct minted_row r = *row;

    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->v[i].id, row->id) == 0) {
            drop(m, i);
            break;
        }
    r.many = true;
    r.streams = mem_strdup(row->streams);
    r.note = mem_strdup(row->note);
    put(m, &r);
    m->stale = true;
}

const struct minted_row *minted_find(const struct minted *m, struct span id)
{
    for (size_t i = 0; i < m->n; i++)
        if (span_is(id, m->v[i].id)) return &m->v[i];
    return NULL;
}

void minted_revoke(
    struct minted *m, bool (*meets)(const struct minted_row *row, const char *name), const char *name)
{
    bool changed = false;

    for (size_t i = 0; i < m->n; i++) {
        struct minted_row *r = &m->v[i];

        if (r->revoked || !meets(r, name)) continue;
        r->revoked = changed = true;
    }
    if (changed) save(m);
}

void minted_check(struct minted *m, int64_t now_s)
{
    int err = state_file_failed(m->file);
    size_t before = m->n;

    if (err < 0) log_error("tokens-unwritten", "err=%s", log_q(span_of(err_text(err))));
    for (size_t i = m->n; i-- > 0;)
        if (m->v[i].until_s > 0 && m->v[i].until_s <= now_s) drop(m, i);
    if (m->n != before || m->stale) save(m);
}

void minted_pack(struct packer *p, const struct minted_row *r)
{
    char ops[64];
    struct wr w = wr_of(ops, sizeof(ops));

    token_ops_write(&w, r->ops);
    pack_map(p, 10);
    pack_kv_text(p, "id", r->id);
    pack_kv_text(p, "by", r->by);
    pack_kv_text(p, "user", r->user);
    pack_kv_text(p, "streams", r->streams);
    pack_kv_text(p, "note", r->note);
    pack_kv_text(p, "ops", wr_cstr(&w));
    pack_kv_i64(p, "made", r->made_s);
    pack_kv_i64(p, "until", r->until_s);
    pack_key(p, "footage");
    pack_array(p, 2);
    pack_i64(p, r->from_s);
    pack_i64(p, r->to_s);
    pack_kv_bool(p, "revoked", r->revoked);
}
