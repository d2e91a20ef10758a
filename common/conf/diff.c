/* Settings hashes, and what a reload has to touch. */
#include "common/base/mem.h"
#include "common/conf/load.h"
#include "common/conf/value.h"

/* Keys of the server's that its streams take over have had their effect in the stream's own fields. */
static bool inherited(const struct conf_row *row)
{
    const struct conf_row *of_stream = conf_row_find(SCOPE_STREAM, "", row->name);

    return of_stream && (of_stream->flags & KEY_INHERITS);
}

/* Fields are only read: load_field gives what it is given. */
static const void *field_of(const struct conf_row *row, const void *base)
{
    return (const char *)base + row->at;
}

static void hash_keys(const struct conf *c, uint64_t *h)
{
    for (size_t i = 0; i < c->delivery.n_keys; i++) {
        const struct conf_auth_key *k = &c->delivery.keys[i];

        value_hash_bytes(h, span_of(k->kid));
        value_hash_bytes(h, secret_reveal(&k->secret));
        value_hash_bytes(h, span(&k->not_before_s, sizeof(k->not_before_s)));
        value_hash_bytes(h, span(&k->not_after_s, sizeof(k->not_after_s)));
    }
}

void hash_stream(const struct conf *c, struct conf_stream *st)
{
    uint64_t source = 0, worker = 0, view = 0;

    value_hash_bytes(&source, span_of(st->uid));
    value_hash_bytes(&worker, span(&st->record, sizeof(st->record)));
    value_hash_bytes(&worker, span(&st->dvr_mode, sizeof(st->dvr_mode)));
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        const void *base = row->scope == SCOPE_STREAM ? (const void *)st : c;

        if (row->scope == SCOPE_STORAGE || (row->scope == SCOPE_CONF && inherited(row))) continue;
        if (row->reload == RELOAD_STREAM)
            value_hash(row, field_of(row, base), &source);
        else if (row->reload == RELOAD_WORKER)
            value_hash(row, field_of(row, base), &worker);
        else if (row->scope == SCOPE_STREAM)
            value_hash(row, field_of(row, base), &view);
    }
    value_hash_bytes(&worker, span(&source, sizeof(source)));
    value_hash_bytes(&view, span(&worker, sizeof(worker)));
    st->source_hash = source;
    st->worker_hash = worker;
    st->view_hash = view;
}

void conf_hashes(const struct conf *c, uint64_t v[static CONF_ROWS_MAX])
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        v[i] = 0;
        if (conf_rows[i].scope == SCOPE_CONF) value_hash(&conf_rows[i], field_of(&conf_rows[i], c), &v[i]);
    }
}

static bool row_same(const struct conf_row *row, const void *a, const void *b)
{
    uint64_t ha = 0, hb = 0;

    value_hash(row, field_of(row, a), &ha);
    value_hash(row, field_of(row, b), &hb);
    return ha == hb;
}

static void diff_server(const struct conf *before, const struct conf *after, struct conf_diff *d)
{
    uint64_t keys[2] = {0};

    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        char name[100];

        if (row->scope != SCOPE_CONF || row_same(row, before, after)) continue;
        if (row->reload == RELOAD_LIVE) d->live = true;
        if (row->reload == RELOAD_HTTPD) d->httpd = true;
        if (row->reload != RELOAD_RESTART) continue;
        snprintf(name, sizeof(name), "%s/%s", row->section, row->name);
        d->restart.v = mem_renew(d->restart.v, (d->restart.n + 1) * sizeof(*d->restart.v));
        d->restart.v[d->restart.n++] = mem_strdup(name);
    }
    hash_keys(before, &keys[0]);
    hash_keys(after, &keys[1]);
    hash_accounts(before, &keys[0]);
    hash_accounts(after, &keys[1]);
    d->live |= keys[0] != keys[1];
}

static bool storage_same(const struct conf_storage *a, const struct conf_storage *b)
{
    return b && strcmp(a->path, b->path) == 0 && strcmp(a->index_path, b->index_path) == 0 &&
        strcmp(a->free_text, b->free_text) == 0;
}

static bool storages_same(const struct conf *a, const struct conf *b)
{
    if (a->n_storages != b->n_storages) return false;
    for (size_t i = 0; i < a->n_storages; i++)
        if (!storage_same(&a->storages[i], conf_storage(b, span_of(a->storages[i].name)))) return false;
    return true;
}

static void changed(struct conf_diff *d, enum conf_change change, const char *uid)
{
    d->streams = mem_renew(d->streams, (d->n_streams + 1) * sizeof(*d->streams));
    d->streams[d->n_streams].change = change;
    d->streams[d->n_streams++].uid = uid;
}

void conf_diff(const struct conf *before, const struct conf *after, struct conf_diff *ret)
{
    *ret = (struct conf_diff){0};
    diff_server(before, after, ret);
    ret->storages = !storages_same(before, after);
    for (size_t i = 0; i < before->n_streams; i++)
        if (!conf_stream(after, span_of(before->streams[i]->uid)))
            changed(ret, CONF_REMOVED, before->streams[i]->uid);
    for (size_t i = 0; i < after->n_streams; i++) {
        const struct conf_stream *now = after->streams[i], *was = conf_stream(before, span_of(now->uid));

        if (!was)
            changed(ret, CONF_ADDED, now->uid);
        else if (was->source_hash != now->source_hash)
            changed(ret, CONF_SOURCE_CHANGED, now->uid);
        else if (was->worker_hash != now->worker_hash)
            changed(ret, CONF_WORKER_CHANGED, now->uid);
        else if (was->view_hash != now->view_hash)
            changed(ret, CONF_VIEW_CHANGED, now->uid);
    }
}

void conf_diff_done(struct conf_diff *d)
{
    for (size_t i = 0; i < d->restart.n; i++) mem_free(d->restart.v[i]);
    mem_free(d->restart.v);
    mem_free(d->streams);
    *d = (struct conf_diff){0};
}
