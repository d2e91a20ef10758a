#include "common/conf/source.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/report.h"
#include "common/wire/url.h"

#include <fcntl.h>
#include <ini.h>

#define SHOWN_MAX   256
#define SECTION_KEY "." /* our word to inih that a section begins; not a name a file can have */

/* A line on its way through inih: what stands in the file behind the number that inih carries. */
struct line {
    unsigned number;
    struct span value;
    bool quoted, torn;
};
struct feed {
    struct source *to;
    struct conf_report *r;
    struct span rest;
    unsigned number, flags;
    size_t depth;
    struct span names[SOURCE_DEPTH_MAX];
    bool skip;      /* in a section whose header is wrong: its keys are left out */
    bool announce;  /* the section's line was handed over, its announcement comes next */
    bool anonymous; /* keys before the first section have been announced */
    struct line line;
};

static const struct span no_text = {(const uint8_t *)"", 0};

static void mistake(struct feed *f, const char *what)
{
    report_add(f->r, CONF_MISTAKE, f->to->file, f->number, "", "%s", what);
}

static bool is_name(struct span s, size_t most)
{
    if (s.n == 0 || s.n > most) return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '_' || c == '.'))
            return false;
    }
    return s.n > 1 || s.p[0] != '.';
}

static bool blank_or_comment(struct span s)
{
    s = span_trim(s);
    return s.n == 0 || s.p[0] == '#';
}

/* Where the comment begins, or n. A quote opens at the start, behind a blank, ',', ':' or '=', and only if it
 * closes. */
static size_t value_end(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool opens = (c == '"' || c == '\'') && (i == 0 || strchr(" \t,:=", s.p[i - 1]) != NULL);
        ssize_t close = opens ? span_find(span_from(s, i + 1), c) : -1;

        if (c == '#') return i;
        if (close >= 0) i += (size_t)close + 1;
    }
    return s.n;
}

static bool value_take(struct feed *f, struct span s)
{
    s = span_trim(s);
    f->line = (struct line){.number = f->number};
    if (s.n > 0 && (s.p[0] == '"' || s.p[0] == '\'')) {
        ssize_t close = span_find(span_from(s, 1), s.p[0]);

        if (close < 0) return mistake(f, "the quote is not closed on this line"), false;
        f->line.quoted = blank_or_comment(span_from(s, (size_t)close + 2));
        f->line.torn = !f->line.quoted;
        if (f->line.quoted) s = span_sub(s, 1, (size_t)close);
    }
    if (!f->line.quoted) s = span_trim(span_sub(s, 0, value_end(s)));
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
            return mistake(f, "the value holds a control character"), false;
    if (s.n > CONF_VALUE_MAX) {
        report_add(f->r, CONF_MISTAKE, f->to->file, f->number, "",
            "the value has %zu bytes, at most %d are allowed", s.n, CONF_VALUE_MAX);
        return false;
    }
    f->line.value = s.n ? s : no_text;
    return true;
}

static size_t count_of(struct span s, uint8_t c)
{
    size_t n = 0;

    while (n < s.n && s.p[n] == c) n++;
    return n;
}

/* "[[name]] # comment": sets depth and names. */
static bool section_take(struct feed *f, struct span s)
{
    size_t depth = count_of(s, '['), total = 0;
    ssize_t end = span_find(s, ']');
    struct span name, behind;

    if (end < 0) return mistake(f, "the section is not closed with ]"), false;
    name = span_trim(span_sub(s, depth, (size_t)end - MIN(depth, (size_t)end)));
    behind = span_from(s, (size_t)end);
    if (count_of(behind, ']') != depth || !blank_or_comment(span_from(behind, depth)))
        return mistake(f, "the brackets of the section do not match"), false;
    if (depth > SOURCE_DEPTH_MAX || depth > f->depth + 1)
        return mistake(f, "the section stands in none of one bracket less"), false;
    if (!is_name(name, SOURCE_PATH_MAX))
        return mistake(f, "a section's name is 1 to 49 letters, digits, '-', '_' or '.'"), false;
    f->names[depth - 1] = name;
    f->depth = depth;
    for (size_t i = 0; i < depth; i++) total += f->names[i].n + 1;
    return total - 1 <= SOURCE_PATH_MAX
        ? true
        : (mistake(f, "the names of this section and those around it are too long"), false);
}

static void write_path(const struct feed *f, struct wr *w)
{
    for (size_t i = 0; i < f->depth; i++) {
        if (i > 0) wr_u8(w, '/');
        wr_bytes(w, f->names[i]);
    }
}

