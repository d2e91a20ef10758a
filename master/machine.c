#include "master/machine.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "master/master.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define PROC_MAX (256u << 10)
#define MINUTE_S 60

/* The next word of a line, between blanks. */
static struct span word(struct span *rest)
{
    struct span w;
    size_t n = 0;

    while (rest->n > 0 && rest->p[0] == ' ') *rest = span_from(*rest, 1);
    while (n < rest->n && rest->p[n] != ' ') n++;
    w = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n);
    return w;
}

static uint64_t number(struct span *rest)
{
    uint64_t v;

    return span_u64(word(rest), UINT64_MAX, &v) ? v : 0;
}

/* user, nice, system, idle, iowait, irq, softirq, steal: guests are in user already. */
bool machine_read_cpu(struct span stat, struct machine_counts *to)
{
    enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 };
    struct span line;

    if (!span_split(&stat, '\n', &line) || !span_is(word(&line), "cpu")) return false;
    to->cpu_busy = to->cpu_all = 0;
    for (int i = 0; i < FIELDS; i++) {
        uint64_t v = number(&line);

        to->cpu_all += v;
        if (i != IDLE && i != IOWAIT) to->cpu_busy += v;
    }
    return true;
}

void machine_read_net(struct span dev, struct machine_counts *to)
{
    enum { BEHIND_BYTES = 7 }; /* fields between what came and what went */
    struct span line, name;

    to->net_in = to->net_out = 0;
    while (span_split(&dev, '\n', &line)) {
        if (span_find(line, ':') < 0 || !span_split(&line, ':', &name)) continue;
        if (span_is(span_trim(name), "lo")) continue;
        to->net_in += number(&line);
        for (int i = 0; i < BEHIND_BYTES; i++) (void)number(&line);
        to->net_out += number(&line);
    }
}

/* Behind the name: reads, merged, sectors read, ms, writes, merged, sectors written. */
void machine_read_disks(struct span diskstats, bool (*is_disk)(struct span name), struct machine_counts *to)
{
    enum { SECTOR = 512, BEFORE_READ = 2, BEFORE_WRITTEN = 3 };
    struct span line;

    to->disk_read = to->disk_written = 0;
    while (span_split(&diskstats, '\n', &line)) {
        (void)word(&line); /* major, minor */
        (void)word(&line);
        if (!is_disk(word(&line))) continue;
        for (int i = 0; i < BEFORE_READ; i++) (void)number(&line);
        to->disk_read += number(&line) * SECTOR;
        for (int i = 0; i < BEFORE_WRITTEN; i++) (void)number(&line);
        to->disk_written += number(&line) * SECTOR;
    }
}

uint64_t machine_read_memory(struct span meminfo, const char *name)
{
    struct span line, key;

    while (span_split(&meminfo, '\n', &line)) {
        if (!span_split(&line, ':', &key) || !span_is(key, name)) continue;
        return number(&line) * 1024;
    }
    return 0;
}

/* --- looking --- */

static bool read_proc(const char *path, struct span *ret, uint8_t **mem)
{
    size_t n;

    if (fd_read_file(AT_FDCWD, path, PROC_MAX, mem, &n) < 0) return false;
    *ret = span(*mem, n);
    return true;
}

/* Its parts are counted in it; what lies on it (loop, dm, md) has no device of its own. */
static bool is_disk(struct span name)
{
    char path[64];

    if (name.n == 0 || name.n > 32 || span_find(name, '/') >= 0) return false;
    snprintf(path, sizeof(path), "/sys/block/%.*s/device", SPAN_FMT(name));
    return access(path, F_OK) == 0;
}

static void look_at_counts(struct machine_counts *to)
{
    struct span text;
    uint8_t *mem;

    if (read_proc("/proc/stat", &text, &mem)) {
        (void)machine_read_cpu(text, to);
        mem_free(mem);
    }
    if (read_proc("/proc/net/dev", &text, &mem)) {
        machine_read_net(text, to);
        mem_free(mem);
    }
    if (read_proc("/proc/diskstats", &text, &mem)) {
        machine_read_disks(text, is_disk, to);
        mem_free(mem);
    }
}

static void look_at_memory(struct machine *x)
{
    struct span text;
    uint8_t *mem;

    if (!read_proc("/proc/meminfo", &text, &mem)) return;
    x->memory_total = machine_read_memory(text, "MemTotal");
    x->memory_available = machine_read_memory(text, "MemAvailable");
    mem_free(mem);
}

static void look_at_process(struct machine *x, unsigned i, pid_t pid, usec_t passed_us)
{
    struct machine_process *p = &x->processes[i], was = *p;

    *p = (struct machine_process){.pid = pid};
    if (pid <= 0 || !usage_read(pid, &p->used)) p->pid = 0;
    if (p->pid > 0 && p->pid == was.pid && passed_us > 0)
        p->share = (double)MAX(p->used.cpu_us - was.used.cpu_us, 0) / (double)passed_us;
    x->ours += p->used.rss;
    x->shared += p->pid > 0 ? usage_shared(p->pid) : 0;
    if (p->pid > 0 && p->pid != was.pid) was.used = (struct usage){.rss = 0};
    x->cpu_us += p->pid > 0 ? MAX(p->used.cpu_us - was.used.cpu_us, 0) : 0;
    x->system_us += p->pid > 0 ? MAX(p->used.system_us - was.used.system_us, 0) : 0;
}

