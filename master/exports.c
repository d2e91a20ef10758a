#include "master/exports.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/hex.h"
#include "master/master.h"

#include <errno.h>

#define FILE_NAME "exports" /* in state-dir: msgpack, an array of rows as `save` writes them */
#define FILE_MAX  (256u << 10)
#define FIELDS    8

static bool take_row(const struct packed *v, struct export_row *r)
{
    *r = (struct export_row){.from_s = packed_as_i64(packed_at(v, 4), -1),
        .to_s = packed_as_i64(packed_at(v, 5), -1),
        .made_s = packed_as_i64(packed_at(v, 6), 0),
        .until_s = packed_as_i64(packed_at(v, 7), 0)};
    return packed_n(v) == FIELDS && span_copy(packed_as_str(packed_at(v, 0)), r->id, sizeof(r->id)) &&
        span_copy(packed_as_str(packed_at(v, 1)), r->uid, sizeof(r->uid)) &&
        span_copy(packed_as_str(packed_at(v, 2)), r->by, sizeof(r->by)) &&
        span_copy(packed_as_str(packed_at(v, 3)), r->note, sizeof(r->note)) && r->id[0] && r->uid[0];
}

/* A row that is bad is left out. */
static int take_rows(struct exports *x, struct span bytes)
{
    struct unpack *u;
    int err = unpack_new(bytes, &u) == 0 ? 0 : -EBADMSG;

    if (err < 0) return err;
    for (size_t i = 0; i < packed_n(unpack_root(u)); i++)
        if (x->n < EXPORTS_MAX && take_row(packed_at(unpack_root(u), i), &x->v[x->n]))
            x->n++;
        else
            err = -EBADMSG;
    if (packed_kind(unpack_root(u)) != PACKED_ARRAY) err = -EBADMSG;
    unpack_done(u);
    return err;
}

int exports_open(struct exports *x, int state_dir)
{
    uint8_t *p;
    size_t n;
    int err;

    *x = (struct exports){.file = state_file_new(state_dir, FILE_NAME)};
    if (!x->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    err = take_rows(x, span(p, n));
    mem_free(p);
    return err;
}

void exports_close(struct exports *x)
{
    state_file_free(x->file);
    x->file = NULL;
}

static void save(struct exports *x)
{
    struct packer p;
    struct buf b;

    buf_init(&b, FILE_MAX);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)x->n);
    for (size_t i = 0; i < x->n; i++) {
        const struct export_row *r = &x->v[i];

        pack_array(&p, FIELDS);
        pack_str(&p, span_of(r->id));
        pack_str(&p, span_of(r->uid));
        pack_str(&p, span_of(r->by));
        pack_str(&p, span_of(r->note));
        pack_i64(&p, r->from_s);
        pack_i64(&p, r->to_s);
        pack_i64(&p, r->made_s);
        pack_i64(&p, r->until_s);
    }
    if (!p.bad) state_file_write(x->file, buf_span(&b));
    buf_done(&b);
}

bool exports_add(struct master *m, const struct export_row *row)
{
    struct exports *x = &m->exports;

    if (x->n == EXPORTS_MAX) return false;
    x->v[x->n++] = *row;
    save(x);
    return true;
}

struct export_row *exports_find(struct exports *x, struct span id)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].until_s > 0 && span_is(id, x->v[i].id)) return &x->v[i];
    return NULL;
}

/* It stays in the table until the keeper has said that the lock is gone: on all nodes, where they share the
 * stream, and then here, where it may have been locked while the others were away. */
static void unlock(struct master *m, struct export_row *r)
{
    const struct span args[] = {span_of(r->uid), span_of(r->id)};
    uint64_t ask;

    if (!r->acted && singular_shared(m, r->uid)) {
        r->ask = ++m->control.asks;
        singular_unlock(m, r->uid, r->id, "export", r->ask);
        return;
    }
    ask = control_keeper(m, "archive unlock", "export", args, ARRAY_N(args));
    if (ask != 0) r->ask = ask;
}

/* What could not be decided is asked again in a minute. */
void exports_acted(struct master *m, uint64_t ask, int code)
{
    struct exports *x = &m->exports;

    for (size_t i = 0; ask > 0 && i < x->n; i++) {
        struct export_row *r = &x->v[i];

        if (r->ask != ask || (code != CTL_OK && code != CTL_NOT_FOUND)) continue;
        r->acted = true;
        unlock(m, r);
    }
}

/* Links to it were given. */
static void end_links(struct master *m, const struct export_row *row)
{
    struct revoked_row gone = {
        .kind = REVOKED_TOKEN, .at_us = clock_wall_us(), .until_s = token_good_until(row->until_s)};
    struct wr w = wr_of(gone.name, sizeof(gone.name));
    uint8_t id[TOKEN_ID_N];
    const char *wrong;

    token_id_of_export(span_of(row->id), id);
    hex_write(&w, span(id, sizeof(id)));
    wr_cstr(&w);
    wrong = tokens_revoke(m, &gone);
    if (wrong) log_warn("export-links", "id=%s err=\"%s\"", row->id, wrong);
}

void exports_end(struct master *m, struct export_row *row)
{
    end_links(m, row);
    row->until_s = 0;
    save(&m->exports);
    unlock(m, row);
}

/* Asked again each minute, where the keeper died over it. */
void exports_check(struct master *m)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct exports *x = &m->exports;
    int err = x->file ? state_file_failed(x->file) : 0;

    if (err < 0) log_error("state-dir-write", "file=%s err=%s", FILE_NAME, log_q(span_of(err_text(err))));
    for (size_t i = 0; i < x->n; i++) {
        struct export_row *r = &x->v[i];

        if (r->until_s > now_s || (r->ask != 0 && now_s % 60 != 0)) continue;
        if (r->until_s != 0) log_note("export-ends", "stream=%s id=%s", r->uid, r->id);
        r->until_s = 0;
        unlock(m, r);
    }
}

void exports_unlocked(struct master *m, uint64_t ask, int code)
{
    struct exports *x = &m->exports;

    for (size_t i = 0; i < x->n; i++) {
        if (ask == 0 || x->v[i].ask != ask) continue;
        x->v[i].ask = 0;
        if (code != CTL_OK && code != CTL_NOT_FOUND) return;
        x->v[i] = x->v[--x->n];
        save(x);
        return;
    }
}

void exports_pack(struct packer *p, const struct export_row *row)
{
    pack_map(p, 8);
    pack_kv_text(p, "id", row->id);
    pack_kv_text(p, "uid", row->uid);
    pack_kv_text(p, "by", row->by);
    pack_kv_text(p, "note", row->note);
    pack_kv_i64(p, "from", row->from_s);
    pack_kv_i64(p, "to", row->to_s);
    pack_kv_i64(p, "made", row->made_s);
    pack_kv_i64(p, "until", row->until_s);
}
