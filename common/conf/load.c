#include "common/conf/load.h"
#include "common/conf/edit.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/report.h"
#include "common/conf/store.h"
#include "common/conf/value.h"

#include <errno.h>
#include <unistd.h>

#define KEY_TEXT_MAX 128

void *load_field(const struct conf_row *row, void *base)
{
    return (char *)base + row->at;
}

void load_defaults(enum conf_scope scope, void *base)
{
    struct value_why why = {""};

    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        struct value_from from = {.text = span_of(row->def), .dir = "/"};

        if (row->scope != scope || value_nothing(row, from.text)) continue;
        must(value_parse(row, &from, load_field(row, base), &why));
    }
}

void load_free_fields(enum conf_scope scope, void *base)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (conf_rows[i].scope == scope) value_done(&conf_rows[i], load_field(&conf_rows[i], base));
}

static const char *key_text(const char *path, const char *key, char dst[static KEY_TEXT_MAX])
{
    snprintf(dst, KEY_TEXT_MAX, "%s%s%s", path, path[0] && key[0] ? "/" : "", key);
    return dst;
}

void load_mistake(struct load *l, const struct source *s, unsigned line, const char *path, const char *key,
    const char *fmt, ...)
{
    char name[KEY_TEXT_MAX], text[500];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    report_add(l->r, CONF_MISTAKE, s->file, line, key_text(path, key, name), "%s", text);
}

static void load_item(struct load *l, const struct source *s, const struct source_section *sec,
    const struct source_item *item, const struct conf_row *row, const struct load_into *into)
{
    struct value_from from = {item->value, item->quoted, item->torn, l->c->dir};
    unsigned *line = &into->given->lines[conf_row_index(row)];
    char name[KEY_TEXT_MAX];
    struct value_why why = {""};

    key_text(sec->path, item->key, name);
    if (*line > 0)
        report_add(
            l->r, CONF_WARNING, s->file, item->line, name, "stands in line %u too: this one counts", *line);
    if (value_nothing(row, item->value)) return;
    *line = item->line;
    if (!value_parse(row, &from, load_field(row, into->base), &why)) {
        report_add(l->r, CONF_MISTAKE, s->file, item->line, name, "%s", why.text);
        return;
    }
    load_accepted(l, row, s, item->line, name);
}

void load_items(
    struct load *l, const struct source *s, const struct source_section *sec, const struct load_into *into)
{
    char name[KEY_TEXT_MAX];

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];
        const struct conf_row *row = conf_row_find(into->scope, into->section, item->key);

        if (row)
            load_item(l, s, sec, item, row, into);
        else if (!into->free_keys)
            report_add(l->r, CONF_WARNING, s->file, item->line, key_text(sec->path, item->key, name),
                "is unknown: ignored");
    }
}

static bool section_known(const char *path)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (conf_rows[i].scope == SCOPE_CONF && strcmp(conf_rows[i].section, path) == 0) return true;
    return false;
}

static void load_section(struct load *l, const struct source *s, const struct source_section *sec)
{
    struct span name = span_of(sec->path);

    if (strcmp(sec->path, "server/stream/keys") == 0)
        load_auth_keys(l, s, sec);
    else if (strcmp(sec->path, "server/module/accounts") == 0)
        load_accounts(l, s, sec);
    else if (strcmp(sec->path, "server/module/cameras") == 0)
        load_cameras(l, s, sec);
    else if (strcmp(sec->path, "storages") == 0)
        load_storages(l, s, sec);
    else if (span_starts(name, SPAN_LIT("storages/")) && span_find(span_from(name, 9), '/') < 0)
        load_storage(l, s, sec, sec->path + 9);
    else if (section_known(sec->path)) {
        bool nodes = strcmp(sec->path, "nodes") == 0;

        load_items(l, s, sec, &(struct load_into){SCOPE_CONF, sec->path, l->c, &l->given, nodes});
        if (nodes) load_nodes(l, s, sec);
    } else
        report_add(l->r, CONF_WARNING, s->file, sec->line, sec->path, "is an unknown section: ignored");
}

static void load_nodes_file(struct load *l)
{
    static const struct conf_row *row;
    struct source s;
    bool given;

    row = conf_row_find(SCOPE_CONF, "nodes", "include");
    given = l->given.lines[conf_row_index(row)] > 0;
    if (l->c->nodes_include[0] == 0) return;
    if (access(l->c->nodes_include, F_OK) != 0) {
        if (given)
            report_add(l->r, CONF_WARNING, l->c->file, l->given.lines[conf_row_index(row)], "nodes/include",
                "there is no file %s", l->c->nodes_include);
        return;
    }
    if (source_read(&s, l->c->nodes_include, SOURCE_NO_SECTION, l->r) == 0)
        for (size_t i = 0; i < s.n; i++) load_nodes(l, &s, &s.sections[i]);
    source_done(&s);
}

