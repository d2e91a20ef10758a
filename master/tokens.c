#include "master/tokens.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "master/cluster/revocations.h"
#include "master/master.h"

#include <errno.h>

#define FILE_MAX  (2u << 20)
#define PAGE_ROWS 100

static const char *const kinds[REVOKED_KINDS] = {
    [REVOKED_TOKEN] = "token", [REVOKED_USER] = "user", [REVOKED_STREAM] = "stream"};

const char *tokens_kind_word(enum revoked_kind kind)
{
    return kinds[kind];
}

/* --- state-dir --- */

static bool parse_line(struct span line, struct revoked_row *ret)
{
    struct span kind, at, until;
    struct revoked_row row = {.kind = REVOKED_KINDS};

    if (!span_split(&line, ' ', &kind) || !span_split(&line, ' ', &at) || !span_split(&line, ' ', &until))
        return false;
    for (int i = 0; i < REVOKED_KINDS; i++)
        if (span_is(kind, kinds[i])) row.kind = (enum revoked_kind)i;
    if (row.kind == REVOKED_KINDS || !span_i64(at, &row.at_us) || !span_i64(until, &row.until_s))
        return false;
    if (line.n == 0 || !span_copy(line, row.name, sizeof(row.name))) return false;
    *ret = row;
    return true;
}

static struct revoked_row *find(struct tokens *t, const struct revoked_row *row)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].kind == row->kind && strcmp(t->v[i].name, row->name) == 0) return &t->v[i];
    return NULL;
}

static bool put(struct tokens *t, const struct revoked_row *row)
{
    struct revoked_row *known = find(t, row);

    if (known) {
        *known = *row;
        return true;
    }
    if (t->n == TOKENS_REVOKED_MAX) return false;
    if ((t->n & (t->n - 1)) == 0) t->v = mem_renew(t->v, MAX(t->n * 2, 1) * sizeof(*t->v));
    t->v[t->n++] = *row;
    return true;
}

int tokens_open(struct tokens *t, int state_dir)
{
    struct span rest, line;
    uint8_t *p;
    size_t n;
    int err;

    *t = (struct tokens){.file = state_file_new(state_dir, TOKENS_FILE)};
    if (!t->file) return -EMFILE;
    err = minted_open(&t->minted, state_dir);
    if (err < 0) return err;
    err = fd_read_file(state_dir, TOKENS_FILE, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    t->lost = err < 0;
    if (err < 0) return err;
    rest = span(p, n);
    while (span_split(&rest, '\n', &line)) {
        struct revoked_row row;

        /* What cannot be read may have revoked anything: nobody is let in by guessing. */
        if (line.n > 0 && (!parse_line(line, &row) || !put(t, &row))) err = -EBADMSG;
    }
    t->lost = err < 0;
    mem_free(p);
    return err;
}

void tokens_close(struct tokens *t)
{
    minted_close(&t->minted);
    state_file_free(t->file);
    mem_free(t->v);
    *t = (struct tokens){.n = 0};
}

static void save(struct tokens *t)
{
    struct buf b;

    buf_init(&b, FILE_MAX);
    for (size_t i = 0; i < t->n; i++)
        buf_fmt(&b, "%s %lld %lld %s\n", kinds[t->v[i].kind], (long long)t->v[i].at_us,
            (long long)t->v[i].until_s, t->v[i].name);
    state_file_write(t->file, buf_span(&b));
    buf_done(&b);
}

/* --- httpd --- */

void tokens_pack(struct packer *p, const struct revoked_row *row)
{
    pack_map(p, row->until_s > 0 ? 4 : 3);
    pack_kv_text(p, "kind", kinds[row->kind]);
    pack_kv_text(p, "name", row->name);
    pack_kv_i64(p, "at_us", row->at_us);
    if (row->until_s > 0) pack_kv_i64(p, "until_s", row->until_s);
}

static void tell(struct channel *httpd, const struct revoked_row *rows, size_t n)
{
    struct packer *p = channel_begin(httpd, MSG_REVOKED, 1);

    pack_key(p, "rows");
    pack_array(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) tokens_pack(p, &rows[i]);
    channel_end(httpd, NULL, 0);
}

void tokens_tell(struct master *m, struct channel *httpd)
{
    for (size_t at = 0; at < m->tokens.n; at += PAGE_ROWS)
        tell(httpd, &m->tokens.v[at], MIN(m->tokens.n - at, PAGE_ROWS));
}

static bool has_id(const struct minted_row *r, const char *id)
{
    return strcmp(r->id, id) == 0;
}

static bool has_user(const struct minted_row *r, const char *user)
{
    return strcmp(r->user, user) == 0;
}

static bool is_for(const struct minted_row *r, const char *uid)
{
    return strcmp(r->streams, uid) == 0; /* one that is for others too goes on for those */
}

/* false: there are too many. */
static bool take(struct master *m, const struct revoked_row *row)
{
    bool (*const meets[])(const struct minted_row *r, const char *name) = {
        [REVOKED_TOKEN] = has_id, [REVOKED_USER] = has_user, [REVOKED_STREAM] = is_for};
    struct channel *httpd = services_channel(m, SERVICE_HTTPD);

    if (!put(&m->tokens, row)) return false;
    minted_revoke(&m->tokens.minted, meets[row->kind], row->name);
    if (httpd) tell(httpd, row, 1);
    return true;
}

const char *tokens_revoke(struct master *m, const struct revoked_row *row)
{
    if (!take(m, row)) return "as many are revoked as can be: revoke by user or stream, or change the key";
    save(&m->tokens);
    revocations_add(m, row);
    return NULL;
}

static bool read_row(const struct packed *v, struct revoked_row *ret)
{
    *ret = (struct revoked_row){
        .kind = REVOKED_KINDS, .at_us = packed_i64(v, "at_us", 0), .until_s = packed_i64(v, "until_s", 0)};
    for (int i = 0; i < REVOKED_KINDS; i++)
        if (span_is(packed_str(v, "kind"), kinds[i])) ret->kind = (enum revoked_kind)i;
    return ret->kind != REVOKED_KINDS && ret->at_us > 0 && ret->until_s >= 0 &&
        packed_text(v, "name", ret->name, sizeof(ret->name)) && ret->name[0] && !strchr(ret->name, '\n');
}

void tokens_learn(struct master *m, const struct packed *rows)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    bool learned = false;

    for (size_t i = 0; i < packed_n(rows); i++) {
        const struct revoked_row *known;
        struct revoked_row row;

        if (!read_row(packed_at(rows, i), &row) || (row.until_s > 0 && row.until_s <= now_s)) continue;
        known = find(&m->tokens, &row);
        if (known && known->at_us >= row.at_us) continue;
        if (!take(m, &row)) {
            log_error("revoked-full", "kind=%s name=%s", kinds[row.kind], log_q(span_of(row.name)));
            break;
        }
        learned = true;
    }
    if (learned) save(&m->tokens);
}