static bool key_take(struct feed *f, struct span s, struct wr *w)
{
    ssize_t eq = span_find(s, '=');
    bool bare = eq < 0;
    struct span key = span_trim(bare ? span_sub(s, 0, value_end(s)) : span_sub(s, 0, (size_t)eq));

    if (f->skip) return false;
    if (!is_name(key, SOURCE_KEY_MAX)) {
        char shown[SHOWN_MAX]; /* it may be a URL whose key was forgotten */

        report_add(f->r, bare ? CONF_MISTAKE : CONF_WARNING, f->to->file, f->number, "", "%s is %s",
            report_q(span_of(url_masked(key, shown, sizeof(shown)))),
            bare ? "neither a [section] nor key = value" : "no key of ours: ignored");
        return false;
    }
    if (bare && !(f->flags & SOURCE_BARE_KEYS)) {
        report_add(f->r, CONF_MISTAKE, f->to->file, f->number, "", "the key %s has no '='", report_q(key));
        return false;
    }
    if (!value_take(f, bare ? no_text : span_from(s, (size_t)eq + 1))) return false;
    wr_bytes(w, key);
    wr_fmt(w, " = %u\n", f->number);
    return true;
}

/* One line of the file into one for inih, or false: nothing to hand over. */
static bool line_take(struct feed *f, struct span s, struct wr *w)
{
    s = span_trim(s);
    if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';') return false;
    if (s.p[0] != '[') return key_take(f, s, w);
    f->skip = !section_take(f, s);
    if (f->skip) return false;
    wr_u8(w, '[');
    write_path(f, w);
    wr_text(w, "]\n");
    f->announce = true;
    return true;
}

static char *give(char *dst, struct wr *w)
{
    must(wr_cstr(w)[0] != 0);
    return dst;
}

/* The reader of ini_parse_stream, as fgets. */
static char *feed_line(char *dst, int size, void *arg)
{
    struct feed *f = arg;
    struct wr w = wr_of(dst, (size_t)size);
    struct span piece;

    if (f->announce) {
        f->announce = false;
        f->line = (struct line){.number = f->number};
        wr_fmt(&w, SECTION_KEY " = %u\n", f->number);
        return give(dst, &w);
    }
    while (span_split(&f->rest, '\n', &piece)) {
        if (++f->number > SOURCE_LINES_MAX) {
            mistake(f, "the file has too many lines");
            return NULL;
        }
        if (line_take(f, piece, &w)) return give(dst, &w);
    }
    return NULL;
}

static struct source_section *section_add(struct source *s, const char *path, unsigned line)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->sections = mem_renew(s->sections, s->cap * sizeof(*s->sections));
    }
    s->sections[s->n] = (struct source_section){.line = line, .path = mem_strdup(path)};
    return &s->sections[s->n++];
}

static void on_section(struct feed *f, const char *path)
{
    for (size_t i = 0; i < f->to->n; i++)
        if (strcmp(f->to->sections[i].path, path) == 0) {
            report_add(f->r, CONF_MISTAKE, f->to->file, f->number, "",
                "section %s stands here twice, first in line %u", path, f->to->sections[i].line);
            f->skip = true;
            return;
        }
    section_add(f->to, path, f->number);
}

static void on_key(struct feed *f, const char *name)
{
    struct source_section *sec;

    if (f->to->n == 0) {
        if (!(f->flags & SOURCE_NO_SECTION)) {
            report_add(f->r, CONF_WARNING, f->to->file, f->number, name, "stands in no section: ignored");
            return;
        }
        section_add(f->to, "", f->number);
    }
    sec = &f->to->sections[f->to->n - 1];
    if (sec->n == sec->cap) {
        sec->cap = sec->cap ? sec->cap * 2 : 16;
        sec->items = mem_renew(sec->items, sec->cap * sizeof(*sec->items));
    }
    sec->items[sec->n++] =
        (struct source_item){f->line.number, mem_strdup(name), f->line.value, f->line.quoted, f->line.torn};
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct feed *f = arg;
    uint64_t number;

    /* Each line is handed back before the next is read. */
    must(span_u64(span_of(value), UINT32_MAX, &number) && number == f->line.number);
    if (strcmp(name, SECTION_KEY) == 0)
        on_section(f, section);
    else
        on_key(f, name);
    return 1;
}

void source_parse(
    struct source *s, const char *file, uint8_t *text, size_t n, unsigned flags, struct conf_report *r)
{
    struct feed f = {.to = s, .r = r, .rest = {text, n}, .flags = flags};

    *s = (struct source){.file = mem_strdup(file), .text = text};
    if (span_starts(f.rest, SPAN_LIT("\xef\xbb\xbf"))) f.rest = span_from(f.rest, 3);
    if (n == 0) return;
    must(ini_parse_stream(feed_line, &f, on_pair, &f) == 0);
}

int source_read(struct source *s, const char *file, unsigned flags, struct conf_report *r)
{
    uint8_t *text = NULL;
    size_t n = 0;
    int err = fd_read_file(AT_FDCWD, file, SOURCE_FILE_MAX, &text, &n);

    if (err == 0) {
        source_parse(s, file, text, n, flags, r);
        return 0;
    }
    *s = (struct source){.file = mem_strdup(file)};
    report_add(r, CONF_MISTAKE, file, 0, "", "cannot be read: %s", err_text(err));
    return err;
}

void source_done(struct source *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < s->sections[i].n; k++) mem_free(s->sections[i].items[k].key);
        mem_free(s->sections[i].items);
        mem_free(s->sections[i].path);
    }
    mem_free(s->sections);
    mem_free(s->file);
    mem_free(s->text);
    *s = (struct source){0};
}
