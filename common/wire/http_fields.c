#include "common/wire/http_fields.h"
#include "common/base/rd.h"

static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const MONTHS[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

const char *http_date(usec_t wall_us, char *dst)
{
    time_t seconds = (time_t)(wall_us / US_PER_S);
    struct tm t;

    gmtime_r(&seconds, &t);
    snprintf(dst, HTTP_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[t.tm_wday], t.tm_mday,
        MONTHS[t.tm_mon], (t.tm_year + 1900) % 10000, t.tm_hour, t.tm_min, t.tm_sec);
    return dst;
}

static bool number(struct span s, unsigned max, int *ret)
{
    uint64_t v;

    if (!span_u64(span_trim(s), max, &v)) return false;
    *ret = (int)v;
    return true;
}

static bool month(struct span s, struct tm *t)
{
    for (size_t i = 0; i < ARRAY_N(MONTHS); i++) {
        if (!span_is(s, MONTHS[i])) continue;
        t->tm_mon = (int)i;
        return true;
    }
    return false;
}

static bool hms(struct span s, struct tm *t)
{
    return s.n == 8 && s.p[2] == ':' && s.p[5] == ':' && number(span_sub(s, 0, 2), 23, &t->tm_hour) &&
        number(span_sub(s, 3, 2), 59, &t->tm_min) && number(span_sub(s, 6, 2), 60, &t->tm_sec);
}

static bool year4(struct span s, struct tm *t)
{
    if (s.n != 4 || !number(s, 9999, &t->tm_year)) return false;
    t->tm_year -= 1900;
    return true;
}

/* Sunday, 06-Nov-94 08:49:37 GMT: two digits above 69 are of the last century. */
static bool rfc850(struct span s, struct tm *t)
{
    if (s.n != 22 || s.p[2] != '-' || s.p[6] != '-' || !span_is(span_from(s, 18), " GMT")) return false;
    if (!number(span_sub(s, 0, 2), 31, &t->tm_mday) || !month(span_sub(s, 3, 3), t)) return false;
    if (!number(span_sub(s, 7, 2), 99, &t->tm_year) || !hms(span_sub(s, 10, 8), t)) return false;
    if (t->tm_year < 70) t->tm_year += 100;
    return true;
}

bool http_date_parse(struct span s, usec_t *ret_wall_us)
{
    ssize_t comma = span_find(s, ',');
    struct tm t = {0};
    bool ok;

    s = span_trim(s);
    if (comma == 3 && s.n == 29) { /* Sun, 06 Nov 1994 08:49:37 GMT */
        ok = number(span_sub(s, 5, 2), 31, &t.tm_mday) && month(span_sub(s, 8, 3), &t) &&
            year4(span_sub(s, 12, 4), &t) && hms(span_sub(s, 17, 8), &t) && span_is(span_from(s, 25), " GMT");
    } else if (comma > 3) {
        struct span rest = span_trim(span_from(s, (size_t)comma + 1));

        ok = rest.n > 18 && span_is(span_from(rest, 18), " GMT") && rfc850(rest, &t);
    } else { /* Sun Nov  6 08:49:37 1994 */
        ok = s.n == 24 && month(span_sub(s, 4, 3), &t) && number(span_sub(s, 8, 2), 31, &t.tm_mday) &&
            hms(span_sub(s, 11, 8), &t) && year4(span_sub(s, 20, 4), &t);
    }
    if (!ok || t.tm_mday == 0) return false;
    *ret_wall_us = (usec_t)timegm(&t) * US_PER_S;
    return true;
}

/* ---- conditions ---- */

static struct span without_weak(struct span tag)
{
    return span_starts(tag, SPAN_LIT("W/")) ? span_from(tag, 2) : tag;
}

static bool is_weak(struct span tag)
{
    return span_starts(tag, SPAN_LIT("W/"));
}

/* Is the tag in any field of that name? "*" stands for every existing one. */
static bool tag_listed(const struct head *h, const char *name, struct span etag, bool strong)
{
    struct span value, member;
    size_t at = 0;

    while (head_next(h, name, &at, &value))
        while (head_list_next(&value, ',', &member)) {
            if (span_is(member, "*")) return true;
            if (etag.n == 0 || (strong && (is_weak(member) || is_weak(etag)))) continue;
            if (span_eq(without_weak(member), without_weak(etag))) return true;
        }
    return false;
}

/* -1: no such field or no date in it; else whether the resource is newer than that. */
static int newer_than(const struct head *h, const char *name, const struct http_validators *v)
{
    usec_t date;

    if (v->modified_us == 0 || !http_date_parse(head_get(h, name), &date)) return -1;
    return v->modified_us / US_PER_S > date / US_PER_S;
}

unsigned http_conditions(const struct head *h, bool get_or_head, const struct http_validators *v)
{
    if (head_get(h, "If-Match").p) {
        if (!tag_listed(h, "If-Match", v->etag, true)) return 412;
    } else if (newer_than(h, "If-Unmodified-Since", v) == 1) {
        return 412;
    }
    if (head_get(h, "If-None-Match").p) {
        if (tag_listed(h, "If-None-Match", v->etag, false)) return get_or_head ? 304 : 412;
    } else if (get_or_head && newer_than(h, "If-Modified-Since", v) == 0) {
        return 304;
    }
    return 0;
}

bool http_if_range(const struct head *h, const struct http_validators *v)
{
    struct span value = head_get(h, "If-Range");
    usec_t date;

    if (value.p == NULL) return true;
    if (http_date_parse(value, &date))
        return v->modified_us / US_PER_S == date / US_PER_S && v->modified_us != 0;
    return v->etag.n > 0 && !is_weak(v->etag) && span_eq(value, v->etag);
}

/* ---- ranges ---- */

static int one_range(struct span spec, uint64_t size, struct http_range *ret)
{
    ssize_t dash = span_find(spec, '-');
    struct span first, last;
    uint64_t from, to = UINT64_MAX;

    if (dash < 0) return 0;
    first = span_trim(span_sub(spec, 0, (size_t)dash));
    last = span_trim(span_from(spec, (size_t)dash + 1));
    if (first.n == 0) { /* "-500": the last 500 */
        if (!span_u64(last, UINT64_MAX, &to)) return 0;
        if (to == 0 || size == 0) return HTTP_RANGE_NOT_SATISFIABLE;
        to = MIN(to, size);
        *ret = (struct http_range){size - to, to};
        return HTTP_RANGE_ONE;
    }
    if (!span_u64(first, UINT64_MAX, &from)) return 0;
    if (last.n > 0 && (!span_u64(last, UINT64_MAX, &to) || to < from)) return 0;
    if (from >= size) return HTTP_RANGE_NOT_SATISFIABLE;
    to = MIN(to, size - 1);
    *ret = (struct http_range){from, to - from + 1};
    return HTTP_RANGE_ONE;
}

int http_range(struct span value, uint64_t size, struct http_range *ret)
{
    struct span unit, member, other;

    if (!span_split(&value, '=', &unit) || value.p == NULL || !span_iis(span_trim(unit), "bytes")) return 0;
    if (!head_list_next(&value, ',', &member) || head_list_next(&value, ',', &other)) return 0;
    return one_range(member, size, ret);
}

int http_range_of(
    const struct head *h, const struct http_validators *v, uint64_t size, struct http_range *ret)
{
    return http_if_range(h, v) ? http_range(head_get(h, "Range"), size, ret) : 0;
}

/* ---- content codings ---- */

/* "0", "1", "0.5", "1.000": thousandths; -1: not a weight. */
static int weight(struct span s)
{
    int v = 0, unit = 1000;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.')) return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (i == 1) continue;
        if (s.p[i] < '0' || s.p[i] > '9') return -1;
        v += (s.p[i] - '0') * unit;
        unit /= 10;
    }
    return v > 1000 ? -1 : v;
}

/* Splits "gzip;q=0.5". */
static int coding_weight(struct span member, struct span *ret_name)
{
    struct span param, name, value;
    int q = 1000;

    head_list_next(&member, ';', ret_name);
    while (head_list_next(&member, ';', &param)) {
        head_param(param, &name, &value);
        if (span_iis(name, "q")) q = weight(value);
    }
    return q < 0 ? 0 : q;
}

unsigned http_accepts_coding(const struct head *h, const char *coding)
{
    struct span value, member, name = SPAN_NONE;
    int exact = -1, star = -1;
    size_t at = 0;

    while (head_next(h, "Accept-Encoding", &at, &value))
        while (head_list_next(&value, ',', &member)) {
            int q = coding_weight(member, &name);

            if (span_iis(name, coding)) exact = MAX(exact, q);
            if (span_is(name, "*")) star = q;
        }
    if (exact >= 0) return (unsigned)exact;
    if (star >= 0) return (unsigned)star;
    return span_is(span_of(coding), "identity") ? 1000 : 0;
}