static void look_at_workers(struct master *m)
{
    struct map_slot slot;

    m->machine.workers_rss = 0;
    for (size_t at = 0; map_next(&m->fleet.by_uid, &at, &slot);) {
        const struct stream *s = slot.value;

        if (proc_runs(&s->proc)) m->machine.workers_rss += s->usage.rss;
    }
}

/* Bytes a second; 0 at the first look. */
static uint64_t rate(uint64_t now, uint64_t before, usec_t passed_us)
{
    return passed_us > 0 ? (now - MIN(before, now)) * US_PER_S / (uint64_t)passed_us : 0;
}

static void look(struct master *m, usec_t now_us)
{
    struct machine *x = &m->machine;
    struct machine_counts before = x->counts;
    usec_t passed_us = x->looked_us > 0 ? now_us - x->looked_us : 0;

    look_at_counts(&x->counts);
    look_at_memory(x);
    x->cores = (unsigned)get_nprocs();
    if (getloadavg(&x->load, 1) < 1) x->load = 0;
    if (passed_us > 0 && x->counts.cpu_all > before.cpu_all)
        x->cpu = (double)(x->counts.cpu_busy - MIN(before.cpu_busy, x->counts.cpu_busy)) /
            (double)(x->counts.cpu_all - before.cpu_all);
    x->net_in = 8 * rate(x->counts.net_in, before.net_in, passed_us);
    x->net_out = 8 * rate(x->counts.net_out, before.net_out, passed_us);
    x->disk_read = rate(x->counts.disk_read, before.disk_read, passed_us);
    x->disk_write = rate(x->counts.disk_written, before.disk_written, passed_us);
    x->ours = x->shared = 0;
    look_at_process(x, 0, getpid(), passed_us);
    for (unsigned i = 0; i < SERVICES; i++) {
        const struct proc *p = &m->services.v[i].proc;

        look_at_process(x, 1 + i, proc_runs(p) ? p->pid : 0, passed_us);
    }
    look_at_workers(m);
    x->ours += x->workers_rss;
    x->looked_us = now_us;
}

static void keep_minute(struct master *m)
{
    struct machine *x = &m->machine;
    struct machine_minute *v = &x->minutes[x->n++ % MACHINE_MINUTES];
    struct map_slot slot;

    *v = (struct machine_minute){.at_s = clock_wall_us() / US_PER_S,
        .cpu = x->cpu,
        .memory = x->memory_total - MIN(x->memory_available, x->memory_total),
        .ours = x->ours,
        .net_in = x->net_in,
        .net_out = x->net_out,
        .viewers = m->services.viewers};
    for (size_t i = 0; i < m->conf->n_storages; i++) {
        const struct storage_seen *seen = storages_seen(&m->storages, m->conf->storages[i].name);

        if (seen) v->disk_write += seen->rate * 8;
    }
    for (size_t at = 0; map_next(&m->fleet.by_uid, &at, &slot);)
        v->active += ((const struct stream *)slot.value)->state == STREAM_ACTIVE;
}

bool machine_minute_due(const struct machine *x, usec_t up_us, int64_t now_s)
{
    const struct machine_minute *last = x->n > 0 ? &x->minutes[(x->n - 1) % MACHINE_MINUTES] : NULL;

    return last ? now_s - last->at_s >= MINUTE_S || now_s < last->at_s : up_us >= MINUTE_S * US_PER_S;
}

void machine_tick(struct master *m)
{
    usec_t now_us = clock_mono_us();

    if (now_us - m->machine.looked_us < MACHINE_EVERY_S * US_PER_S - US_PER_S / 2) return;
    look(m, now_us);
    if (machine_minute_due(&m->machine, now_us - m->started_us, clock_wall_us() / US_PER_S)) keep_minute(m);
}

const char *machine_ip4(char dst[static MACHINE_IP4_MAX])
{
    struct ifaddrs *all = NULL;
    struct sockaddr_in in;

    dst[0] = '\0';
    if (getifaddrs(&all) < 0) return dst;
    for (const struct ifaddrs *i = all; i && !dst[0]; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET) continue;
        if (!(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK) continue;
        memcpy(&in, i->ifa_addr, sizeof(in));
        if (!inet_ntop(AF_INET, &in.sin_addr, dst, MACHINE_IP4_MAX)) dst[0] = '\0';
    }
    freeifaddrs(all);
    return dst;
}

const struct machine_minute *machine_minute(const struct machine *x, size_t i)
{
    size_t kept = MIN(x->n, (size_t)MACHINE_MINUTES);

    return i < kept ? &x->minutes[(x->n - kept + i) % MACHINE_MINUTES] : NULL;
}
