#include "common/conf/edit.h"
#include "common/base/mem.h"
#include "common/conf/keys.h"
#include "common/conf/report.h"
#include "common/conf/source.h"

/* What becomes of a line of the old file. */
enum fate { KEPT = 0, CHANGED, DROPPED };
struct line_fate {
    enum fate fate;
    const struct conf_set *set;
    const struct source_item *item;
};
/* The keys of one section. */
struct edit {
    struct span path;
    struct source source;
    const struct source_section *section; /* NULL: there is none yet */
    const struct source_section *around;  /* then: the nearest one that there is; NULL: none */
    struct line_fate *lines;              /* by number, from 1 */
    struct span *pieces;                  /* the same: each line, without its '\n' */
    unsigned n_lines;
    bool ends_line;  /* the last line has an end, too */
    unsigned behind; /* new keys, or the new section, are put behind this line; 0: at the end */
    const struct conf_set *set;
    size_t n;
    bool *done;
    bool raw;    /* values are written as they are given */
    bool always; /* the section is made without a key, too */
    struct buf *to;
    bool ok;
};

static bool source_of(struct source *s, struct span text, unsigned flags)
{
    struct conf_report ignored = {0};

    if (text.n > SOURCE_FILE_MAX) return false;
    source_parse(s, "", mem_dup(text.n ? text.p : (const uint8_t *)"", text.n), text.n, flags, &ignored);
    conf_report_done(&ignored);
    return true;
}

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

/* Reads it back as it is written? */
static bool raw_ok(struct span v)
{
    struct conf_report ignored = {0};
    struct source s;
    struct buf b;
    bool ok = false;

    buf_init(&b, CONF_VALUE_MAX * 2);
    if (buf_put(&b, SPAN_LIT("[x]\nk = ")) && buf_put(&b, v)) {
        source_parse(&s, "", mem_dup(buf_span(&b).p, buf_n(&b)), buf_n(&b), 0, &ignored);
        if (s.n == 1 && s.sections[0].n == 1) {
            const struct source_item *item = &s.sections[0].items[0];

            ok = item->quoted ? item->value.n + 2 == v.n : span_eq(item->value, v);
        }
        source_done(&s);
    }
    conf_report_done(&ignored);
    buf_done(&b);
    return ok;
}

static bool value_ok(struct span v, bool raw)
{
    if (v.n > CONF_VALUE_MAX) return false;
    for (size_t i = 0; i < v.n; i++)
        if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f) return false;
    return raw ? raw_ok(v) : !needs_quotes(v) || quote_for(v) != 0;
}

/* any: logins and other names that people give, too. */
static bool name_ok(struct span k, bool any)
{
    if (k.n == 0 || k.n > SOURCE_KEY_MAX || span_is(k, ".")) return false;
    for (size_t i = 0; i < k.n; i++) {
        uint8_t c = k.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') continue;
        if (!any || !((c >= 'A' && c <= 'Z') || c == '_' || c == '.')) return false;
    }
    return true;
}

static size_t depth_of(const char *path)
{
    size_t n = 1;

    for (; *path; path++) n += *path == '/';
    return n;
}

static bool section_ok(const char *path)
{
    struct span rest = span_of(path), name;

    if (depth_of(path) > SOURCE_DEPTH_MAX || rest.n > SOURCE_PATH_MAX) return false;
    while (span_split(&rest, '/', &name))
        if (!name_ok(name, true)) return false;
    return true;
}

static void put_value(struct edit *e, const char *value, bool quoted)
{
    struct span v = span_of(value);
    char quote = !e->raw && (needs_quotes(v) || quoted) ? quote_for(v) : 0;

    if (quote) put(e, span(&quote, 1));
    put(e, v);
    if (quote) put(e, span(&quote, 1));
}

/* --- which line becomes what --- */

static bool is_blank(struct span piece)
{
    return span_trim(piece).n == 0;
}

static bool is_comment(struct span piece)
{
    piece = span_trim(piece);
    return piece.n > 0 && (piece.p[0] == '#' || piece.p[0] == ';');
}

/* Does `path` stand in the section `in`, however deep? */
static bool stands_in(struct span path, const char *in)
{
    struct span s = span_of(in);

    return path.n > s.n && path.p[s.n] == '/' && span_starts(path, s);
}

/* The last line of a section and of all that stands in it, without what is written above the next one. 0: it
 * is the last of the file. */
static unsigned block_end(const struct edit *e, const struct source_section *s)
{
    unsigned next = 0, at;

    for (size_t i = 0; i < e->source.n && next == 0; i++) {
        const struct source_section *other = &e->source.sections[i];

        if (other->line > s->line && !stands_in(span_of(other->path), s->path)) next = other->line;
    }
    if (next == 0) return 0;
    for (at = next - 1; at > s->line && is_comment(e->pieces[at]);) at--;
    if (!is_blank(e->pieces[at])) return next - 1;
    while (at > s->line && is_blank(e->pieces[at])) at--;
    return at;
}

