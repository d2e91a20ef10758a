#include "archive/age_clock.h"

static usec_t known_at(const struct age_clock *c, usec_t boot_us)
{
    return c->known_us + MAX(boot_us - c->boot_us, 0);
}

void age_clock_learn(struct age_clock *c, usec_t known_us, usec_t wall_us, usec_t boot_us)
{
    usec_t at_us = known_us > 0 ? known_us : wall_us;

    if (c->begun) at_us = known_us > 0 ? MAX(known_at(c, boot_us), known_us) : known_at(c, boot_us);
    *c = (struct age_clock){.begun = true, .known_us = at_us, .boot_us = boot_us};
}

usec_t age_clock_now(struct age_clock *c, usec_t wall_us, usec_t boot_us, usec_t *ret_ahead_us)
{
    usec_t known_us = known_at(c, boot_us);

    *ret_ahead_us = 0;
    if (!c->begun || wall_us <= known_us) return wall_us;
    if (wall_us - known_us > AGE_CLOCK_MOST_US) {
        *ret_ahead_us = wall_us - known_us;
        return known_us;
    }
    age_clock_accept(c, wall_us, boot_us);
    return wall_us;
}

void age_clock_accept(struct age_clock *c, usec_t wall_us, usec_t boot_us)
{
    *c = (struct age_clock){.begun = true, .known_us = wall_us, .boot_us = boot_us};
}
