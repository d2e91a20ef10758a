#include "common/base/log.h"
#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/base/wr.h"

#include <unistd.h>

#define ID_MAX     64
#define Q_BUFS     8
#define Q_MAX      200
#define LIMIT_US   (60 * US_PER_S)
#define FIELDS_MAX 768
#define JSON_TAIL  8  /* bytes that end a string and the line */
#define JSON_FIELD 32 /* a field that is cut to nothing, and the tail */

static struct {
    const char *process;
    char id[ID_MAX];
    enum log_level level;
    bool json, journal;
    int fd;
    void (*mirror)(enum log_level level, const char *line, size_t n);
} state = {.process = "-", .level = LOG_INFO, .fd = STDERR_FILENO};

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"-", "-", "-", "error", "warn", "note", "info", "debug"};

    return names[level & 7];
}

void log_init(const struct log_setup *s)
{
    state.process = s->process;
    span_copy(span_of(s->id), state.id, sizeof(state.id));
    state.level = s->level;
    state.json = s->json;
    state.journal = s->journal;
    state.fd = s->fd;
}

void log_set_level(enum log_level level)
{
    state.level = level;
}

void log_set_fd(int fd)
{
    int old = state.fd;

    state.fd = fd;
    if (old > STDERR_FILENO && old != fd) close(old);
}

bool log_wants(enum log_level level)
{
    return level <= state.level;
}

void log_set_mirror(void (*fn)(enum log_level level, const char *line, size_t n))
{
    state.mirror = fn;
}

/* As much of it as leaves room for the line's end: a line that is too long is cut, not lost. */
static void json_string(struct wr *w, struct span s)
{
    char buf[UTF8_SHOWN_MAX];

    wr_u8(w, '"');
    while (s.n > 0) {
        bool quote = s.p[0] == '"' || s.p[0] == '\\';
        struct span c = utf8_shown(&s, buf);

        if (wr_left(w) < JSON_TAIL + c.n + quote) break;
        if (quote) wr_u8(w, '\\');
        wr_bytes(w, c);
    }
    wr_u8(w, '"');
}

/* One key=value of the fields; a value in quotes may hold blanks and \" as log_q writes them. */
static bool next_field(struct span *rest, struct span *ret_key, struct span *ret_value)
{
    size_t i = 0, v;

    *rest = span_trim(*rest);
    while (i < rest->n && rest->p[i] != '=' && rest->p[i] != ' ') i++;
    if (i == 0 || i >= rest->n || rest->p[i] != '=') return false;
    *ret_key = span_sub(*rest, 0, i);
    v = ++i;
    if (i < rest->n && rest->p[i] == '"') {
        for (i++; i < rest->n && rest->p[i] != '"'; i++)
            if (rest->p[i] == '\\') i++;
        *ret_value = span_sub(*rest, v + 1, i - v - 1);
        i++;
    } else {
        while (i < rest->n && rest->p[i] != ' ') i++;
        *ret_value = span_sub(*rest, v, i - v);
    }
    *rest = span_from(*rest, i);
    return true;
}

static void write_json(
    struct wr *w, enum log_level level, const char *id, const char *event, struct span fields)
{
    char iso[CLOCK_ISO_MAX];
    struct span key, value;

    wr_fmt(w, "{\"ts\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"pid\":%d",
        clock_iso(clock_wall_us(), iso), level_name(level), state.process, (int)getpid());
    if (id[0]) {
        wr_text(w, ",\"stream\":");
        json_string(w, span_of(id));
    }
    wr_fmt(w, ",\"event\":\"%s\"", event);
    while (wr_left(w) >= JSON_FIELD && next_field(&fields, &key, &value)) {
        wr_u8(w, ',');
        json_string(w, key);
        wr_u8(w, ':');
        json_string(w, value);
    }
    fields = span_trim(fields);
    if (fields.n > 0 && wr_left(w) >= JSON_FIELD) {
        wr_text(w, ",\"text\":");
        json_string(w, fields);
    }
    wr_u8(w, '}');
}

PRINTF_LIKE(4, 0)
static void write_line(enum log_level level, const char *id, const char *event, const char *fmt, va_list ap)
{
    char fields[FIELDS_MAX], line[LOG_LINE_MAX + 8], iso[CLOCK_ISO_MAX];
    struct wr w = wr_of(line, LOG_LINE_MAX);
    int n = vsnprintf(fields, sizeof(fields), fmt, ap);
    struct span text = span(fields, n < 0 ? 0 : MIN((size_t)n, sizeof(fields) - 1));
    size_t prefix;

    if (state.json) {
        write_json(&w, level, id, event, text);
        prefix = 0;
    } else {
        if (state.journal) wr_fmt(&w, "<%d>", (int)level);
        prefix = w.n;
        wr_fmt(&w, "%s %s %s[%d] ", clock_iso(clock_wall_us(), iso), level_name(level), state.process,
            (int)getpid());
        utf8_show(&w, span_of(id[0] ? id : "-"));
        wr_fmt(&w, " %s", event);
        if (text.n > 0) wr_u8(&w, ' ');
        utf8_show(&w, text);
    }
    if (!wr_ok(&w)) return;
    if (state.mirror) state.mirror(level, line + prefix, w.n - prefix);
    line[w.n++] = '\n';
    /* A log that cannot be written must not stop anybody; there is nowhere to say it. */
    if (write(state.fd, line, w.n) < 0) return;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    va_list ap;

    if (!log_wants(level)) return;
    va_start(ap, fmt);
    write_line(level, state.id, event, fmt, ap);
    va_end(ap);
}

void log_event_of(enum log_level level, const char *id, const char *event, const char *fmt, ...)
{
    va_list ap;

    if (!log_wants(level)) return;
    va_start(ap, fmt);
    write_line(level, id ? id : "", event, fmt, ap);
    va_end(ap);
}

bool log_limited(struct log_rate *r, usec_t now_us, uint32_t *ret_held)
{
    if (r->last_us != 0 && now_us - r->last_us < LIMIT_US) {
        r->held++;
        return false;
    }
    *ret_held = r->held;
    r->held = 0;
    r->last_us = now_us ? now_us : 1;
    return true;
}

const char *log_q(struct span s)
{
    static _Thread_local char bufs[Q_BUFS][Q_MAX * 2 + 8];
    static _Thread_local unsigned turn;
    char *buf = bufs[turn++ % Q_BUFS];
    struct wr w = wr_of(buf, sizeof(bufs[0]));

    wr_u8(&w, '"');
    for (size_t i = 0; i < s.n && i < Q_MAX; i++) {
        uint8_t c = s.p[i];

        if (c == '"' || c == '\\')
            wr_fmt(&w, "\\%c", c);
        else
            wr_u8(&w, c < 0x20 || c >= 0x7f ? '.' : c);
    }
    wr_u8(&w, '"');
    return wr_cstr(&w);
}
