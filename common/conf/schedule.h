/* Weekly windows of a schedule: "mon-fri 08:00-18:00, sat 10:00-14:00". Days are mon to sun, one, a range
 * (fri-mon goes over the week's end) or "daily"; several before one time are divided by '+': "mon+wed
 * 08:00-12:00". A window whose end is not behind its beginning ends on the next day; 24:00 is the end of a
 * day.
 *
 * Times of day are the process's time zone (TZ, tzset). Where clocks are put forward over a window's edge,
 * or back behind it, the longer reading holds: a schedule never records less than it says. No clock is read.
 * Tests: tests/unit/conf/test_schedule.c. */
#ifndef CONF_SCHEDULE_H
#define CONF_SCHEDULE_H

#include "common/base/span.h"

#define SCHEDULE_WINDOWS_MAX 32

struct conf_schedule_window {
    uint16_t days;             /* bit 0: Monday; of its beginning */
    uint16_t from_min, to_min; /* of the day; to_min <= from_min: of the next one */
};
struct conf_schedule {
    struct conf_schedule_window v[SCHEDULE_WINDOWS_MAX];
    size_t n;
};

/* false: *ret_why says what is wrong, *ret_at where. */
bool schedule_parse(struct span text, struct conf_schedule *ret, const char **ret_why, struct span *ret_at);
/* The stretch [*ret_from_s, *ret_to_s) that now_s lies in, or the next one that begins; windows that touch
 * are one. It is looked for eight days ahead, and cut there. false: none. */
bool schedule_at(const struct conf_schedule *s, int64_t now_s, int64_t *ret_from_s, int64_t *ret_to_s);

#endif
