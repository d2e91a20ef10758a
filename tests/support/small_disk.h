/* A disk of 20 MB: an ext4 image on a loop device, that can be full, read-only, broken or frozen. For root.
 */
#ifndef SUPPORT_SMALL_DISK_H
#define SUPPORT_SMALL_DISK_H

#include <stdbool.h>

/* Makes image and folder `at` beside each other and mounts it. false, with a line that says so: not here. */
bool small_disk_mount(const char *at);
/* "" too. */
void small_disk_umount(const char *at);
/* Writes to it wait until it thaws. 0, or an exit code. */
int small_disk_freeze(const char *at, bool on);

#endif
