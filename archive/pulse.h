/* Whether a storage's device answers. The page cache takes what is written for half a minute and more while
 * the device behind it hangs, so a thread of its own writes one block around the cache every PULSE_US, over
 * and over, into a file without a name. What takes long is no silence as long as the device finishes
 * anything: a busy disk is slow, one that hangs finishes nothing (its count in /sys/dev/block,
 * Documentation/block/stat).
 *
 * Only where a cluster's other nodes can record instead: silence is no failure, and stops nothing here.
 * Functions are the loop's. Tests: tests/unit/archive/test_pulse.c, tests/cluster/test_sick.py. */
#ifndef ARCHIVE_PULSE_H
#define ARCHIVE_PULSE_H

#include "common/base/types.h"

#define PULSE_US        (500 * US_PER_MS)
#define PULSE_SILENT_US (2 * US_PER_S)
#define PULSE_BLIND_US  (5 * US_PER_S) /* where nobody counts what the device does: network file systems */

struct pulse;
/* Of the storage in that folder. NULL: there are no threads left. */
struct pulse *pulse_new(const char *path);
/* Never waits for the device: what still does ends by itself. */
void pulse_free(struct pulse *p);
/* To be asked several times a second. Where such a file cannot be made it is never silent. */
bool pulse_silent(struct pulse *p, usec_t now_us);

#endif