/* What the store has named, and the master kept, as far as it can be read by who asks. */
static void load_kept_nodes(struct load *l)
{
    struct conf_report unheard = {0};
    char path[VALUE_PATH_MAX];
    struct source s;
    int n = snprintf(path, sizeof(path), "%s/%s", l->c->server.state_dir, CONF_STORE_NODES);

    if (!secret_set(&l->c->server.cluster_store) || n < 0 || (size_t)n >= sizeof(path)) return;
    if (access(path, R_OK) != 0) return;
    if (source_read(&s, path, SOURCE_NO_SECTION, &unheard) == 0)
        for (size_t i = 0; i < s.n; i++) load_store_nodes(l, &s.sections[i]);
    source_done(&s);
    conf_report_done(&unheard);
}

/* The absolute folder of a file, by the text of its name: links are not followed. */
static int folder_of(const char *file, char dst[VALUE_PATH_MAX])
{
    char cwd[VALUE_PATH_MAX];
    const char *slash;
    size_t n;

    if (!getcwd(cwd, sizeof(cwd))) return -errno;
    if (!value_path(cwd, span_of(file), dst)) return -ENAMETOOLONG;
    slash = strrchr(dst, '/');
    n = slash ? (size_t)(slash - dst) : 0;
    dst[n ? n : 1] = 0;
    return 0;
}

static void default_paths(struct conf *c)
{
    static const char *const names[][2] = {{"nodes", "include"}};

    /* A default that is relative starts at the ini's folder like any other path. */
    for (size_t i = 0; i < ARRAY_N(names); i++) {
        const struct conf_row *row = conf_row_find(SCOPE_CONF, names[i][0], names[i][1]);
        struct value_from from = {.text = span_of(row->def), .dir = c->dir};
        struct value_why why = {""};

        must(value_parse(row, &from, load_field(row, c), &why));
    }
}

const struct conf_draft *load_draft(const struct load *l, const char *file)
{
    for (size_t i = 0; i < l->n_drafts; i++)
        if (strcmp(l->drafts[i].file, file) == 0) return &l->drafts[i];
    return NULL;
}

int load_source(struct load *l, const char *file, unsigned flags, struct source *s)
{
    const struct conf_draft *d = load_draft(l, file);
    struct span text = d && d->text.p ? d->text : SPAN_LIT("");

    if (!d) return source_read(s, file, flags, l->r);
    source_parse(s, file, mem_dup(text.p, text.n), text.n, flags, l->r);
    return 0;
}

static int load_file(struct load *l, const char *file)
{
    struct source s;
    int err = load_source(l, file, 0, &s);

    for (size_t i = 0; err == 0 && i < s.n; i++) load_section(l, &s, &s.sections[i]);
    if (err == 0) {
        derive_server(l);
        load_nodes_file(l);
        load_kept_nodes(l);
        load_streams(l);
        load_cluster_check(l);
        load_remarks(l);
    }
    source_done(&s);
    return err;
}

int conf_load(const char *file, struct conf **ret, struct conf_report *r)
{
    return conf_load_as(file, NULL, 0, ret, r);
}

int conf_load_as(const char *file, const struct conf_draft *drafts, size_t n_drafts, struct conf **ret,
    struct conf_report *r)
{
    struct load l = {.drafts = drafts, .n_drafts = n_drafts, .r = r};
    size_t mistakes = r->mistakes;
    char dir[VALUE_PATH_MAX];
    int err = folder_of(file, dir);

    *ret = NULL;
    if (err < 0) {
        report_add(r, CONF_MISTAKE, file, 0, "", "cannot be read: %s", err_text(err));
        return err;
    }
    l.c = NEW(struct conf);
    l.c->file = mem_strdup(file);
    l.c->dir = mem_strdup(dir);
    load_defaults(SCOPE_CONF, l.c);
    default_paths(l.c);
    err = load_file(&l, file);
    load_remarks_done(&l);
    if (err == 0 && r->mistakes > mistakes) err = CONF_E_MISTAKES;
    if (err == 0)
        *ret = l.c;
    else
        conf_free(l.c);
    return err;
}

static void stream_free(struct conf_stream *st)
{
    load_free_fields(SCOPE_STREAM, st);
    mem_free(st->uid);
    mem_free(st->file);
    mem_free(st->host);
    mem_free(st);
}

void conf_free(struct conf *c)
{
    if (!c) return;
    load_free_fields(SCOPE_CONF, c);
    for (size_t i = 0; i < c->n_streams; i++) stream_free(c->streams[i]);
    for (size_t i = 0; i < c->n_storages; i++) {
        load_free_fields(SCOPE_STORAGE, &c->storages[i]);
        mem_free(c->storages[i].name);
        mem_free(c->storages[i].free_text);
        mem_free(c->storages[i].file);
    }
    load_nodes_done(c);
    for (size_t i = 0; i < c->delivery.n_keys; i++) {
        mem_free(c->delivery.keys[i].kid);
        secret_done(&c->delivery.keys[i].secret);
    }
    mem_free(c->delivery.keys);
    conf_accounts_done(&c->module);
    mem_free(c->streams);
    mem_free(c->storages);
    map_done(&c->by_uid);
    mem_free(c->file);
    mem_free(c->dir);
    mem_free(c);
}

struct conf_stream *conf_stream(const struct conf *c, struct span uid)
{
    return map_get(&c->by_uid, uid);
}

const struct conf_storage *conf_storage(const struct conf *c, struct span name)
{
    for (size_t i = 0; i < c->n_storages; i++)
        if (span_is(name, c->storages[i].name)) return &c->storages[i];
    return NULL;
}
