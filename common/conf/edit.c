#include "common/conf/edit.h"
#include "common/base/mem.h"
#include "common/conf/report.h"
#include "common/conf/source.h"

/* What becomes of a line of the old file. */
enum fate { KEPT = 0, CHANGED, DROPPED };
struct line_fate {
    enum fate fate;
    const struct conf_set *set;
    const struct source_item *item;
};
struct edit {
    struct span uid, rest;
    struct source source;
    const struct source_section *section; /* NULL: there is none yet */
    struct line_fate *lines;              /* by number, from 1 */
    unsigned behind;                      /* new keys are put behind this line */
    const struct conf_set *set;
    size_t n;
    bool *done;
    struct buf *to;
    bool ok;
};

static void put(struct edit *e, struct span s)
{
    e->ok = e->ok && buf_put(e->to, s);
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Would it read as something else without quotes around it? */
static bool needs_quotes(struct span v)
{
    if (v.n == 0) return false;
    if (blank(v.p[0]) || blank(v.p[v.n - 1])) return true;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '#') return true;
        if ((v.p[i] == '"' || v.p[i] == '\'') && (i == 0 || strchr(" \t,:=", v.p[i - 1]))) return true;
    }
    return false;
}

/* The quote that does not stand in it; 0: both do. */
static char quote_for(struct span v)
{
    if (span_find(v, '"') < 0) return '"';
    return span_find(v, '\'') < 0 ? '\'' : 0;
}

static bool value_ok(struct span v)
{
    if (v.n > CONF_VALUE_MAX) return false;
    for (size_t i = 0; i < v.n; i++)
        if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f) return false;
    return !needs_quotes(v) || quote_for(v) != 0;
}

static bool key_ok(struct span k)
{
    if (k.n == 0 || k.n > SOURCE_KEY_MAX) return false;
    for (size_t i = 0; i < k.n; i++)
        if (!(k.p[i] >= 'a' && k.p[i] <= 'z') && !(k.p[i] >= '0' && k.p[i] <= '9') && k.p[i] != '-')
            return false;
    return true;
}

static void put_value(struct edit *e, const char *value, bool quoted)
{
    struct span v = span_of(value);
    char quote = needs_quotes(v) || quoted ? quote_for(v) : 0;

    if (quote) put(e, span(&quote, 1));
    put(e, v);
    if (quote) put(e, span(&quote, 1));
}

/* --- which line becomes what --- */

static void find_section(struct edit *e)
{
    for (size_t i = 0; i < e->source.n; i++)
        if (span_is(e->uid, e->source.sections[i].path)) e->section = &e->source.sections[i];
    if (e->section) e->behind = e->section->n ? e->section->items[e->section->n - 1].line : e->section->line;
}

static void decide(struct edit *e, const struct conf_set *set, bool *ret_done)
{
    for (size_t i = e->section ? e->section->n : 0; i-- > 0;) {
        const struct source_item *item = &e->section->items[i];

        if (strcmp(item->key, set->key) != 0) continue;
        if (!set->value) {
            e->lines[item->line] = (struct line_fate){.fate = DROPPED};
        } else if (!*ret_done) {
            e->lines[item->line] = (struct line_fate){CHANGED, set, item};
            *ret_done = true;
        }
    }
    if (!set->value) *ret_done = true;
}

/* --- writing --- */

/* A line of the old file, without its end; the last may have none. */
struct line {
    struct span body, end;
};

static struct line line_of(struct span piece, bool last)
{
    bool cr = piece.n > 0 && piece.p[piece.n - 1] == '\r';

    return (struct line){span_sub(piece, 0, piece.n - cr),
        last     ? SPAN_NONE
            : cr ? SPAN_LIT("\r\n")
                 : SPAN_LIT("\n")};
}

/* What stands behind the old value of a line: blanks and a comment. */
static struct span behind_value(const struct line_fate *f, struct span body, size_t from)
{
    struct span v = f->item->value;
    ssize_t hash;

    if (v.n > 0) return span_from(body, (size_t)(v.p - body.p) + v.n + f->item->quoted);
    hash = span_find(span_from(body, from), '#');
    return hash < 0 ? SPAN_NONE : span_from(body, from + (size_t)hash);
}

static void put_changed(struct edit *e, const struct line_fate *f, struct span body)
{
    ssize_t eq = span_find(body, '=');
    struct span behind;
    size_t from;

    if (eq < 0) { /* a bare key */
        put(e, span_sub(body, 0, (size_t)(span_trim(body).p - body.p)));
        put(e, span_of(f->set->key));
        put(e, SPAN_LIT(" = "));
        put_value(e, f->set->value, false);
        return;
    }
    from = (size_t)eq + 1;
    while (from < body.n && blank(body.p[from])) from++;
    put(e, span_sub(body, 0, from));
    if (from == (size_t)eq + 1 && from == body.n) put(e, SPAN_LIT(" "));
    put_value(e, f->set->value, f->item->quoted);
    behind = behind_value(f, body, from);
    if (f->item->value.n == 0 && behind.n > 0) put(e, SPAN_LIT(" "));
    put(e, behind);
}

