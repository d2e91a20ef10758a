#include "tests/camera/knobs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name;
    size_t at;
    bool text;
    const char *choices;
    int64_t least, most, def;
    const char *help;
} rows[] = {
#define KNOB(field, name, choices, least, most, def, help)                                                   \
    {name, offsetof(struct knobs, field), false, choices, least, most, def, help},
    KNOBS(KNOB)
#undef KNOB
#define TEXT(field, name, help) {name, offsetof(struct knobs, field), true, NULL, 0, 0, 0, help},
        KNOB_TEXTS(TEXT)
#undef TEXT
};

static int64_t *number(struct knobs *k, const struct row *r)
{
    return (int64_t *)(void *)((char *)k + r->at);
}
static char *text(struct knobs *k, const struct row *r)
{
    return (char *)k + r->at;
}

void knobs_init(struct knobs *k)
{
    memset(k, 0, sizeof *k);
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (!rows[i].text) *number(k, &rows[i]) = rows[i].def;
    (void)span_copy(SPAN_LIT("ms-camera"), k->realm, sizeof k->realm);
}

static const struct row *find(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (span_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

bool knobs_has(struct span name)
{
    return find(name) != NULL;
}

static bool choose(const struct row *r, struct span value, int64_t *ret)
{
    struct span rest = span_of(r->choices), choice;

    for (*ret = 0; span_split(&rest, ',', &choice); (*ret)++)
        if (span_eq(choice, value)) return true;
    return false;
}

const char *knobs_set(struct knobs *k, struct span name, struct span value)
{
    const struct row *r = find(name);
    int64_t v;

    if (r == NULL) return "unknown knob";
    if (r->text) return span_copy(value, text(k, r), KNOB_TEXT_MAX) ? NULL : "too long";
    if (r->choices != NULL) {
        if (!choose(r, value, &v)) return "not one of the choices";
    } else if (!span_i64(value, &v) || v < r->least || v > r->most) {
        return "not a number within the limits";
    }
    *number(k, r) = v;
    return NULL;
}

void knobs_json(struct buf *to, const struct knobs *k)
{
    const char *comma = "";

    buf_text(to, "{");
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const struct row *r = &rows[i];
        const int64_t *v = (const int64_t *)(const void *)((const char *)k + r->at);
        if (r->text || *v == r->def) continue;
        buf_fmt(to, "%s\"%s\":%lld", comma, r->name, (long long)*v);
        comma = ",";
    }
    buf_text(to, "}");
}

void knobs_help(void)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const struct row *r = &rows[i];
        printf("  --%-22s %s", r->name, r->help);
        if (r->choices != NULL) printf(" [%s]", r->choices);
        if (!r->text && r->choices == NULL)
            printf(" [%lld to %lld, %lld]", (long long)r->least, (long long)r->most, (long long)r->def);
        printf("\n");
    }
}
