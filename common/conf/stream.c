/* The stream files. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/conf/edit.h"
#include "common/conf/load.h"
#include "common/conf/report.h"
#include "common/conf/value.h"

#include <fnmatch.h>
#include <glob.h>

const char *conf_uid_refused(struct span uid)
{
    /* First segments of our own URLs. */
    static const char *const reserved[] = {
        "live", "dvr", "api", "cpanel", "s", "metrics", "healthz", "readyz"};

    if (uid.n == 0 || uid.n > CONF_UID_MAX) return "a uid has 1 to 36 characters";
    for (size_t i = 0; i < uid.n; i++) {
        uint8_t c = uid.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!word && (i == 0 || (c != '-' && c != '_' && c != '.')))
            return "a uid is made of letters, digits, '-', '_' and '.', and begins with a letter or digit";
    }
    for (size_t i = 0; i < ARRAY_N(reserved); i++)
        if (span_iis(uid, reserved[i]))
            return "this uid is reserved: live, dvr, api, cpanel, s, metrics, healthz, readyz";
    return NULL;
}

/* What the server says for all streams, until the stream says otherwise. */
static void inherit(const struct conf *c, struct conf_stream *st)
{
    st->reconnect = c->delivery.reconnect;
}

static void stream_add(struct load *l, const struct source *s, const struct source_section *sec)
{
    struct conf *c = l->c;
    struct conf_stream *st = NEW(struct conf_stream), *other;
    struct given given = {0};

    st->uid = mem_strdup(sec->path);
    st->file = mem_strdup(s->file);
    st->host = mem_strdup("");
    st->line = sec->line;
    load_defaults(SCOPE_STREAM, st);
    inherit(c, st);
    load_items(l, s, sec, &(struct load_into){SCOPE_STREAM, "", st, &given, false});
    derive_stream(l, s, st, &given);
    if ((c->n_streams & (c->n_streams - 1)) == 0) /* room for a power of two */
        c->streams = mem_renew(c->streams, MAX(c->n_streams * 2, 1) * sizeof(struct conf_stream *));
    c->streams[c->n_streams++] = st;
    other = map_get(&c->by_uid, span_of(st->uid));
    if (other)
        load_mistake(
            l, s, sec->line, "", st->uid, "this stream stands in %s:%u too", other->file, other->line);
    else
        map_set(&c->by_uid, span_of(st->uid), st);
}

static void stream_section(struct load *l, const struct source *s, const struct source_section *sec)
{
    const char *refused = conf_uid_refused(span_of(sec->path));

    if (strchr(sec->path, '/'))
        report_add(l->r, CONF_WARNING, s->file, sec->line, sec->path, "is an unknown section: ignored");
    else if (refused)
        load_mistake(l, s, sec->line, "", sec->path, "%s", refused);
    else if (l->c->n_streams == CONF_STREAMS_MAX)
        load_mistake(l, s, sec->line, "", sec->path, "there are more than %d streams", CONF_STREAMS_MAX);
    else
        stream_add(l, s, sec);
}

static void stream_file(struct load *l, const char *file)
{
    size_t streams = 0, mistakes = l->r->mistakes;
    const struct conf_draft *d = load_draft(l, file);
    struct source s;

    if (d && !d->text.p) return;
    if (load_source(l, file, SOURCE_BARE_KEYS, &s) == 0) {
        for (size_t i = 0; i < s.n; i++) {
            stream_section(l, &s, &s.sections[i]);
            streams += strchr(s.sections[i].path, '/') == NULL;
        }
        if (streams == 0 && l->r->mistakes == mistakes)
            report_add(l->r, CONF_WARNING, file, 0, "", "holds no stream: a [uid] and its keys are missing");
        if (streams > 1)
            report_add(l->r, CONF_WARNING, file, 0, "",
                "holds %zu streams: commands that change one stream need a file for each", streams);
    }
    source_done(&s);
}

