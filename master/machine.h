/* What this machine and our processes use, as the kernel counts it (proc(5)): looked at every
 * MACHINE_EVERY_S seconds, and kept for a day by the minute, in memory. Tests:
 * tests/unit/master/test_machine.c. */
#ifndef MASTER_MACHINE_H
#define MASTER_MACHINE_H

#include "common/base/span.h"
#include "master/usage.h"

#define MACHINE_EVERY_S   2
#define MACHINE_MINUTES   1440
#define MACHINE_PROCESSES 5 /* the master, its services */
#define MACHINE_IP4_MAX   16

struct master;

/* Counters since the machine's start. */
struct machine_counts {
    uint64_t cpu_busy, cpu_all;       /* ticks of all processors */
    uint64_t net_in, net_out;         /* bytes, of all interfaces but the loopback */
    uint64_t disk_read, disk_written; /* bytes, of all disks that are a device */
};
struct machine_minute {
    int64_t at_s;
    double cpu;               /* 0 to 1, of all processors */
    uint64_t memory, ours;    /* bytes in use, of all, of our processes */
    uint64_t net_in, net_out; /* bit/s */
    uint64_t disk_write;      /* bit/s recorded */
    uint64_t viewers, active;
};
struct machine_process {
    pid_t pid; /* 0: it does not run */
    struct usage used;
    double share; /* of one processor */
};
struct machine {
    usec_t looked_us; /* 0: not yet */
    struct machine_counts counts;
    double cpu, load;
    unsigned cores;
    uint64_t net_in, net_out;       /* bit/s */
    uint64_t disk_read, disk_write; /* bytes a second */
    uint64_t memory_total, memory_available, ours;
    uint64_t shared;          /* bytes of the processes below that others may share */
    usec_t cpu_us, system_us; /* of those processes since the start, whoever ran meanwhile */
    struct machine_process processes[MACHINE_PROCESSES];
    uint64_t workers_rss;
    struct machine_minute minutes[MACHINE_MINUTES]; /* a ring: the newest is n - 1 */
    size_t n;
};

void machine_tick(struct master *m); /* once a second */
/* The i-th minute, oldest first; NULL: no more. */
const struct machine_minute *machine_minute(const struct machine *x, size_t i);

/* A minute has passed since the one before, or, of the first, since the start: a look alone has no rates, and
 * who has just started no cameras. Also when the clock was set back. */
bool machine_minute_due(const struct machine *x, usec_t up_us, int64_t now_s);
/* The machine's first IPv4 address that is not the loopback's; "": it has none. */
const char *machine_ip4(char dst[static MACHINE_IP4_MAX]);

/* Parts with tests of their own: texts of /proc/stat, /proc/net/dev, /proc/diskstats, /proc/meminfo. */
bool machine_read_cpu(struct span stat, struct machine_counts *to);
void machine_read_net(struct span dev, struct machine_counts *to);
void machine_read_disks(struct span diskstats, bool (*is_disk)(struct span name), struct machine_counts *to);
uint64_t machine_read_memory(struct span meminfo, const char *name); /* bytes; 0: it is not there */

#endif
