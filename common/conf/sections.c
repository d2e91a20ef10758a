/* Sections whose keys or names are a site's own: storages, token keys. */
#include "common/base/mem.h"
#include "common/conf/load.h"
#include "common/conf/report.h"
#include "common/conf/value.h"

#define KEY_BYTES_MAX 1024

struct conf_storage *load_storage_add(
    struct load *l, const char *name, const char *path, const char *file, unsigned line)
{
    struct conf *c = l->c;
    struct conf_storage *st;

    c->storages = mem_renew(c->storages, (c->n_storages + 1) * sizeof(*c->storages));
    st = &c->storages[c->n_storages++];
    *st = (struct conf_storage){.name = mem_strdup(name), .file = mem_strdup(file), .line = line};
    load_defaults(SCOPE_STORAGE, st);
    if (path) {
        mem_free(st->path);
        st->path = mem_strdup(path);
    }
    return st;
}

static struct conf_storage *storage_named(
    struct load *l, const struct source *s, unsigned line, const char *name)
{
    const struct conf_storage *known = conf_storage(l->c, span_of(name));

    if (known) return &l->c->storages[known - l->c->storages];
    if (strlen(name) > CONF_NAME_MAX) {
        load_mistake(
            l, s, line, "storages", name, "a storage's name has at most %d characters", CONF_NAME_MAX);
        return NULL;
    }
    if (l->c->n_storages == LOAD_STORAGES_MAX) {
        load_mistake(l, s, line, "storages", name, "there are more than %d storages", LOAD_STORAGES_MAX);
        return NULL;
    }
    return load_storage_add(l, name, NULL, s->file, line);
}

static void storage_check(
    struct load *l, const struct source *s, unsigned line, const struct conf_storage *st)
{
    const struct conf *c = l->c;

    if (st->path[0] == 0) load_mistake(l, s, line, "storages", st->name, "has no path");
    if (strlen(st->path) > LOAD_STORAGE_PATH_MAX)
        load_mistake(
            l, s, line, "storages", st->name, "the path is longer than %d bytes", LOAD_STORAGE_PATH_MAX);
    for (size_t i = 0; i < c->n_storages; i++)
        if (&c->storages[i] != st && st->path[0] && strcmp(c->storages[i].path, st->path) == 0)
            load_mistake(
                l, s, line, "storages", st->name, "has the path of the storage %s", c->storages[i].name);
}

void load_storages(struct load *l, const struct source *s, const struct source_section *sec)
{
    const struct conf_row *row = conf_row_find(SCOPE_STORAGE, "", "path");

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];
        struct value_from from = {item->value, item->quoted, item->torn, l->c->dir};
        size_t before = l->c->n_storages;
        struct conf_storage *st = storage_named(l, s, item->line, item->key);
        struct value_why why = {""};

        if (!st) continue;
        if (l->c->n_storages == before) {
            load_mistake(l, s, item->line, "storages", item->key, "is named before, in line %u", st->line);
            continue;
        }
        if (!value_parse(row, &from, load_field(row, st), &why))
            load_mistake(l, s, item->line, "storages", item->key, "%s", why.text);
        else
            storage_check(l, s, item->line, st);
    }
}

void load_storage(struct load *l, const struct source *s, const struct source_section *sec, const char *name)
{
    struct conf_storage *st = storage_named(l, s, sec->line, name);
    struct given given = {0};

    if (!st) return;
    load_items(l, s, sec, &(struct load_into){SCOPE_STORAGE, "", st, &given, false});
    storage_check(l, s, sec->line, st);
}

/* secret[, not-before[, not-after]] */
static bool key_parse(const struct source_item *item, struct conf_auth_key *key, struct span *ret_secret)
{
    struct span rest = item->value, piece;
    int64_t *times[] = {&key->not_before_s, &key->not_after_s};

    *ret_secret = rest;
    if (item->quoted) return true;
    if (item->torn) {
        if (!value_item(&rest, ret_secret)) return false;
        rest = span_trim(rest);
        if (rest.n == 0 || rest.p[0] != ',') return false;
        rest = span_from(rest, 1);
    } else {
        span_split(&rest, ',', ret_secret);
        *ret_secret = span_trim(*ret_secret);
    }
    for (size_t i = 0; span_split(&rest, ',', &piece); i++) {
        piece = span_trim(piece);
        if (i == ARRAY_N(times) || (piece.n > 0 && !value_time(piece, times[i]))) return false;
    }
    return key->not_after_s == 0 || key->not_after_s > key->not_before_s;
}

void load_auth_keys(struct load *l, const struct source *s, const struct source_section *sec)
{
    struct conf_delivery *d = &l->c->delivery;

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];
        struct conf_auth_key key = {0};
        struct span secret;

        if (strcmp(item->key, "0") == 0 || strlen(item->key) > CONF_NAME_MAX || strchr(item->key, '.'))
            load_mistake(l, s, item->line, sec->path, item->key,
                "a key id has 1 to %d characters and no dot; 0 is auth-secret", CONF_NAME_MAX);
        else if (d->n_keys == LOAD_KEYS_MAX)
            load_mistake(
                l, s, item->line, sec->path, item->key, "there are more than %d keys", LOAD_KEYS_MAX);
        else if (!key_parse(item, &key, &secret) || secret.n == 0 || secret.n > KEY_BYTES_MAX)
            load_mistake(l, s, item->line, sec->path, item->key,
                "is not a secret, maybe followed by not-before and not-after (2026-01-31, "
                "2026-01-31T12:00:00Z or unix seconds); "
                "a secret that holds a comma stands in quotes");
        else {
            for (size_t k = 0; k < d->n_keys; k++)
                if (strcmp(d->keys[k].kid, item->key) == 0)
                    load_mistake(l, s, item->line, sec->path, item->key, "this key id is given before");
            key.kid = mem_strdup(item->key);
            key.secret = secret_of(secret);
            d->keys = mem_renew(d->keys, (d->n_keys + 1) * sizeof(*d->keys));
            d->keys[d->n_keys++] = key;
        }
    }
}
