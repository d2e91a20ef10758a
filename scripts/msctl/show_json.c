#include "scripts/msctl/show.h"
#include "common/wire/json.h"

void show_json_text(struct span s, FILE *out)
{
    char buf[UTF8_SHOWN_MAX];

    fputc('"', out);
    while (s.n > 0) {
        struct span c = json_shown(&s, buf);

        fwrite(c.p, 1, c.n, out);
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
