/* A change of keys is taken back from a file that somebody has changed since: only those keys, and only where
 * none of them is another than the change had left it. */
#include "common/base/mem.h"
#include "common/conf/keys.h"
#include "common/conf/source.h"
#include "master/edits_impl.h"
#include "master/master.h"

#define SETS_MAX 512

/* A key that counts, in one of three texts: before the change, behind it, now. */
enum { BEFORE, BEHIND, NOW, TEXTS };
struct undo_key {
    char *section, *key; /* section NULL: that of the uid */
    char *value[TEXTS];  /* NULL: it is not set there */
    bool odd;            /* it would not be written back as it stood */
};
struct undo {
    struct undo_key v[SETS_MAX];
    size_t n;
    unsigned text;
    bool full;
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void take(struct undo *u, const char *section, const char *key, struct span value, bool odd)
{
    struct undo_key *k = NULL;

    for (size_t i = 0; i < u->n && !k; i++)
        if (strcmp(u->v[i].key, key) == 0 && same_text(u->v[i].section, section)) k = &u->v[i];
    if (!k && u->n == SETS_MAX) {
        u->full = true;
        return;
    }
    if (!k) {
        k = &u->v[u->n++];
        *k = (struct undo_key){.section = section ? mem_strdup(section) : NULL, .key = mem_strdup(key)};
    }
    k->odd = k->odd || odd;
    mem_free(k->value[u->text]);
    k->value[u->text] = span_dup(value); /* of a key that stands there twice, the last */
}

static void take_key(void *arg, const char *key, struct span value)
{
    take(arg, NULL, key, value, false);
}

static void take_item(void *arg, const char *section, const struct source_item *item)
{
    take(arg, section, item->key, item->value, item->quoted && conf_section_raw(span_of(section)));
}

static void undo_free(struct undo *u)
{
    for (size_t i = 0; i < u->n; i++) {
        for (unsigned k = 0; k < TEXTS; k++) mem_free(u->v[i].value[k]);
        mem_free(u->v[i].section);
        mem_free(u->v[i].key);
    }
    mem_free(u);
}

/* What the change did, back. CTL_CHANGED: one of these keys is another by now. */
static int gather(struct edits_work *w, const struct undo *u, struct conf_set *set, size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < u->n; i++) {
        const struct undo_key *k = &u->v[i];

        if (same_text(k->value[BEFORE], k->value[BEHIND]) || same_text(k->value[BEFORE], k->value[NOW]))
            continue;
        if (k->odd || !same_text(k->value[BEHIND], k->value[NOW]))
            return edits_refuse(w, CTL_CHANGED, "%s%s%s has changed since then", k->section ? k->section : "",
                k->section ? "/" : "", k->key);
        set[(*ret_n)++] = (struct conf_set){.key = k->key, .value = k->value[BEFORE], .section = k->section};
    }
    return CTL_OK;
}

int edits_undo(struct edits_work *w, const struct stream_edit *e, struct draft *d)
{
    const struct span texts[TEXTS] = {[BEFORE] = e->text, [BEHIND] = e->was, [NOW] = span(d->was, d->was_n)};
    struct span uid = d->site ? SPAN_NONE : span_of(e->uid);
    struct conf_set *set = mem_new_n(SETS_MAX, sizeof(*set));
    struct undo *u = NEW(struct undo);
    size_t n = 0, at = 0;
    int code;

    for (u->text = 0; u->text < TEXTS; u->text++)
        if (d->site)
            conf_show_site(texts[u->text], take_item, u);
        else
            conf_show(texts[u->text], uid, take_key, u);
    code = u->full ? edits_refuse(w, CTL_CHANGED, "the file of %.64s has changed since then", e->uid)
                   : gather(w, u, set, &n);
    if (code == CTL_OK && conf_edit(texts[NOW], uid, set, n, &d->text, &at) != CONF_EDIT_OK)
        code = edits_refuse(
            w, CTL_CHANGED, "%.64s cannot be set back", n > 0 ? set[MIN(at, n - 1)].key : e->uid);
    undo_free(u);
    mem_free(set);
    return code;
}
