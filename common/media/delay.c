#include "common/media/delay.h"

void delay_add(struct delay *d, usec_t mono_us, usec_t delay_us)
{
    if (!d->any) {
        *d = (struct delay){.any = true, .begun_us = mono_us, .first_us = mono_us, .now_min = delay_us};
        return;
    }
    if (mono_us - d->begun_us >= DELAY_WINDOW_US) {
        d->before_min = d->now_min;
        d->has_before = true;
        d->begun_us = mono_us;
        d->now_min = delay_us;
    }
    d->now_min = MIN(d->now_min, delay_us);
}

usec_t delay_least(const struct delay *d)
{
    return d->has_before ? MIN(d->now_min, d->before_min) : d->now_min;
}

bool delay_young(const struct delay *d, usec_t mono_us)
{
    return !d->any || mono_us - d->first_us < DELAY_WINDOW_US;
}