static void find_section(struct edit *e)
{
    for (size_t i = 0; i < e->source.n; i++) {
        const struct source_section *s = &e->source.sections[i];

        if (span_is(e->path, s->path)) e->section = s;
        if (stands_in(e->path, s->path) && (!e->around || strlen(s->path) > strlen(e->around->path)))
            e->around = s;
    }
    if (e->section)
        e->behind = e->section->n ? e->section->items[e->section->n - 1].line : e->section->line;
    else if (e->around)
        e->behind = block_end(e, e->around);
}

/* The whole section: its line and its keys, not the comments. false: others stand in it. */
static bool drop_section(struct edit *e)
{
    for (size_t i = 0; i < e->source.n && e->section; i++)
        if (stands_in(span_of(e->source.sections[i].path), e->section->path)) return false;
    for (size_t i = 0; e->section && i < e->section->n; i++)
        e->lines[e->section->items[i].line].fate = DROPPED;
    if (e->section) e->lines[e->section->line].fate = DROPPED;
    return true;
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

/* What stands in the section around it is indented so. */
static struct span indent_around(const struct edit *e)
{
    const struct source_section *s = e->around;
    unsigned line = s ? s->line : 0;
    struct span piece;
    size_t n = 0;

    if (!s) return SPAN_NONE;
    if (s->n > 0)
        line = s->items[0].line;
    else if (s + 1 < e->source.sections + e->source.n && stands_in(span_of(s[1].path), s->path))
        line = s[1].line;
    piece = e->pieces[line];
    while (n < piece.n && blank(piece.p[n])) n++;
    return span_sub(piece, 0, n);
}

/* The section, and those around it that are not there. last: the line before it. */
static void put_section(struct edit *e, struct line last)
{
    struct span end = last.end.n ? last.end : SPAN_LIT("\n"), indent = indent_around(e);
    struct span rest = e->path, name;
    size_t have = e->around ? depth_of(e->around->path) : 0;

    if (last.body.p) put(e, end);
    if (last.body.n > 0 && !last.end.n) put(e, end);
    for (size_t depth = 1; span_split(&rest, '/', &name); depth++) {
        if (depth <= have) continue;
        put(e, indent);
        for (size_t i = 0; i < depth; i++) put(e, SPAN_LIT("["));
        put(e, name);
        for (size_t i = 0; i < depth; i++) put(e, SPAN_LIT("]"));
        put(e, end);
    }
    put_new(e, (struct line){indent, end});
}

static bool anything_new(const struct edit *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (!e->done[i]) return true;
    return false;
}

static void put_lines(struct edit *e)
{
    bool make = !e->section && (e->always || anything_new(e));
    struct line last = {SPAN_NONE, SPAN_NONE};

    for (unsigned number = 1; number <= e->n_lines; number++) {
        const struct line_fate *f = &e->lines[number];

        last = line_of(e->pieces[number], number == e->n_lines && !e->ends_line);
        if (f->fate == CHANGED) put_changed(e, f, last.body);
        if (f->fate == KEPT) put(e, last.body);
        if (f->fate != DROPPED) put(e, last.end);
        if (number != e->behind) continue;
        if (e->section) put_new(e, last);
        if (make) put_section(e, last);
        make = false;
    }
    if (make) put_section(e, last);
}

/* --- one section, then the next --- */

static void cut_lines(struct edit *e, struct span rest)
{
    size_t lines = 2;
    struct span piece;

    for (size_t i = 0; i < rest.n; i++) lines += rest.p[i] == '\n';
    e->lines = mem_new_n(lines, sizeof(*e->lines));
    memset(e->lines, 0, lines * sizeof(*e->lines));
    e->pieces = mem_new_n(lines, sizeof(*e->pieces));
    while (rest.n > 0 && span_split(&rest, '\n', &piece)) {
        e->pieces[++e->n_lines] = piece;
        e->ends_line = rest.p != NULL;
    }
}

static int edit_section(
    struct span text, struct span path, const struct conf_set *v, size_t n, struct buf *ret)
{
    bool of_uid = n == 0 || !v[0].section;
    struct edit e = {.path = path, .set = v, .n = n, .to = ret, .ok = true, .always = of_uid};
    bool goes = false, fits = true;

    e.raw = !of_uid && conf_section_raw(path);
    buf_clear(ret);
    if (!source_of(&e.source, text, SOURCE_BARE_KEYS)) return CONF_EDIT_E_LARGE;
    /* The source's values point into its own copy of the text: lines are cut from that. */
    cut_lines(&e, span(e.source.text, text.n));
    e.done = mem_new_n(n + 1, sizeof(*e.done));
    memset(e.done, 0, (n + 1) * sizeof(*e.done));
    find_section(&e);
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n && !e.done[i]; k++) e.done[i] = strcmp(v[i].key, v[k].key) == 0;
        goes = goes || v[i].key[0] == '\0';
        fits = fits && !v[i].value;
        if (!e.done[i] && v[i].key[0]) decide(&e, &v[i], &e.done[i]);
        if (!v[i].key[0]) e.done[i] = true;
    }
    fits = !goes || (fits && drop_section(&e));
    if (fits) put_lines(&e);
    mem_free(e.lines);
    mem_free(e.pieces);
    mem_free(e.done);
    source_done(&e.source);
    if (!fits) return CONF_EDIT_E_SECTION;
    return e.ok && buf_n(ret) <= SOURCE_FILE_MAX ? CONF_EDIT_OK : CONF_EDIT_E_LARGE;
}

