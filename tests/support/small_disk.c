#include "tests/support/small_disk.h"
#include "common/base/err.h"
#include "tests/support/tool.h"

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

bool small_disk_mount(const char *at)
{
    char command[1024];

    snprintf(command, sizeof(command),
        "truncate -s 20M %s.image && mkfs.ext4 -q -F -m 0 %s.image && mkdir %s && mount -o loop %s.image %s",
        at, at, at, at, at);
    if (geteuid() == 0 && tool_run((const char *const[]){"sh", "-c", command, NULL}, NULL) == 0) return true;
    printf("skipped: cannot mount an image here\n");
    return false;
}

void small_disk_umount(const char *at)
{
    if (at[0]) must(umount2(at, MNT_DETACH) == 0);
}

int small_disk_freeze(const char *at, bool on)
{
    return tool_run((const char *const[]){"fsfreeze", on ? "-f" : "-u", at, NULL}, NULL);
}
