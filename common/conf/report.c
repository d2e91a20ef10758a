#include "common/conf/report.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/base/wr.h"

#define TEXT_MAX  600
#define QUOTE_MAX 40

void report_add(struct conf_report *r, enum conf_level level, const char *file, unsigned line,
    const char *key, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    if (level == CONF_MISTAKE) r->mistakes++;
    if (level == CONF_WARNING) r->warnings++;
    if (r->n == REPORT_REMARKS_MAX) return;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = mem_renew(r->v, r->cap * sizeof(*r->v));
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->v[r->n++] = (struct conf_remark){level, mem_strdup(file), line, mem_strdup(key), mem_strdup(text)};
}

const char *report_q(struct span s)
{
    static _Thread_local char bufs[4][QUOTE_MAX * UTF8_SHOWN_MAX];
    static _Thread_local unsigned turn;
    char *dst = bufs[turn++ % ARRAY_N(bufs)];
    struct wr w = wr_of(dst, sizeof(bufs[0]));
    struct span rest = s;
    char one[UTF8_SHOWN_MAX];

    wr_u8(&w, '"');
    while (rest.n > 0 && s.n - rest.n < QUOTE_MAX) wr_bytes(&w, utf8_shown(&rest, one));
    wr_text(&w, rest.n > 0 ? "…\"" : "\"");
    return wr_cstr(&w);
}

void conf_report_done(struct conf_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        mem_free(r->v[i].file);
        mem_free(r->v[i].key);
        mem_free(r->v[i].text);
    }
    mem_free(r->v);
    *r = (struct conf_report){0};
}

static void print_one(const struct conf_remark *m, FILE *to)
{
    static const char *const words[] = {
        [CONF_MISTAKE] = "", [CONF_WARNING] = "warning: ", [CONF_NOTE] = "note: "};

    utf8_print(span_of(m->file), to);
    if (m->line > 0) fprintf(to, ":%u", m->line);
    fprintf(to, ": %s", words[m->level]);
    utf8_print(span_of(m->key), to);
    fputs(m->key[0] ? ": " : "", to);
    utf8_print(span_of(m->text), to);
    fputc('\n', to);
}

void conf_report_print(const struct conf_report *r, FILE *to)
{
    for (enum conf_level level = CONF_MISTAKE; level <= CONF_NOTE; level++)
        for (size_t i = 0; i < r->n; i++)
            if (r->v[i].level == level) print_one(&r->v[i], to);
    if (r->n == REPORT_REMARKS_MAX) fprintf(to, "only the first %d remarks are kept\n", REPORT_REMARKS_MAX);
}
