#include "common/conf/schedule.h"

#define DAY_MIN   (24 * 60)
#define DAYS_MAX  9 /* looked at: yesterday, whose window may reach into today, up to a week ahead */
#define AHEAD_S   (8 * 86400)
#define DAILY     0x7f
#define BAD_DAY   "a day is mon, tue, wed, thu, fri, sat, sun, a range of them, or daily"
#define BAD_TIME  "times are HH:MM-HH:MM, 00:00 to 24:00"
#define BAD_EMPTY "a window is days and times: mon-fri 08:00-18:00"

/* --- from text --- */

static int day_of(struct span s)
{
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

    for (size_t i = 0; i < ARRAY_N(names); i++)
        if (span_iis(s, names[i])) return (int)i;
    return -1;
}

static bool days_parse(struct span s, uint16_t *ret)
{
    struct span part;

    *ret = 0;
    while (span_split(&s, '+', &part)) {
        ssize_t dash = span_find(part, '-');
        int from, to;

        if (span_iis(part, "daily")) {
            *ret = DAILY;
            continue;
        }
        from = day_of(dash < 0 ? part : span_sub(part, 0, (size_t)dash));
        to = dash < 0 ? from : day_of(span_from(part, (size_t)dash + 1));
        if (from < 0 || to < 0) return false;
        for (int d = from;; d = (d + 1) % 7) {
            *ret |= (uint16_t)(1u << d);
            if (d == to) break;
        }
    }
    return *ret != 0;
}

static bool minute_parse(struct span s, uint16_t *ret)
{
    uint64_t h, m;

    if (s.n != 5 || s.p[2] != ':' || !span_u64(span_sub(s, 0, 2), 24, &h) ||
        !span_u64(span_from(s, 3), 59, &m))
        return false;
    *ret = (uint16_t)(h * 60 + m);
    return *ret <= DAY_MIN;
}

static const char *window_parse(struct span s, struct conf_schedule_window *ret)
{
    ssize_t blank = span_find(s, ' ');
    struct span times;

    if (blank < 0) return BAD_EMPTY;
    times = span_trim(span_from(s, (size_t)blank));
    if (!days_parse(span_sub(s, 0, (size_t)blank), &ret->days)) return BAD_DAY;
    if (times.n != 11 || times.p[5] != '-' || !minute_parse(span_sub(times, 0, 5), &ret->from_min) ||
        !minute_parse(span_from(times, 6), &ret->to_min) || ret->from_min == DAY_MIN)
        return BAD_TIME;
    return ret->from_min == ret->to_min ? "a window ends when it begins: a whole day is 00:00-24:00" : NULL;
}

bool schedule_parse(struct span text, struct conf_schedule *ret, const char **ret_why, struct span *ret_at)
{
    struct conf_schedule s = {.n = 0};
    struct span part;

    text = span_trim(text);
    while (text.n > 0 && span_split(&text, ',', &part)) {
        *ret_at = part = span_trim(part);
        *ret_why =
            s.n == SCHEDULE_WINDOWS_MAX ? "there are more than 32 windows" : window_parse(part, &s.v[s.n]);
        if (*ret_why) return false;
        s.n++;
    }
    *ret = s;
    return true;
}

/* --- in time --- */

/* A time of day as a time; one that clocks show twice, or never, has two. */
static int64_t time_of(const struct tm *day, int minute, bool late)
{
    int64_t best = 0, any = 0;
    bool have = false;

    for (int dst = 0; dst <= 1; dst++) {
        struct tm tm = {.tm_year = day->tm_year,
            .tm_mon = day->tm_mon,
            .tm_mday = day->tm_mday + minute / DAY_MIN,
            .tm_hour = minute % DAY_MIN / 60,
            .tm_min = minute % 60,
            .tm_isdst = dst};
        time_t t = mktime(&tm);

        if (dst == 0 || (t < any) != late) any = t;
        if (tm.tm_hour != minute % DAY_MIN / 60 || tm.tm_min != minute % 60) continue;
        if (!have || (t < best) != late) best = t;
        have = true;
    }
    return have ? best : any;
}

bool schedule_at(const struct conf_schedule *s, int64_t now_s, int64_t *ret_from_s, int64_t *ret_to_s)
{
    struct {
        int64_t from, to;
    } all[SCHEDULE_WINDOWS_MAX * DAYS_MAX];
    size_t n = 0;
    time_t now = now_s;
    struct tm today;
    int64_t from = INT64_MAX, to;
    bool grew = true;

    if (!localtime_r(&now, &today)) return false;
    for (int d = -1; d < DAYS_MAX - 1; d++) {
        struct tm day = {.tm_year = today.tm_year,
            .tm_mon = today.tm_mon,
            .tm_mday = today.tm_mday + d,
            .tm_hour = 12,
            .tm_isdst = -1};

        mktime(&day);
        for (size_t i = 0; i < s->n; i++) {
            const struct conf_schedule_window *w = &s->v[i];
            int end = w->to_min <= w->from_min ? w->to_min + DAY_MIN : w->to_min;

            if (!(w->days >> (day.tm_wday + 6) % 7 & 1)) continue;
            all[n].from = time_of(&day, w->from_min, false);
            all[n].to = time_of(&day, end, true);
            if (all[n].to > now_s) n++;
        }
    }
    for (size_t i = 0; i < n; i++) from = MIN(from, all[i].from);
    to = from;
    while (grew) {
        grew = false;
        for (size_t i = 0; i < n; i++) {
            if (all[i].from > to || all[i].to <= to) continue;
            to = all[i].to;
            grew = true;
        }
    }
    if (n == 0) return false;
    *ret_from_s = from;
    *ret_to_s = MIN(to, now_s + AHEAD_S);
    return true;
}
