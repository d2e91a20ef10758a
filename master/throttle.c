#include "master/throttle.h"

void throttle_lives(struct throttle *t, usec_t lived_us)
{
    if (lived_us >= THROTTLE_HEALTHY_US) *t = (struct throttle){.next_us = 0};
}

/* Were the last THROTTLE_CRASHES of them within the window? */
static bool crashes_often(struct throttle *t, usec_t now_us)
{
    usec_t oldest_us;

    t->crashes_us[t->n_crashes++ % THROTTLE_CRASHES] = now_us;
    if (t->n_crashes < THROTTLE_CRASHES) return false;
    oldest_us = t->crashes_us[t->n_crashes % THROTTLE_CRASHES];
    return now_us - oldest_us <= THROTTLE_WINDOW_US;
}

usec_t throttle_died(struct throttle *t, usec_t now_us, usec_t lived_us, bool worked, enum death how)
{
    usec_t wait_us;

    throttle_lives(t, lived_us);
    if (how == DEATH_CONFIG) return THROTTLE_CONFIG;
    if (how == DEATH_SIGNAL && crashes_often(t, now_us)) t->quarantined = true;
    if (t->quarantined) return THROTTLE_MOST_US;
    if (worked) {
        t->next_us = 0;
        return 0;
    }
    wait_us = t->next_us ? t->next_us : THROTTLE_FIRST_US;
    t->next_us = MIN(wait_us * 2, THROTTLE_MOST_US);
    return wait_us;
}