/* Indented and ended as the line before them. */
static void put_new(struct edit *e, struct line like)
{
    struct span end = like.end.n ? like.end : SPAN_LIT("\n");
    size_t indent = 0;

    while (indent < like.body.n && blank(like.body.p[indent])) indent++;
    for (size_t i = 0; i < e->n; i++) {
        if (e->done[i]) continue;
        e->done[i] = true;
        if (!like.end.n) put(e, end); /* that of the line before */
        put(e, span_sub(like.body, 0, indent));
        put(e, span_of(e->set[i].key));
        put(e, SPAN_LIT(" = "));
        put_value(e, e->set[i].value, false);
        put(e, like.end);
    }
}

static void put_section(struct edit *e, struct line last)
{
    struct span end = last.end.n ? last.end : SPAN_LIT("\n");

    if (last.body.p) put(e, end);
    if (last.body.n > 0 && !last.end.n) put(e, end);
    put(e, SPAN_LIT("["));
    put(e, e->uid);
    put(e, SPAN_LIT("]"));
    put(e, end);
    put_new(e, (struct line){SPAN_NONE, end});
}

static void put_lines(struct edit *e)
{
    struct line last = {SPAN_NONE, SPAN_NONE};
    unsigned number = 0;
    struct span piece;

    while (e->rest.n > 0 && span_split(&e->rest, '\n', &piece)) {
        const struct line_fate *f = &e->lines[++number];

        last = line_of(piece, e->rest.p == NULL);
        if (f->fate == CHANGED) put_changed(e, f, last.body);
        if (f->fate == KEPT) put(e, last.body);
        if (f->fate != DROPPED) put(e, last.end);
        if (e->section && number == e->behind) put_new(e, last);
    }
    if (!e->section) put_section(e, last);
}

static int check(const struct conf_set *v, size_t n, size_t *at)
{
    for (*at = 0; *at < n; ++*at) {
        if (!key_ok(span_of(v[*at].key))) return CONF_EDIT_E_KEY;
        if (v[*at].value && !value_ok(span_of(v[*at].value))) return CONF_EDIT_E_VALUE;
    }
    return CONF_EDIT_OK;
}

int conf_edit(
    struct span text, struct span uid, const struct conf_set *v, size_t n, struct buf *ret, size_t *at)
{
    struct edit e = {.uid = uid, .rest = text, .set = v, .n = n, .to = ret, .ok = true};
    struct conf_report ignored = {0};
    size_t lines = 2;
    int err = check(v, n, at);

    buf_clear(ret);
    if (err) return err;
    if (text.n > SOURCE_FILE_MAX) return CONF_EDIT_E_LARGE;
    source_parse(&e.source, "", mem_dup(text.n ? text.p : (const uint8_t *)"", text.n), text.n,
        SOURCE_BARE_KEYS, &ignored);
    conf_report_done(&ignored);
    for (size_t i = 0; i < text.n; i++) lines += text.p[i] == '\n';
    e.lines = mem_renew(NULL, lines * sizeof(*e.lines));
    memset(e.lines, 0, lines * sizeof(*e.lines));
    e.done = mem_renew(NULL, (n + 1) * sizeof(*e.done));
    memset(e.done, 0, (n + 1) * sizeof(*e.done));
    find_section(&e);
    /* The source's values point into its own copy of the text: lines are cut from that. */
    e.rest = span(e.source.text, text.n);
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n && !e.done[i]; k++) e.done[i] = strcmp(v[i].key, v[k].key) == 0;
        if (!e.done[i]) decide(&e, &v[i], &e.done[i]);
    }
    put_lines(&e);
    mem_free(e.lines);
    mem_free(e.done);
    source_done(&e.source);
    return e.ok && buf_n(ret) <= SOURCE_FILE_MAX ? CONF_EDIT_OK : CONF_EDIT_E_LARGE;
}

void conf_show(
    struct span text, struct span uid, void (*fn)(void *arg, const char *key, struct span value), void *arg)
{
    struct conf_report ignored = {0};
    struct source source;

    if (text.n > SOURCE_FILE_MAX) return;
    source_parse(&source, "", mem_dup(text.n ? text.p : (const uint8_t *)"", text.n), text.n,
        SOURCE_BARE_KEYS, &ignored);
    conf_report_done(&ignored);
    for (size_t i = 0; i < source.n; i++) {
        const struct source_section *sec = &source.sections[i];

        if (!span_is(uid, sec->path)) continue;
        for (size_t k = 0; k < sec->n; k++) {
            bool later = false;

            for (size_t j = k + 1; j < sec->n; j++)
                later = later || strcmp(sec->items[k].key, sec->items[j].key) == 0;
            if (!later) fn(arg, sec->items[k].key, sec->items[k].value);
        }
    }
    source_done(&source);
}
