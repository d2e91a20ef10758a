/* What media-server.ini is to hold: keys of its sections changed, and what may not be changed from elsewhere.
 */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/conf/keys.h"
#include "common/conf/mask.h"
#include "master/edits_impl.h"
#include "master/master.h"

#include <errno.h>
#include <stdlib.h>

#define SETS_MAX 512 /* of one edit */

/* --- what it must not be --- */

#define FREE_MAX 16 /* free sections */

static bool is_kept(const struct conf_row *row)
{
    return row->flags & (KEY_LOCAL | KEY_TRUST) || row->kind == KIND_SECRET;
}

struct local_keys {
    uint64_t v[CONF_ROWS_MAX], free[FREE_MAX]; /* of a free section: the sum over its keys */
};

static void note_local(void *arg, const char *section, const struct source_item *item)
{
    const struct conf_free_section *f = conf_free_section(span_of(section));
    const struct conf_row *row = conf_site_row(section, item->key);
    struct local_keys *keys = arg;

    if (f && (f->flags & KEY_LOCAL) && !row)
        keys->free[f - conf_free_sections] += hash_fnv1a(span_of(item->key)) * 31 + hash_fnv1a(item->value);
    if (row && is_kept(row)) keys->v[conf_row_index(row)] = hash_fnv1a(item->value) | 1;
}

static int refuse_row(struct edits_work *w, const struct conf_row *row)
{
    if (row->flags & KEY_LOCAL)
        return edits_refuse(w, CTL_USAGE,
            "%s/%s: this is set on the server itself (msctl config set, or its file), accounts by /users",
            row->section, row->name);
    if (!w->unsure) return CTL_OK;
    return edits_refuse(w, CTL_CONFIRM,
        "%s/%s is changed by who has just shown a password: PUT /api/v3/session, then repeat this",
        row->section, row->name);
}

int edits_site_check(struct edits_work *w, const struct draft *d)
{
    struct local_keys before = {.v = {0}}, after = {.v = {0}};
    int code = CTL_OK;

    if (!w->remote) return CTL_OK;
    conf_show_site(span(d->was, d->was_n), note_local, &before);
    conf_show_site(buf_span(&d->text), note_local, &after);
    must(conf_free_sections_n <= FREE_MAX);
    for (size_t i = 0; i < conf_free_sections_n; i++)
        if (before.free[i] != after.free[i])
            return edits_refuse(w, CTL_USAGE, "%s: not by this call: /users and /keys are for that",
                conf_free_sections[i].section);
    for (size_t i = 0; i < conf_rows_n && code == CTL_OK; i++)
        if (before.v[i] != after.v[i]) code = refuse_row(w, &conf_rows[i]);
    return code;
}

/* --- what is meant --- */

struct old_items {
    const struct conf_set *set;
    size_t n;
    char **values; /* of each of the set: what is meant, NULL: as it is given; the caller's */
    int wrong;     /* a masked value that nothing stands for; -1: none */
};

static bool is_masked(const struct conf_set *set)
{
    return set->value && strstr(set->value, CONF_MASK);
}

/* was NULL: nothing stands there. */
static void unmask(struct old_items *o, size_t i, const struct source_item *was)
{
    const struct conf_set *set = &o->set[i];
    char text[CONF_SHOWN_MAX];
    struct wr w = wr_of(text, sizeof(text));

    if (!conf_unmask(set->section, set->key, span_of(set->value), was, &w)) return;
    mem_free(o->values[i]);
    o->values[i] = mem_strdup(wr_cstr(&w));
}

static void unmask_item(void *arg, const char *section, const struct source_item *item)
{
    struct old_items *o = arg;

    for (size_t i = 0; i < o->n; i++)
        if (is_masked(&o->set[i]) && strcmp(o->set[i].section, section) == 0 &&
            strcmp(o->set[i].key, item->key) == 0)
            unmask(o, i, item);
}

static int check_set(struct edits_work *w, const struct conf_set *set)
{
    bool free_keys;

    if (!set->section) return edits_refuse(w, CTL_USAGE, "%.64s stands in no section", set->key);
    if (!set->value) return CTL_OK;
    free_keys = conf_free_section(span_of(set->section)) != NULL;
    if (!free_keys && !conf_site_row(set->section, set->key))
        return edits_refuse(w, CTL_USAGE, "%.64s/%.64s: there is no such key", set->section, set->key);
    return CTL_OK;
}

static int refuse_edit(struct edits_work *w, int err, const struct conf_set *set)
{
    if (err == CONF_EDIT_E_KEY)
        return edits_refuse(w, CTL_USAGE, "%.64s/%.64s: this is no key", set->section, set->key);
    if (err == CONF_EDIT_E_VALUE)
        return edits_refuse(w, CTL_USAGE,
            "%.64s/%.64s: such a value cannot stand in a file: control characters, both kinds of quotes, a "
            "quote that is not closed, or too long",
            set->section, set->key);
    if (err == CONF_EDIT_E_SECTION)
        return edits_refuse(w, CTL_USAGE,
            "%.64s: this is no section, or it cannot go: others stand in it, or keys of it are set",
            set->section);
    return edits_refuse(w, CTL_FAILED, "the file would be too large");
}

static int write_text(struct edits_work *w, const struct stream_edit *e, struct draft *d, char **values)
{
    CLEANUP(mem_freep) struct conf_set *set = mem_new_n(e->n + 1, sizeof(*set));
    struct old_items old = {.set = e->set, .n = e->n, .values = values};
    size_t at = 0;
    int err;

    for (size_t i = 0; i < e->n; i++)
        if (is_masked(&e->set[i])) unmask(&old, i, NULL);
    conf_show_site(span(d->was, d->was_n), unmask_item, &old);
    for (size_t i = 0; i < e->n; i++) {
        set[i] = e->set[i];
        if (values[i]) set[i].value = values[i];
        if (is_masked(&e->set[i]) && !values[i])
            return edits_refuse(w, CTL_USAGE,
                "%.64s/%.64s: the secret is masked, and none is known for it: type it again", set[i].section,
                set[i].key);
    }
    err = conf_edit(span(d->was, d->was_n), SPAN_NONE, set, e->n, &d->text, &at);
    return err ? refuse_edit(w, err, &e->set[MIN(at, e->n - 1)]) : edits_site_check(w, d);
}

int edits_site(struct edits_work *w, const struct stream_edit *e, struct draft *d)
{
    char *values[SETS_MAX] = {NULL};
    int code = CTL_OK;

    if (e->n == 0 || e->n > SETS_MAX) return edits_refuse(w, CTL_USAGE, "1 to %d keys at once", SETS_MAX);
    for (size_t i = 0; i < e->n && code == CTL_OK; i++) code = check_set(w, &e->set[i]);
    if (code != CTL_OK) return code;
    d->site = true;
    d->file = mem_strdup(w->m->file);
    d->real = realpath(w->m->file, NULL);
    if (!d->real) return edits_refuse(w, CTL_FAILED, "%.256s: %s", w->m->file, err_text(-errno));
    code = edits_read_file(w, d);
    if (code == CTL_OK) code = write_text(w, e, d, values);
    for (size_t i = 0; i < e->n; i++) mem_free(values[i]);
    return code;
}
