#include "scripts/msctl/show.h"

/* Length of the UTF-8 character at the front, 0 when it is none (RFC 3629). */
static size_t utf8_len(struct span s)
{
    static const uint8_t firsts[][3] = {{0xc2, 0xdf, 2}, {0xe0, 0xef, 3}, {0xf0, 0xf4, 4}};
    size_t n = s.p[0] < 0x80 ? 1 : 0;

    for (size_t i = 0; i < ARRAY_N(firsts); i++)
        if (s.p[0] >= firsts[i][0] && s.p[0] <= firsts[i][1]) n = firsts[i][2];
    if (n > s.n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80) return 0;
    if (n > 2 && ((s.p[0] == 0xe0 && s.p[1] < 0xa0) || (s.p[0] == 0xed && s.p[1] > 0x9f))) return 0;
    if (n > 3 && ((s.p[0] == 0xf0 && s.p[1] < 0x90) || (s.p[0] == 0xf4 && s.p[1] > 0x8f))) return 0;
    return n;
}

void show_json_text(struct span s, FILE *out)
{
    fputc('"', out);
    while (s.n > 0) {
        size_t n = utf8_len(s);
        uint8_t c = s.p[0];

        if (n == 0)
            fputs("\\ufffd", out);
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\u%04x", c);
        else
            fwrite(s.p, 1, n, out);
        s = span_from(s, n ? n : 1);
    }
    fputc('"', out);
}

static void json_value(const struct packed *row, struct span key, const struct packed *v, FILE *out)
{
    uint64_t u = packed_as_u64(v, UINT64_MAX);
    int64_t i = packed_as_i64(v, INT64_MIN);
    char name[64];
    bool b;

    span_copy(key, name, sizeof(name));
    b = packed_bool(row, name, false);
    if (packed_is_str(v))
        show_json_text(packed_as_str(v), out);
    else if (u != UINT64_MAX)
        fprintf(out, "%llu", (unsigned long long)u);
    else if (i != INT64_MIN)
        fprintf(out, "%lld", (long long)i);
    else
        fputs(b != packed_bool(row, name, true) ? "null" : b ? "true" : "false", out);
}

void show_json(const struct show *s, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < s->n; i++) {
        struct span key;
        const struct packed *v;

        fputs(i ? ",\n {" : "{", out);
        for (size_t k = 0; packed_pair(s->rows[i], k, &key, &v); k++) {
            if (k > 0) fputs(", ", out);
            show_json_text(key, out);
            fputs(": ", out);
            json_value(s->rows[i], key, v, out);
        }
        fputc('}', out);
    }
    fputs("]\n", out);
}