/* httpd may be another's: only what could be a row is one. */
void tokens_made(struct master *m, const struct packed *body)
{
    char streams[MINTED_STREAMS], note[MINTED_NOTE_MAX + 1];
    struct minted_row r = {.ops = (unsigned)packed_u64(body, "ops", 0) & TOKEN_OPS_ALL,
        .made_s = packed_i64(body, "made_us", 0) / US_PER_S,
        .until_s = packed_i64(body, "until_s", 0),
        .from_s = packed_i64(body, "from_s", 0),
        .to_s = packed_i64(body, "to_s", 0),
        .streams = streams,
        .note = note};

    if (!packed_text(body, "id", r.id, sizeof(r.id)) || strlen(r.id) != MINTED_ID - 1 ||
        strspn(r.id, "0123456789abcdef") != MINTED_ID - 1 ||
        !packed_text(body, "streams", streams, sizeof(streams)) || strpbrk(streams, " \n") ||
        !packed_text(body, "user", r.user, sizeof(r.user)) || !packed_text(body, "by", r.by, sizeof(r.by)) ||
        !packed_text(body, "note", note, sizeof(note)))
        return;
    minted_put_many(&m->tokens.minted, &r);
}

void tokens_check(struct master *m)
{
    struct tokens *t = &m->tokens;
    int64_t now_s = clock_wall_us() / US_PER_S;
    int err = state_file_failed(t->file);
    size_t kept = 0;

    minted_check(&t->minted, now_s);
    if (err < 0) log_error("revoked-unwritten", "err=%s", log_q(span_of(err_text(err))));
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].until_s == 0 || t->v[i].until_s > now_s)
            t->v[kept++] = t->v[i];
        else
            revocations_gone(m, kept);
    }
    if (kept == t->n) return;
    t->n = kept;
    save(t);
}

/* --- what makes them --- */

void tokens_keys(const struct conf *c, struct token_keys *ret)
{
    const struct conf_delivery *d = &c->delivery;

    *ret = (struct token_keys){.n = 0};
    token_keys_add(ret, SPAN_LIT("0"), secret_reveal(&d->auth_secret), 0, 0);
    for (size_t i = 0; i < d->n_keys; i++)
        token_keys_add(ret, span_of(d->keys[i].kid), secret_reveal(&d->keys[i].secret),
            d->keys[i].not_before_s, d->keys[i].not_after_s);
}

const char *tokens_audience(const struct conf *c, char dst[TOKEN_AUDIENCE_MAX + 1])
{
    snprintf(dst, TOKEN_AUDIENCE_MAX + 1, "%lld", (long long)c->server.cluster_id);
    return dst;
}
