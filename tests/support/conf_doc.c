#include "tests/support/conf_doc.h"
#include "common/base/err.h"
#include "common/conf/keys.h"

#define LIMITS_MAX 200

static void us_text(struct buf *b, int64_t us)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"d", 86400 * US_PER_S}, {"h", 3600 * US_PER_S}, {"m", 60 * US_PER_S}, {"s", US_PER_S},
        {"ms", US_PER_MS}};
    size_t i = 0;

    while (us % units[i].us != 0) i++;
    must(us == 0 ? buf_text(b, "0") : buf_fmt(b, "%lld%s", (long long)(us / units[i].us), units[i].unit));
}

static void bytes_text(struct buf *b, int64_t v)
{
    static const char units[] = " KMGT";
    size_t i = 0;

    while (v > 0 && v % 1024 == 0 && i < 4) {
        v /= 1024;
        i++;
    }
    must(i ? buf_fmt(b, "%lld%c", (long long)v, units[i]) : buf_fmt(b, "%lld", (long long)v));
}

/* What is allowed, in a few words. */
static void limits(struct buf *b, const struct conf_row *row)
{
    const struct conf_word *first = row->words;

    switch ((int)row->kind) {
    case KIND_INT: buf_fmt(b, "%lld to %lld", (long long)row->min, (long long)row->max); break;
    case KIND_DURATION:
        us_text(b, row->min);
        buf_text(b, " to ");
        us_text(b, row->max);
        break;
    case KIND_SIZE:
    case KIND_SHARE:
        bytes_text(b, row->min);
        buf_text(b, " to ");
        bytes_text(b, row->max);
        if (row->kind == KIND_SHARE) buf_text(b, ", or 1% to 100%");
        break;
    case KIND_ENUM:
    case KIND_SET:
        for (const struct conf_word *w = row->words; w->word; w++) {
            for (first = row->words; first->value != w->value; first++) continue;
            if (first == w) buf_fmt(b, "%s%s", w == row->words ? "" : ", ", w->word);
        }
        break;
    case KIND_URL: buf_fmt(b, "of %s", row->unit); break;
    default: break;
    }
}

static const char *limits_text(const struct conf_row *row, char dst[LIMITS_MAX])
{
    struct buf b;

    buf_init(&b, LIMITS_MAX - 1);
    limits(&b, row);
    span_copy(buf_span(&b), dst, LIMITS_MAX);
    buf_done(&b);
    return dst;
}

static bool new_section(size_t i)
{
    return i == 0 || strcmp(conf_rows[i].section, conf_rows[i - 1].section) != 0;
}

/* "[server] [[stream]]", as it stands in the file. */
static void section_title(struct buf *b, const char *section)
{
    struct span rest = span_of(section), name;
    static const char open[] = "[[[[", close[] = "]]]]";

    if (strcmp(section, "<uid>") == 0) {
        buf_text(b, "streams/UID.ini [UID]");
        return;
    }
    for (int depth = 1; span_split(&rest, '/', &name); depth++) {
        if (span_is(name, "<name>")) name = SPAN_LIT("NAME");
        buf_fmt(b, "%s%.*s%.*s%.*s", depth > 1 ? " " : "", depth, open, SPAN_FMT(name), depth, close);
    }
}

/* --- docs/reference/configuration.md
 * -------------------------------------------------------------------------- */

static const char reference_head[] =
    "# The keys of the configuration\n"
    "Written from the key table (`common/conf/keys.c`) by `scripts/conf-doc`; a test proves it current. The "
    "form of the files, and\n"
    "how to begin, stand in [the user guide](../user-guide.md) and in media-server.ini(5).\n"
    "\n"
    "**Reload** says what a changed key costs at a reload (`systemctl reload media-server`, `msctl reload`, "
    "SIGHUP): *live* nothing,\n"
    "*restart-stream* a reconnect of the streams concerned, *restart-httpd* a reconnect of the viewers, "
    "*restart*: a restart of the\n"
    "server, until then the old value stays. Durations take `ms s m h d` (`1h30m`), sizes `K M G T` (bare: "
    "bytes), networks are\n"
    "addresses or CIDR blocks, lists are separated by commas or blanks. Relative paths start at the folder "
    "of media-server.ini.\n";

