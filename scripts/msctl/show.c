#include "scripts/msctl/show.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/base/wr.h"

#define COLUMNS_MAX 32
#define ABSENT      "-"

void show_done(struct show *s)
{
    for (size_t i = 0; i < s->n_messages; i++) {
        unpack_done(s->messages[i].unpacked);
        buf_done(s->messages[i].bytes);
        mem_free(s->messages[i].bytes);
    }
    mem_free(s->messages);
    mem_free(s->rows);
    *s = (struct show){0};
}

void show_add(struct show *s, struct buf *message, struct unpack *u, const struct packed *rows)
{
    size_t n = packed_n(rows);

    s->messages = mem_renew(s->messages, (s->n_messages + 1) * sizeof(*s->messages));
    s->messages[s->n_messages++] = (struct show_message){message, u};
    s->rows = mem_renew(s->rows, MAX(s->n + n, 1) * sizeof(const struct packed *));
    for (size_t i = 0; i < n; i++) s->rows[s->n++] = packed_at(rows, i);
}

/* --- cells
 * ---------------------------------------------------------------------------------------------------- */

/* A number with one digit behind the point below ten, and the unit that fits. */
static void scaled(struct wr *w, uint64_t v, unsigned base, const char *const *units)
{
    double x = (double)v;

    while (x >= base && units[1]) {
        x /= base;
        units++;
    }
    wr_fmt(w, x < 9.95 && v >= base ? "%.1f%s" : "%.0f%s", x, *units);
}

static void period(struct wr *w, uint64_t s)
{
    if (s >= 86400)
        wr_fmt(w, "%llud %lluh", (unsigned long long)(s / 86400), (unsigned long long)(s % 86400 / 3600));
    else if (s >= 3600)
        wr_fmt(w, "%lluh %llum", (unsigned long long)(s / 3600), (unsigned long long)(s % 3600 / 60));
    else if (s >= 60)
        wr_fmt(w, "%llum %llus", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
    else
        wr_fmt(w, "%llus", (unsigned long long)s);
}

static void point_in_time(struct wr *w, uint64_t s)
{
    char iso[CLOCK_ISO_MAX];

    clock_iso((usec_t)MIN(s, UINT32_MAX) * US_PER_S, iso);
    wr_bytes(w, span_sub(span_of(iso), 0, 19)); /* without the fraction */
    wr_text(w, "Z");
}

static void number(struct wr *w, enum show_form form, uint64_t v)
{
    static const char *const bits[] = {" bit/s", " kbit/s", " Mbit/s", " Gbit/s", NULL};
    static const char *const bytes[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};

    switch (form) {
    case SHOW_BITRATE: scaled(w, v, 1000, bits); break;
    case SHOW_BYTES: scaled(w, v, 1024, bytes); break;
    case SHOW_PERIOD: period(w, v); break;
    case SHOW_TIME: point_in_time(w, v); break;
    case SHOW_TEXT:
    case SHOW_NUMBER: wr_fmt(w, "%llu", (unsigned long long)v); break;
    }
}

const char *show_cell(const struct packed *row, const struct show_column *column, char *dst)
{
    const struct packed *v = packed_get(row, column->key);
    struct wr w = wr_of(dst, SHOW_CELL_MAX);
    uint64_t u = packed_as_u64(v, UINT64_MAX);
    int64_t i = packed_as_i64(v, INT64_MIN);

    if (packed_is_str(v))
        utf8_show(&w, packed_as_str(v));
    else if (u != UINT64_MAX)
        number(&w, column->form, u);
    else if (i != INT64_MIN)
        wr_fmt(&w, "%lld", (long long)i);
    else if (v && packed_bool(row, column->key, true) == packed_bool(row, column->key, false))
        wr_text(&w, packed_bool(row, column->key, false) ? "yes" : "no");
    if (w.n == 0) wr_text(&w, ABSENT);
    return wr_cstr(&w);
}

/* Characters of UTF-8 text, for the width of a cell. */
static size_t width(const char *s)
{
    size_t n = 0;

    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void pad(FILE *out, size_t n)
{
    while (n-- > 0) fputc(' ', out);
}

/* --- tables
 * --------------------------------------------------------------------------------------------------- */

static void cell_print(FILE *out, const char *text, size_t wide, bool right, bool last)
{
    size_t n = wide - MIN(wide, width(text));

    if (right) pad(out, n);
    fputs(text, out);
    if (!right && !last) pad(out, n);
    if (!last) fputs("  ", out);
}

void show_table(const struct show *s, const struct show_column *columns, FILE *out)
{
    size_t n = 0, wide[COLUMNS_MAX] = {0};
    char cell[SHOW_CELL_MAX];

    for (; columns[n].key; n++) {
        must(n < COLUMNS_MAX);
        wide[n] = width(columns[n].title);
        for (size_t i = 0; i < s->n; i++)
            wide[n] = MAX(wide[n], width(show_cell(s->rows[i], &columns[n], cell)));
    }
    for (size_t k = 0; k < n; k++)
        cell_print(out, columns[k].title, wide[k], columns[k].form != SHOW_TEXT, k + 1 == n);
    fputc('\n', out);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < n; k++)
            cell_print(out, show_cell(s->rows[i], &columns[k], cell), wide[k], columns[k].form != SHOW_TEXT,
                k + 1 == n);
        fputc('\n', out);
    }
}

void show_list(const struct show *s, const struct show_column *columns, FILE *out)
{
    size_t wide = 0;
    char cell[SHOW_CELL_MAX];

    for (const struct show_column *c = columns; c->key; c++) wide = MAX(wide, width(c->title));
    for (size_t i = 0; i < s->n; i++)
        for (const struct show_column *c = columns; c->key; c++) {
            if (!packed_get(s->rows[i], c->key)) continue;
            cell_print(out, c->title, wide, false, false);
            fprintf(out, "%s\n", show_cell(s->rows[i], c, cell));
        }
}

void show_lines(const struct show *s, const char *key, FILE *out)
{
    const struct show_column column = {key, "", SHOW_NUMBER};
    char cell[SHOW_CELL_MAX];

    for (size_t i = 0; i < s->n; i++) {
        if (packed_is_str(packed_get(s->rows[i], key)))
            utf8_print(packed_str(s->rows[i], key), out);
        else
            fputs(show_cell(s->rows[i], &column, cell), out);
        fputc('\n', out);
    }
}

static void remark_print(const struct packed *row, bool mistake, FILE *out)
{
    struct span level = packed_str(row, "level"), key = packed_str(row, "key");
    uint64_t line = packed_u64(row, "line", 0);

    utf8_print(packed_str(row, "file"), out);
    if (line > 0) fprintf(out, ":%llu", (unsigned long long)line);
    fputs(": ", out);
    if (!mistake) {
        utf8_print(level, out);
        fputs(": ", out);
    }
    utf8_print(key, out);
    fputs(key.n ? ": " : "", out);
    utf8_print(packed_str(row, "text"), out);
    fputc('\n', out);
}

void show_remarks(const struct show *s, FILE *out)
{
    for (int mistakes = 1; mistakes >= 0; mistakes--)
        for (size_t i = 0; i < s->n; i++)
            if (span_is(packed_str(s->rows[i], "level"), "mistake") == mistakes)
                remark_print(s->rows[i], mistakes, out);
}
