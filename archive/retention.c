#include "archive/retention.h"

#define PERCENT_LEAST 2
#define PERCENT_MOST  10
#define HOUR_S        3600
#define AHEAD_S       120 /* of recording: deleting begins so long before the floor */
#define AHEAD_LEAST                                                                                          \
    (2ull << 20)         /* bytes; more than what a full storage has to gain before it is ok again           \
                          */
#define AHEAD_PERCENT 10 /* of the storage at most, where that is more */

const char *retention_word(enum retention_why why)
{
    static const char *const words[RETENTION_REASONS] = {
        [RETENTION_KEPT] = "",
        [RETENTION_AGE] = "age",
        [RETENTION_CAPACITY] = "capacity",
        [RETENTION_FLOOR] = "floor",
    };

    return words[why];
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t x;

    return __builtin_mul_overflow(a, b, &x) ? UINT64_MAX : x;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t retention_floor_bytes(const struct retention_floor *f, uint64_t total, uint64_t rate)
{
    uint64_t bytes = MAX(f->bytes, total / 100 * f->percent);

    if (f->automatic)
        bytes = MIN(
            MAX(total / 100 * PERCENT_LEAST, times(rate, HOUR_S)), MAX(total / 100 * PERCENT_MOST, f->bytes));
    return MAX(bytes, RETENTION_FLOOR_LEAST);
}

static uint64_t ahead(const struct retention_room *r)
{
    uint64_t most = MAX(r->total / 100 * AHEAD_PERCENT, AHEAD_LEAST);

    return CLAMP(MAX(r->floor / 4, times(r->rate, AHEAD_S)), AHEAD_LEAST, most);
}

uint64_t retention_begin(const struct retention_room *r)
{
    return plus(r->floor, ahead(r));
}

uint64_t retention_end(const struct retention_room *r)
{
    return plus(retention_begin(r), ahead(r) / 2);
}

uint64_t retention_needed(const struct retention_room *r)
{
    uint64_t have = plus(r->free, r->leaving);

    return r->total > 0 && have < retention_begin(r) ? retention_end(r) - have : 0;
}

bool retention_urgent(const struct retention_room *r)
{
    return r->total > 0 && r->free < r->floor + ahead(r) / 2;
}

uint64_t retention_capacity(const struct keep_policy *p, uint64_t total)
{
    if (!p) return UINT64_MAX;
    if (p->capacity_percent > 0) return total / 100 * p->capacity_percent;
    return p->capacity_bytes > 0 ? p->capacity_bytes : UINT64_MAX;
}

enum retention_why retention_due(
    const struct keep_policy *p, usec_t now_us, usec_t end_us, uint64_t has, uint64_t capacity)
{
    if (p && p->duration_us > 0 && end_us <= now_us - p->duration_us) return RETENTION_AGE;
    return has > capacity ? RETENTION_CAPACITY : RETENTION_KEPT;
}

void retention_sum_add(
    struct retention_sum *s, const struct retention_stream *st, uint64_t bytes, usec_t now_us)
{
    bool endless = st->duration_us == 0;
    uint64_t wants = bytes;

    s->footage = plus(s->footage, bytes);
    s->rate = plus(s->rate, st->rate);
    if (st->oldest_us > 0 && (s->oldest_us == 0 || st->oldest_us < s->oldest_us))
        s->oldest_us = st->oldest_us;
    if (endless || now_us - st->oldest_us < st->duration_us) s->growth = plus(s->growth, st->rate);
    if (st->rate > 0) wants = endless ? UINT64_MAX : times(st->rate, (uint64_t)(st->duration_us / US_PER_S));
    s->wanted = plus(s->wanted, wants);
    if (endless)
        s->endless = plus(s->endless, st->rate);
    else
        s->kept = plus(s->kept, wants);
}

struct retention_forecast retention_forecast(
    const struct retention_sum *s, const struct retention_room *r, usec_t now_us)
{
    uint64_t begin = retention_begin(r), room = r->free > begin ? r->free - begin : 0;
    struct retention_forecast f = {0};
    uint64_t holds = plus(s->footage, room), stays = plus(s->kept, times(s->endless, HOUR_S));

    f.spare = holds > stays ? holds - stays : 0;
    if (s->rate == 0) return f;
    f.keeps_us = (usec_t)MIN(holds / s->rate, (uint64_t)INT32_MAX) * US_PER_S;
    if (s->wanted > holds && s->growth > 0)
        f.full_us = now_us + (usec_t)MIN(room / s->growth, (uint64_t)INT32_MAX) * US_PER_S;
    return f;
}
