#include "master/edits_read.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"

#define ITEMS 4 /* of an edit: kind, uid, etag, lines */

static char *put_text(char **to, struct span s)
{
    char *text = *to;

    memcpy(text, s.p ? s.p : (const uint8_t *)"", s.n);
    text[s.n] = 0;
    *to += s.n + 1;
    return text;
}

static size_t lines_of(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '\n';
    return n;
}

struct conf_set edits_set(char *word, bool site)
{
    char *eq = strchr(word, '='), *slash;
    struct conf_set set = {.key = word, .value = eq ? eq + 1 : NULL};

    if (eq) *eq = '\0';
    slash = site ? strrchr(word, '/') : NULL;
    if (!slash) return set;
    *slash = '\0';
    set.section = word;
    set.key = slash + 1;
    return set;
}

static size_t take_sets(struct span lines, bool site, struct conf_set *to, char **texts)
{
    struct span line;
    size_t n = 0;

    while (span_split(&lines, '\n', &line))
        if (line.n > 0) to[n++] = edits_set(put_text(texts, line), site);
    return n;
}

static bool has_nul(struct span s)
{
    return s.n > 0 && memchr(s.p, 0, s.n);
}

static bool take_edit(const struct packed *row, struct stream_edit *e, struct conf_set *sets, char **texts)
{
    struct span uid = packed_as_str(packed_at(row, 1)), etag = packed_as_str(packed_at(row, 2));
    struct span lines = packed_as_str(packed_at(row, 3));

    if (packed_n(row) != ITEMS || !edit_kind_of(packed_as_str(packed_at(row, 0)), &e->kind) || uid.n == 0 ||
        has_nul(uid) || has_nul(etag) || has_nul(lines))
        return false;
    e->uid = put_text(texts, e->kind == EDIT_SITE ? SPAN_LIT(EDIT_SITE_UID) : uid);
    e->etag = etag.n > 0 ? put_text(texts, etag) : NULL;
    e->set = sets;
    e->n = take_sets(lines, e->kind == EDIT_SITE, sets, texts);
    return true;
}

static bool take(const struct packed *rows, struct edits_read *ret)
{
    size_t bytes = 0, sets = 0, n = packed_n(rows);
    char *at;

    if (n == 0 || n > EDITS_MAX) return false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ITEMS; k++) {
            struct span s = packed_as_str(packed_at(packed_at(rows, i), k));

            bytes += MAX(s.n, sizeof(EDIT_SITE_UID)) + 2;
            if (k == ITEMS - 1) sets += lines_of(s) + 1;
        }
    ret->v = mem_new_n(n, sizeof(*ret->v));
    memset(ret->v, 0, n * sizeof(*ret->v));
    ret->sets = mem_new_n(sets, sizeof(*ret->sets));
    ret->texts = at = mem_new(bytes + sets);
    for (size_t i = 0, k = 0; i < n; k += ret->v[i++].n)
        if (!take_edit(packed_at(rows, i), &ret->v[i], &ret->sets[k], &at)) return false;
    ret->n = n;
    return true;
}

bool edits_read(struct span body, struct edits_read *ret)
{
    struct unpack *u = NULL;
    bool ok;

    *ret = (struct edits_read){.n = 0};
    ok = unpack_new(body, &u) == 0 && take(unpack_root(u), ret);
    unpack_done(u);
    return ok;
}

void edits_read_done(struct edits_read *r)
{
    mem_free(r->v);
    mem_free(r->sets);
    mem_free(r->texts);
    *r = (struct edits_read){.n = 0};
}