const char *conf_text_refused(struct span text, struct span uid)
{
    struct conf_report unheard = {0};
    size_t streams = 0, found = 0;
    struct source s;

    source_parse(&s, "", mem_dup(text.p, MAX(text.n, 1)), text.n, SOURCE_BARE_KEYS, &unheard);
    for (size_t i = 0; i < s.n; i++) {
        streams += strchr(s.sections[i].path, '/') == NULL;
        found += span_is(uid, s.sections[i].path);
    }
    source_done(&s);
    conf_report_done(&unheard);
    if (found == 0) return "it holds no section of that name";
    return streams > 1 ? "it holds more than one stream" : NULL;
}

static int by_uid(const void *a, const void *b)
{
    return strcmp((*(struct conf_stream *const *)a)->uid, (*(struct conf_stream *const *)b)->uid);
}

/* Files to be read, each once. */
struct files {
    struct map seen;
    char **v;
    size_t n;
};

static void add_file(struct files *f, const char *file)
{
    struct span name = span_of(file);

    if (map_get(&f->seen, name)) return;
    if ((f->n & (f->n - 1)) == 0)
        f->v = mem_renew(f->v, MAX(f->n * 2, 1) * sizeof(*f->v)); /* powers of two */
    f->v[f->n] = mem_strdup(file);
    map_set(&f->seen, name, f->v[f->n++]);
}

static bool fits(const char *pattern, const char *file)
{
    return fnmatch(pattern, file, FNM_PATHNAME | FNM_PERIOD) == 0;
}

/* What is there, and what is meant to be there. */
static void find_files(struct load *l, const char *pattern, unsigned line, struct files *f)
{
    size_t before = f->n;
    glob_t g = {0};
    int err = glob(pattern, 0, NULL, &g);

    if (err != 0 && err != GLOB_NOMATCH)
        report_add(l->r, CONF_MISTAKE, l->c->file, line, "streams/include", "%s cannot be read", pattern);
    for (size_t i = 0; i < g.gl_pathc; i++) add_file(f, g.gl_pathv[i]);
    for (size_t i = 0; i < l->n_drafts; i++)
        if (fits(pattern, l->drafts[i].file)) add_file(f, l->drafts[i].file);
    if (err == GLOB_NOMATCH && f->n == before && line > 0)
        report_add(l->r, CONF_WARNING, l->c->file, line, "streams/include", "no file matches %s", pattern);
    globfree(&g);
}

void load_streams(struct load *l)
{
    const struct conf_row *row = conf_row_find(SCOPE_CONF, "streams", "include");
    unsigned line = l->given.lines[conf_row_index(row)];
    struct conf *c = l->c;
    char pattern[VALUE_PATH_MAX];
    struct files f = {.n = 0};

    for (size_t i = 0; i < c->streams_include.n; i++) {
        if (value_path(c->dir, span_of(c->streams_include.v[i]), pattern))
            find_files(l, pattern, line, &f);
        else
            report_add(l->r, CONF_MISTAKE, c->file, line, "streams/include",
                "the path is longer than %d bytes", VALUE_PATH_MAX - 1);
    }
    for (size_t i = 0; i < f.n; i++) {
        stream_file(l, f.v[i]);
        mem_free(f.v[i]);
    }
    mem_free(f.v);
    map_done(&f.seen);
    if (c->n_streams > 0) qsort(c->streams, c->n_streams, sizeof(struct conf_stream *), by_uid);
}

bool conf_stream_path(const struct conf *c, struct span uid, char *dst, size_t cap)
{
    char pattern[VALUE_PATH_MAX];

    for (size_t i = 0; i < c->streams_include.n; i++) {
        const char *slash;
        int n;

        if (!value_path(c->dir, span_of(c->streams_include.v[i]), pattern)) continue;
        slash = strrchr(pattern, '/');
        n = snprintf(dst, cap, "%.*s/%.*s.ini", slash ? (int)(slash - pattern) : 0, pattern, SPAN_FMT(uid));
        if (n > 0 && (size_t)n < cap && !strpbrk(dst, "*?[") && fits(pattern, dst)) return true;
    }
    return false;
}
