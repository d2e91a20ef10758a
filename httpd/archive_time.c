/* The times that a request for the archive names. */
#include "httpd/archive.h"

bool archive_time(struct span s, usec_t *ret_us)
{
    uint64_t v;

    if (!span_u64(s, ARCHIVE_TIME_MOST_S, &v)) return false;
    *ret_us = (usec_t)v * US_PER_S;
    return true;
}

bool archive_span(struct span s, usec_t from_us, usec_t *ret_to_us)
{
    usec_t dur_us;

    if (!archive_time(s, &dur_us) || dur_us == 0) return false;
    *ret_to_us = from_us + dur_us;
    return true;
}

static bool number(struct span s, size_t at, size_t n, uint64_t least, uint64_t most, int *ret)
{
    uint64_t v;

    if (at + n > s.n || !span_u64(span_sub(s, at, n), most, &v) || v < least) return false;
    *ret = (int)v;
    return true;
}

/* "Z", "+03:00", "-0330" or nothing. */
static bool zone(struct span s, int *ret_minutes)
{
    int h, m = 0;

    *ret_minutes = 0;
    if (s.n == 0 || span_iis(s, "Z")) return true;
    /* '+' of a query that was not escaped arrives as a blank */
    if (s.p[0] != '+' && s.p[0] != '-' && s.p[0] != ' ') return false;
    if (!number(s, 1, 2, 0, 14, &h)) return false;
    if (s.n > 3 && !number(s, s.p[3] == ':' ? 4 : 3, 2, 0, 59, &m)) return false;
    *ret_minutes = (s.p[0] == '-' ? -1 : 1) * (h * 60 + m);
    return true;
}

bool archive_date(struct span s, usec_t *ret_us)
{
    struct tm tm = {0};
    int minutes;
    size_t at = 19;

    if (archive_time(s, ret_us)) return true;
    if (s.n < 19 || s.p[4] != '-' || s.p[7] != '-' || s.p[13] != ':' || s.p[16] != ':') return false;
    if (s.p[10] != 'T' && s.p[10] != ' ' && s.p[10] != '_') return false;
    if (!number(s, 0, 4, 1970, 9999, &tm.tm_year) || !number(s, 5, 2, 1, 12, &tm.tm_mon) ||
        !number(s, 8, 2, 1, 31, &tm.tm_mday) || !number(s, 11, 2, 0, 23, &tm.tm_hour) ||
        !number(s, 14, 2, 0, 59, &tm.tm_min) || !number(s, 17, 2, 0, 59, &tm.tm_sec))
        return false;
    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9';) at++;
    if (!zone(span_from(s, at), &minutes)) return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_us = ((usec_t)timegm(&tm) - (usec_t)minutes * 60) * US_PER_S;
    return true;
}
