/* The clocks, and times as text. Protocol code gets its time as a parameter and does not call these. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "common/base/types.h"

usec_t clock_mono_us(void); /* CLOCK_MONOTONIC: the same in every process of this machine */
usec_t clock_boot_us(void); /* CLOCK_BOOTTIME: since the machine was started, asleep or not */
usec_t clock_wall_us(void); /* microseconds since 1970-01-01 UTC */

#define CLOCK_ISO_MAX 80
/* "2026-11-22T17:03:20.123Z" into at least CLOCK_ISO_MAX bytes; returns dst. */
const char *clock_iso(usec_t wall_us, char *dst);
/* Broken-down UTC. */
struct tm clock_utc(usec_t wall_us);

#endif
