#include "common/base/metrics.h"
#include "common/base/utf8.h"

#include <inttypes.h>

static void put(struct metrics *m, struct span s)
{
    m->bad = m->bad || !buf_put(m->to, s);
}

static void put_text(struct metrics *m, const char *s)
{
    put(m, span_of(s));
}

void metrics_family(struct metrics *m, const char *name, enum metrics_kind kind, const char *help)
{
    m->bad = m->bad ||
        !buf_fmt(m->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
            kind == METRICS_COUNTER ? "counter" : "gauge");
}

static void put_value(struct metrics *m, struct span s)
{
    while (s.n > 0) {
        size_t n = utf8_len(s);

        if (s.p[0] == '\n')
            put_text(m, "\\n");
        else if (s.p[0] == '\\' || s.p[0] == '"')
            put(m, span((const uint8_t[]){'\\', s.p[0]}, 2));
        else if (n == 0 || s.p[0] < 0x20 || s.p[0] == 0x7f)
            put_text(m, "?");
        else
            put(m, span_sub(s, 0, n));
        s = span_from(s, MAX(n, 1));
    }
}

static void put_name(struct metrics *m, const char *name, const struct metrics_label *labels, size_t n)
{
    put_text(m, name);
    for (size_t i = 0; i < n; i++) {
        put_text(m, i == 0 ? "{" : ",");
        put_text(m, labels[i].name);
        put_text(m, "=\"");
        put_value(m, span_of(labels[i].value));
        put_text(m, "\"");
    }
    put_text(m, n > 0 ? "} " : " ");
}

void metrics_u64(
    struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, uint64_t v)
{
    put_name(m, name, labels, n);
    m->bad = m->bad || !buf_fmt(m->to, "%" PRIu64 "\n", v);
}

void metrics_i64(struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, int64_t v)
{
    put_name(m, name, labels, n);
    m->bad = m->bad || !buf_fmt(m->to, "%" PRId64 "\n", v);
}

void metrics_us(
    struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, usec_t v_us)
{
    uint64_t v = v_us < 0 ? -(uint64_t)v_us : (uint64_t)v_us;

    put_name(m, name, labels, n);
    m->bad = m->bad ||
        !buf_fmt(m->to, "%s%" PRIu64 ".%06" PRIu64 "\n", v_us < 0 ? "-" : "", v / 1000000, v % 1000000);
}
