#include "common/base/metrics.h"

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

/* Bytes of the UTF-8 character that s begins with; 0: it is none. */
static size_t utf8_n(struct span s)
{
    size_t n = s.p[0] < 0x80 ? 1
        : s.p[0] < 0xc2      ? 0
        : s.p[0] < 0xe0      ? 2
        : s.p[0] < 0xf0      ? 3
        : s.p[0] < 0xf5      ? 4
                             : 0;

    if (n > s.n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80) return 0;
    return n;
}

static void put_value(struct metrics *m, struct span s)
{
    while (s.n > 0) {
        size_t n = utf8_n(s);

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
