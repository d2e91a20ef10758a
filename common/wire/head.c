#include "common/wire/head.h"

#define PROTOCOL_MAX 16 /* letters of "RTSP" */

static bool is_ows(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_eol(uint8_t c)
{
    return c == '\r' || c == '\n';
}

bool head_is_token(struct span s)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!alnum && (c == 0 || memchr(marks, c, sizeof(marks) - 1) == NULL)) return false;
    }
    return s.n > 0;
}

/* Bytes of empty lines at the front. */
static size_t blank_lines(struct span in)
{
    size_t n = 0;

    while (n < in.n && is_eol(in.p[n])) n++;
    return n;
}

int head_find(struct head_find *f, struct span in, const struct head_limits *limits, size_t *ret_n)
{
    size_t start = blank_lines(in);

    f->at = MAX(f->at, start);
    while (f->at < in.n) {
        ssize_t nl = span_find(span_from(in, f->at), '\n');
        struct span line = span_sub(in, f->at, nl < 0 ? SIZE_MAX : (size_t)nl);

        if (nl >= 0 && line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
        if (f->at == start && line.n > limits->line_max) return HEAD_E_LINE_LONG;
        if (nl < 0) break;
        if (f->at + (size_t)nl + 1 > limits->total_max) return HEAD_E_LONG;
        if (line.n == 0) { /* `at` stays: asked again, the answer is the same */
            *ret_n = f->at + (size_t)nl + 1;
            return 0;
        }
        f->at += (size_t)nl + 1;
    }
    return in.n > limits->total_max ? HEAD_E_LONG : HEAD_E_MORE;
}

/* "RTSP/1.0" or "HTTP/1.1" at the front; the numbers may be missing. */
static bool protocol(struct span s, struct head *h)
{
    ssize_t slash = span_find(span_sub(s, 0, PROTOCOL_MAX), '/');
    struct span numbers, major;
    uint64_t v = 0;

    if (slash < 1) return false;
    h->protocol = span_sub(s, 0, (size_t)slash);
    if (!span_iis(h->protocol, "RTSP") && !span_iis(h->protocol, "HTTP")) return false;
    numbers = span_from(s, (size_t)slash + 1);
    if (span_split(&numbers, '.', &major) && span_u64(major, 99, &v)) h->major = (unsigned)v;
    if (numbers.p && span_u64(numbers, 99, &v)) h->minor = (unsigned)v;
    return true;
}

/* The next run of bytes that are not blanks. */
static struct span word(struct span *rest)
{
    size_t n = 0;
    struct span w;

    while (rest->n > 0 && is_ows(rest->p[0])) *rest = span_from(*rest, 1);
    while (n < rest->n && !is_ows(rest->p[n])) n++;
    w = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n);
    return w;
}

/* "RTSP/1.0 200 OK", also behind junk (C6): the code is what counts. */
static bool status_line(struct span line, struct head *h)
{
    static const char *const names[] = {"RTSP/", "HTTP/"};
    uint64_t v;

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        ssize_t at = span_find_span(line, span_of(names[i]));
        struct span rest, code;

        if (at < 0) continue;
        rest = span_from(line, (size_t)at);
        if (!protocol(word(&rest), h)) continue;
        code = word(&rest);
        if (!span_u64(code, 999, &v) || v < 100) continue;
        h->kind = HEAD_STATUS;
        h->status = (unsigned)v;
        h->reason = span_trim(rest);
        return true;
    }
    return false;
}

/* "SETUP rtsp://host/a b RTSP/1.0": the target is what is between the first and the last word. */
static bool request_line(struct span line, struct head *h)
{
    struct span rest = line, method = word(&rest);
    size_t n;

    rest = span_trim(rest);
    for (n = rest.n; n > 0 && !is_ows(rest.p[n - 1]); n--) continue;
    if (!head_is_token(method) || n == 0 || !protocol(span_from(rest, n), h)) return false;
    h->target = span_trim(span_sub(rest, 0, n));
    if (h->target.n == 0) return false;
    h->kind = HEAD_REQUEST;
    h->method = method;
    return true;
}

static void add_field(struct head *h, struct span line)
{
    ssize_t colon = span_find(line, ':');
    struct span name;

    if (colon < 1) return;
    name = span_trim(span_sub(line, 0, (size_t)colon));
    if (!head_is_token(name)) return;
    if (h->n == HEAD_FIELDS_MAX) {
        h->cut = true;
        return;
    }
    h->f[h->n++] = (struct head_field){name, span_trim(span_from(line, (size_t)colon + 1))};
}

int head_parse(struct span head, struct head *ret)
{
    struct span rest = head, line;

    *ret = (struct head){.kind = HEAD_NONE};
    while (span_split(&rest, '\n', &line)) {
        line = span_trim(line);
        if (line.n == 0) continue;
        if (ret->kind == HEAD_NONE) {
            if (!status_line(line, ret)) request_line(line, ret);
            continue;
        }
        add_field(ret, line);
    }
    return ret->kind == HEAD_NONE ? HEAD_E_BAD : 0;
}

struct span head_get(const struct head *h, const char *name)
{
    struct span value;
    size_t at = 0;

    return head_next(h, name, &at, &value) ? value : SPAN_NONE;
}

bool head_next(const struct head *h, const char *name, size_t *at, struct span *ret_value)
{
    while (*at < h->n) {
        const struct head_field *f = &h->f[(*at)++];

        if (!span_iis(f->name, name)) continue;
        *ret_value = f->value;
        return true;
    }
    return false;
}

bool head_has_token(const struct head *h, const char *name, const char *token)
{
    struct span value, member;
    size_t at = 0;

    while (head_next(h, name, &at, &value))
        while (head_list_next(&value, ',', &member))
            if (span_iis(member, token)) return true;
    return false;
}

/* Length up to the next separator that is not in quotes. An unclosed quote does not hide the rest (U3). */
static size_t member_n(struct span s, uint8_t sep)
{
    bool quoted = false;
    size_t i, first = s.n;

    for (i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\' && i + 1 < s.n) {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (s.p[i] == sep) {
            if (!quoted) return i;
            if (first == s.n) first = i;
        }
        if (!quoted) first = s.n;
    }
    return quoted ? first : s.n;
}

bool head_list_next(struct span *rest, uint8_t sep, struct span *ret_member)
{
    while (rest->n > 0) {
        size_t n = member_n(*rest, sep);
        struct span m = span_trim(span_sub(*rest, 0, n));

        *rest = span_from(*rest, n + 1);
        if (m.n == 0) continue;
        *ret_member = m;
        return true;
    }
    return false;
}

void head_param(struct span member, struct span *ret_name, struct span *ret_value)
{
    ssize_t eq = span_find(member, '=');
    struct span v;

    *ret_name = span_trim(eq < 0 ? member : span_sub(member, 0, (size_t)eq));
    *ret_value = SPAN_NONE;
    if (eq < 0) return;
    v = span_trim(span_from(member, (size_t)eq + 1));
    if (v.n > 0 && v.p[0] == '"') {
        v = span_from(v, 1);
        if (v.n > 0 && v.p[v.n - 1] == '"') v.n--;
    }
    *ret_value = v;
}
