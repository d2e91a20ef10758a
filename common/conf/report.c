#include "common/conf/report.h"
#include "common/base/mem.h"
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
    static _Thread_local char bufs[4][QUOTE_MAX + 8];
    static _Thread_local unsigned turn;
    char *dst = bufs[turn++ % ARRAY_N(bufs)];
    struct wr w = wr_of(dst, sizeof(bufs[0]));

    wr_u8(&w, '"');
    for (size_t i = 0; i < MIN(s.n, QUOTE_MAX); i++)
        wr_u8(&w, s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
    wr_text(&w, s.n > QUOTE_MAX ? "…\"" : "\"");
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

    fprintf(to, "%s:", m->file);
    if (m->line > 0) fprintf(to, "%u:", m->line);
    fprintf(to, " %s%s%s%s\n", words[m->level], m->key, m->key[0] ? ": " : "", m->text);
}

void conf_report_print(const struct conf_report *r, FILE *to)
{
    for (enum conf_level level = CONF_MISTAKE; level <= CONF_NOTE; level++)
        for (size_t i = 0; i < r->n; i++)
            if (r->v[i].level == level) print_one(&r->v[i], to);
    if (r->n == REPORT_REMARKS_MAX) fprintf(to, "only the first %d remarks are kept\n", REPORT_REMARKS_MAX);
}