static void md_row(struct buf *b, const struct conf_row *row)
{
    char text[LIMITS_MAX];

    limits_text(row, text);
    buf_fmt(b, "| `%s` | %s%s%s | ", row->name, row->words ? "" : conf_kind_name(row->kind),
        text[0] && !row->words ? ", " : "", text);
    buf_fmt(b, row->def[0] ? "`%s`" : "%s", row->def);
    buf_fmt(b, " | %s | %s", conf_reload_name(row->reload), row->help);
    if (row->accepted) buf_fmt(b, " *%c%s.*", row->accepted[0] - 'a' + 'A', row->accepted + 1);
    if (row->flags & KEY_LOCAL) buf_text(b, " *Not by PATCH /api/v3/config: msctl, or the file.*");
    must(buf_text(b, " |\n"));
}

void conf_doc_reference(struct buf *to)
{
    buf_text(to, reference_head);
    for (size_t i = 0; i < conf_rows_n; i++) {
        if (new_section(i)) {
            buf_text(to, "\n## ");
            section_title(to, conf_rows[i].section);
            buf_text(to, "\n| key | value | default | reload | meaning |\n|---|---|---|---|---|\n");
        }
        md_row(to, &conf_rows[i]);
    }
    buf_text(to, "\n## Sections whose keys are a site's own\n| section | keys | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < conf_free_sections_n; i++) {
        buf_text(to, "| ");
        section_title(to, conf_free_sections[i].section);
        must(buf_fmt(to, " | `%s` | %s |\n", conf_free_sections[i].syntax, conf_free_sections[i].help));
    }
}

/* --- media-server.ini(5)
 * -------------------------------------------------------------------------------------- */

/* Text for roff: backslashes and leading dots mean something there, and '-' is not a hyphen. */
static void roff(struct buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '\\')
            buf_text(b, "\\e");
        else if (*s == '-')
            buf_text(b, "\\-");
        else if (*s != '`')
            buf_put(b, span(s, 1));
    }
}

static void man_row(struct buf *b, const struct conf_row *row)
{
    char text[LIMITS_MAX];

    buf_text(b, ".TP\n.B ");
    roff(b, row->name);
    buf_text(b, row->def[0] ? " = " : "");
    roff(b, row->def);
    buf_text(b, "\n");
    roff(b, row->help);
    buf_text(b, "\n");
    limits_text(row, text);
    if (row->words || text[0]) {
        buf_text(b, "Value: ");
        if (!row->words) buf_fmt(b, "%s, ", conf_kind_name(row->kind));
        roff(b, text);
        buf_text(b, ".\n");
    }
    buf_text(b, "Reload: ");
    roff(b, conf_reload_name(row->reload));
    must(buf_text(b, ".\n"));
    if (!row->accepted) return;
    buf_fmt(b, "%c", row->accepted[0] - 'a' + 'A');
    roff(b, row->accepted + 1);
    must(buf_text(b, ".\n"));
}

void conf_doc_man(struct buf *to)
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        if (new_section(i)) {
            buf_text(to, ".SS \"");
            section_title(to, conf_rows[i].section);
            buf_text(to, "\"\n");
        }
        man_row(to, &conf_rows[i]);
    }
    for (size_t i = 0; i < conf_free_sections_n; i++) {
        buf_text(to, ".SS \"");
        section_title(to, conf_free_sections[i].section);
        buf_text(to, "\"\n.TP\n.B ");
        roff(to, conf_free_sections[i].syntax);
        buf_text(to, "\n");
        roff(to, conf_free_sections[i].help);
        must(buf_text(to, "\n"));
    }
}