static struct span section_of(const struct conf_set *set, struct span uid)
{
    return set->section ? span_of(set->section) : uid;
}

static int check(const struct conf_set *v, size_t n, size_t *at)
{
    for (*at = 0; *at < n; ++*at) {
        const struct conf_set *s = &v[*at];
        bool raw = s->section && conf_section_raw(span_of(s->section));

        if (s->section && !section_ok(s->section)) return CONF_EDIT_E_SECTION;
        if (s->section && !s->key[0] && !s->value) continue;
        if (!name_ok(span_of(s->key), s->section != NULL)) return CONF_EDIT_E_KEY;
        if (s->value && !value_ok(span_of(s->value), raw)) return CONF_EDIT_E_VALUE;
    }
    return CONF_EDIT_OK;
}

/* Those of v that are of this section, from v[at] on. */
static size_t gather(const struct conf_set *v, size_t n, size_t at, struct span uid, struct conf_set *to)
{
    struct span path = section_of(&v[at], uid);
    size_t found = 0;

    for (; at < n; at++)
        if (span_eq(section_of(&v[at], uid), path)) to[found++] = v[at];
    return found;
}

static bool seen_before(const struct conf_set *v, size_t at, struct span uid)
{
    for (size_t i = 0; i < at; i++)
        if (span_eq(section_of(&v[i], uid), section_of(&v[at], uid))) return true;
    return false;
}

int conf_edit(
    struct span text, struct span uid, const struct conf_set *v, size_t n, struct buf *ret, size_t *at)
{
    CLEANUP(mem_freep) struct conf_set *part = mem_new_n(n + 1, sizeof(*part));
    CLEANUP(mem_freep) uint8_t *before = NULL;
    int err = check(v, n, at);

    buf_clear(ret);
    if (err) return err;
    if (text.n > SOURCE_FILE_MAX) return CONF_EDIT_E_LARGE;
    if (n == 0) return edit_section(text, uid, v, 0, ret);
    for (*at = 0; *at < n && !err; ++*at) {
        if (seen_before(v, *at, uid)) continue;
        err = edit_section(text, section_of(&v[*at], uid), part, gather(v, n, *at, uid, part), ret);
        if (err) break;
        mem_free(before);
        before = mem_dup(buf_span(ret).p ? buf_span(ret).p : (const uint8_t *)"", buf_n(ret));
        text = span(before, buf_n(ret));
    }
    return err;
}

/* --- what stands there --- */

/* One that stands there again below does not count. */
static bool counts(const struct source_section *sec, size_t at)
{
    for (size_t k = at + 1; k < sec->n; k++)
        if (strcmp(sec->items[at].key, sec->items[k].key) == 0) return false;
    return true;
}

void conf_show(
    struct span text, struct span uid, void (*fn)(void *arg, const char *key, struct span value), void *arg)
{
    struct source source;

    if (!source_of(&source, text, SOURCE_BARE_KEYS)) return;
    for (size_t i = 0; i < source.n; i++) {
        const struct source_section *sec = &source.sections[i];

        for (size_t k = 0; span_is(uid, sec->path) && k < sec->n; k++)
            if (counts(sec, k)) fn(arg, sec->items[k].key, sec->items[k].value);
    }
    source_done(&source);
}

void conf_show_site(
    struct span text, void (*fn)(void *arg, const char *section, const struct source_item *item), void *arg)
{
    struct source source;

    if (!source_of(&source, text, 0)) return;
    for (size_t i = 0; i < source.n; i++)
        for (size_t k = 0; k < source.sections[i].n; k++)
            if (counts(&source.sections[i], k))
                fn(arg, source.sections[i].path, &source.sections[i].items[k]);
    source_done(&source);
}
