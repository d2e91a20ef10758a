#include "common/wire/json.h"
#include "common/wire/hex.h"

_Static_assert(JSON_DEPTH_MAX <= 32, "a bit for each");

struct json json_of(struct span text)
{
    return (struct json){.rest = text};
}

static int peek(const struct json *j)
{
    return j->rest.n > 0 ? j->rest.p[0] : -1;
}

static bool take(struct json *j, uint8_t c)
{
    if (peek(j) != c) return false;
    j->rest = span_from(j->rest, 1);
    return true;
}

static void blanks(struct json *j)
{
    while (take(j, ' ') || take(j, '\t') || take(j, '\n') || take(j, '\r')) continue;
}

/* Behind a backslash: how many bytes of s it is; 0: none. */
static size_t escape_n(struct span s)
{
    if (s.n == 0 || s.p[0] == 0) return 0;
    if (s.p[0] != 'u') return strchr("\"\\/bfnrt", s.p[0]) ? 1 : 0;
    if (s.n < 5) return 0;
    for (size_t i = 1; i < 5; i++)
        if (hex_digit(s.p[i]) < 0) return 0;
    return 5;
}

static bool text(struct json *j, struct span *ret)
{
    const uint8_t *from;

    if (!take(j, '"')) return false;
    from = j->rest.p;
    while (j->rest.n > 0 && j->rest.p[0] != '"') {
        bool escape = j->rest.p[0] == '\\';
        size_t n = escape ? escape_n(span_from(j->rest, 1)) : utf8_len(j->rest);

        if (n == 0 || j->rest.p[0] < 0x20) return false;
        j->rest = span_from(j->rest, n + escape);
    }
    *ret = span(from, (size_t)(j->rest.p - from));
    return take(j, '"');
}

static bool digits(struct json *j)
{
    bool some = false;

    while (peek(j) >= '0' && peek(j) <= '9') some = take(j, (uint8_t)peek(j));
    return some;
}

static bool number(struct json *j, struct span *ret)
{
    const uint8_t *from = j->rest.p;
    bool ok;

    (void)take(j, '-');
    ok = take(j, '0') || digits(j); /* no zero before other digits */
    if (ok && take(j, '.')) ok = digits(j);
    if (ok && (take(j, 'e') || take(j, 'E'))) {
        if (!take(j, '-')) (void)take(j, '+');
        ok = digits(j);
    }
    *ret = span(from, (size_t)(j->rest.p - from));
    return ok;
}

static bool word(struct json *j, struct span *ret)
{
    const struct span words[] = {SPAN_LIT("true"), SPAN_LIT("false"), SPAN_LIT("null")};

    for (size_t i = 0; i < ARRAY_N(words); i++) {
        if (!span_starts(j->rest, words[i])) continue;
        *ret = span_sub(j->rest, 0, words[i].n);
        j->rest = span_from(j->rest, words[i].n);
        return true;
    }
    return false;
}

static bool in_array(const struct json *j)
{
    return j->arrays & 1u << (j->depth - 1);
}

static bool open_one(struct json *j, enum json_type type)
{
    if (j->depth == JSON_DEPTH_MAX) return false;
    if (type == JSON_ARRAY)
        j->arrays |= 1u << j->depth;
    else
        j->arrays &= ~(1u << j->depth);
    j->depth++;
    j->first = true;
    return true;
}

static bool value(struct json *j, struct json_item *ret)
{
    int c = peek(j);

    ret->depth = j->depth;
    if (c == '{' || c == '[') {
        ret->type = take(j, '{') ? JSON_OBJECT : JSON_ARRAY;
        if (ret->type == JSON_ARRAY) (void)take(j, '[');
        return open_one(j, ret->type);
    }
    ret->type = c == '"' ? JSON_TEXT : c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER : JSON_WORD;
    j->done = j->depth == 0;
    if (ret->type == JSON_TEXT) return text(j, &ret->text);
    return ret->type == JSON_NUMBER ? number(j, &ret->text) : word(j, &ret->text);
}

static bool ends(struct json *j, struct json_item *ret)
{
    if (j->depth == 0 || !take(j, in_array(j) ? ']' : '}')) return false;
    j->depth--;
    j->first = false;
    j->done = j->depth == 0;
    ret->type = JSON_END;
    ret->depth = j->depth;
    return true;
}

/* What stands before a value in an object or array. */
static bool lead(struct json *j, struct json_item *ret)
{
    if (j->depth == 0) return true;
    if (!j->first && !take(j, ',')) return false;
    j->first = false;
    blanks(j);
    if (in_array(j)) return true;
    if (!text(j, &ret->key)) return false;
    blanks(j);
    if (!take(j, ':')) return false;
    blanks(j);
    return true;
}

bool json_next(struct json *j, struct json_item *ret)
{
    *ret = (struct json_item){.key = SPAN_NONE};
    if (j->bad) return false;
    blanks(j);
    if (j->done) {
        j->bad = j->rest.n > 0;
        return false;
    }
    if (ends(j, ret)) return true;
    j->bad = !lead(j, ret) || !value(j, ret);
    return !j->bad;
}

struct span json_shown(struct span *s, char buf[static UTF8_SHOWN_MAX])
{
    struct span c = utf8_shown(s, buf);

    if (c.n != 1 || (c.p[0] != '"' && c.p[0] != '\\')) return c;
    buf[1] = (char)c.p[0];
    buf[0] = '\\';
    return span(buf, 2);
}

/* --- escapes --- */

static void put_utf8(struct wr *w, uint32_t c)
{
    if (c < 0x80) {
        wr_u8(w, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        wr_u8(w, (uint8_t)(0xc0 | c >> 6));
    } else if (c < 0x10000) {
        wr_u8(w, (uint8_t)(0xe0 | c >> 12));
        wr_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    } else {
        wr_u8(w, (uint8_t)(0xf0 | c >> 18));
        wr_u8(w, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        wr_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    }
    wr_u8(w, (uint8_t)(0x80 | (c & 0x3f)));
}

static bool unicode(struct span *s, uint32_t *ret)
{
    uint64_t v;

    if (s->n < 6 || s->p[0] != '\\' || s->p[1] != 'u' || !span_hex64(span_sub(*s, 2, 4), &v)) return false;
    *s = span_from(*s, 6);
    *ret = (uint32_t)v;
    return true;
}

/* A pair of surrogates is one character. */
static bool read_unicode(struct span *s, struct wr *w)
{
    uint32_t c, low;

    if (!unicode(s, &c) || (c >= 0xdc00 && c < 0xe000)) return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (!unicode(s, &low) || low < 0xdc00 || low >= 0xe000) return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(w, c);
    return true;
}

bool json_read_text(struct wr *w, struct span s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    while (s.n > 0) {
        ssize_t n = span_find(s, '\\');
        const char *at;

        wr_bytes(w, span_sub(s, 0, n < 0 ? s.n : (size_t)n));
        if (n < 0) break;
        s = span_from(s, (size_t)n);
        if (s.n > 1 && s.p[1] == 'u') {
            if (!read_unicode(&s, w)) return false;
            continue;
        }
        at = s.n > 1 && s.p[1] ? strchr(from, s.p[1]) : NULL;
        if (!at) return false;
        wr_u8(w, (uint8_t)to[at - from]);
        s = span_from(s, 2);
    }
    return wr_ok(w);
}

bool json_put_text(struct buf *to, struct span s)
{
    char mem[UTF8_SHOWN_MAX];
    bool ok = buf_text(to, "\"");

    while (ok && s.n > 0) ok = buf_put(to, json_shown(&s, mem));
    return ok && buf_text(to, "\"");
}
