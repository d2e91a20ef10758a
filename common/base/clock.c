#include "common/base/clock.h"

static usec_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (usec_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

usec_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

usec_t clock_boot_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

usec_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

struct tm clock_utc(usec_t wall_us)
{
    time_t s = (time_t)(wall_us / US_PER_S - (wall_us % US_PER_S < 0));
    struct tm tm = {0};

    gmtime_r(&s, &tm);
    return tm;
}

const char *clock_iso(usec_t wall_us, char *dst)
{
    struct tm tm = clock_utc(wall_us);
    int ms = (int)((wall_us % US_PER_S + US_PER_S) % US_PER_S / US_PER_MS);

    snprintf(dst, CLOCK_ISO_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000,
        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
    return dst;
}
