#include "master/metrics.h"
#include "common/base/metrics.h"
#include "master/master.h"

#include <unistd.h>

#define TEXT_MAX 60000 /* what a message takes */

static void of_process(struct metrics *m, const char *family, const char *process, uint64_t v)
{
    const struct metrics_label l = {"process", process};

    metrics_u64(m, family, &l, 1, v);
}

/* --- processes --- */

struct row {
    const char *name;
    pid_t pid;
    uint64_t restarts;
    struct usage u;
    bool runs;
};

static void write_processes(struct metrics *m, const struct row *rows, size_t n)
{
    metrics_family(m, "ms_process_up", METRICS_GAUGE, "1: it runs.");
    for (size_t i = 0; i < n; i++) of_process(m, "ms_process_up", rows[i].name, rows[i].runs);
    metrics_family(m, "ms_process_restarts_total", METRICS_COUNTER, "How often it was started anew.");
    for (size_t i = 0; i < n; i++) of_process(m, "ms_process_restarts_total", rows[i].name, rows[i].restarts);
    metrics_family(m, "ms_process_resident_bytes", METRICS_GAUGE, "Memory, with what is shared.");
    for (size_t i = 0; i < n; i++) of_process(m, "ms_process_resident_bytes", rows[i].name, rows[i].u.rss);
    metrics_family(
        m, "ms_process_cpu_seconds_total", METRICS_COUNTER, "User and system time of this process.");
    for (size_t i = 0; i < n; i++) {
        const struct metrics_label l = {"process", rows[i].name};

        metrics_us(m, "ms_process_cpu_seconds_total", &l, 1, rows[i].u.cpu_us);
    }
}

static void processes(const struct master *m, struct metrics *to)
{
    struct row rows[1 + SERVICES] = {{.name = "master", .pid = getpid(), .runs = true}};
    size_t n = 1;

    usage_read(rows[0].pid, &rows[0].u);
    for (unsigned i = 0; i < SERVICES; i++) {
        const struct proc *p = &m->services.v[i].proc;
        struct row *r = &rows[n];

        if (!services_wanted(m, (enum service_id)i)) continue;
        n++;
        *r = (struct row){p->id, p->pid, p->restarts, {0}, proc_runs(p)};
        if (r->runs) r->runs = usage_read(r->pid, &r->u);
    }
    write_processes(to, rows, n);
}

/* --- streams and their workers --- */

static void streams(const struct master *m, struct metrics *to)
{
    uint64_t in_state[STREAM_STATES] = {0}, rss = 0, restarts = 0, alive = 0;
    struct map_slot slot;

    for (size_t at = 0; map_next(&m->fleet.by_uid, &at, &slot);) {
        const struct stream *s = slot.value;

        in_state[s->state]++;
        restarts += s->proc.restarts;
        if (!proc_runs(&s->proc)) continue;
        alive++;
        rss += s->usage.rss;
    }
    metrics_family(to, "ms_streams", METRICS_GAUGE, "Configured streams, by state.");
    for (unsigned i = 0; i < ARRAY_N(in_state); i++) {
        const struct metrics_label l = {"state", ring_state_word((enum stream_state)i)};

        metrics_u64(to, "ms_streams", &l, 1, in_state[i]);
    }
    metrics_family(to, "ms_workers", METRICS_GAUGE, "Workers that run.");
    metrics_u64(to, "ms_workers", NULL, 0, alive);
    metrics_family(to, "ms_worker_restarts_total", METRICS_COUNTER, "Workers started anew, of all streams.");
    metrics_u64(to, "ms_worker_restarts_total", NULL, 0, restarts);
    metrics_family(
        to, "ms_workers_resident_bytes", METRICS_GAUGE, "Memory of all workers, shared pages in each.");
    metrics_u64(to, "ms_workers_resident_bytes", NULL, 0, rss);
    metrics_family(
        to, "ms_workers_cpu_seconds_total", METRICS_COUNTER, "User and system time of all workers.");
    metrics_us(to, "ms_workers_cpu_seconds_total", NULL, 0, m->fleet.cpu_us);
}

/* --- storages --- */

static uint64_t up(const struct storage_seen *s)
{
    return strcmp(s->state, "ok") == 0;
}

#define STORAGE_VALUE(name, field)                                                                           \
    static uint64_t name(const struct storage_seen *s)                                                       \
    {                                                                                                        \
        return s->field > 0 ? (uint64_t)s->field : 0;                                                        \
    }
STORAGE_VALUE(storage_errno, err)
STORAGE_VALUE(storage_total, total)
STORAGE_VALUE(storage_free, free)
STORAGE_VALUE(storage_floor, floor)
STORAGE_VALUE(storage_footage, footage)
STORAGE_VALUE(storage_rate, rate)
STORAGE_VALUE(storage_held, held)
STORAGE_VALUE(storage_oldest, oldest_s)
STORAGE_VALUE(storage_full, full_s)

static const struct {
    const char *name, *help;
    uint64_t (*of)(const struct storage_seen *s);
} of_storage[] = {
    {"ms_storage_up", "1: it is recorded on.", up},
    {"ms_storage_errno", "Why not; 0: no error.", storage_errno},
    {"ms_storage_size_bytes", "Size of its file system.", storage_total},
    {"ms_storage_free_bytes", "Free there.", storage_free},
    {"ms_storage_floor_bytes", "What stays free.", storage_floor},
    {"ms_storage_footage_bytes", "Footage in its index.", storage_footage},
    {"ms_storage_held_bytes", "What locks and events keep though room is needed.", storage_held},
    {"ms_storage_write_bytes_per_second", "Recorded there.", storage_rate},
    {"ms_storage_oldest_timestamp_seconds", "Its oldest footage, unix time; 0: none.", storage_oldest},
    {"ms_storage_full_timestamp_seconds", "When deleting for want of room begins; 0: not as it is now.",
        storage_full},
};

static void storages(const struct master *m, struct metrics *to)
{
    for (size_t i = 0; i < ARRAY_N(of_storage); i++) {
        metrics_family(to, of_storage[i].name, METRICS_GAUGE, of_storage[i].help);
        for (size_t k = 0; k < m->conf->n_storages; k++) {
            const struct storage_seen *seen = storages_seen(&m->storages, m->conf->storages[k].name);
            const struct metrics_label l = {"storage", m->conf->storages[k].name};

            metrics_u64(to, of_storage[i].name, &l, 1, seen ? of_storage[i].of(seen) : 0);
        }
    }
}

/* --- to httpd --- */

static void webhooks(const struct master *m, struct metrics *to)
{
    const struct {
        const char *name, *help;
        uint64_t v;
    } rows[] = {{"ms_webhook_events_delivered_total", "Events that were taken.", m->hooks.delivered},
        {"ms_webhook_events_dropped_total", "Events that found the queue full.", m->hooks.dropped},
        {"ms_webhook_failures_total", "Requests that were not taken; the same is sent again.",
            m->hooks.failed}};

    metrics_family(to, "ms_webhook_events_waiting", METRICS_GAUGE, "Events that wait to be told.");
    metrics_u64(to, "ms_webhook_events_waiting", NULL, 0, m->hooks.n);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        metrics_family(to, rows[i].name, METRICS_COUNTER, rows[i].help);
        metrics_u64(to, rows[i].name, NULL, 0, rows[i].v);
    }
    metrics_family(
        to, "ms_audit_lines_lost_total", METRICS_COUNTER, "Lines that the disk did not take in time.");
    metrics_u64(to, "ms_audit_lines_lost_total", NULL, 0, m->audit.lost);
}

static void write_all(const struct master *m, struct metrics *to)
{
    const struct metrics_label build[] = {{"version", m->version}, {"revision", m->revision}};

    metrics_family(to, "ms_build_info", METRICS_GAUGE, "What runs.");
    metrics_u64(to, "ms_build_info", build, ARRAY_N(build), 1);
    metrics_family(to, "ms_uptime_seconds", METRICS_GAUGE, "Since the master's start.");
    metrics_u64(to, "ms_uptime_seconds", NULL, 0, (uint64_t)((clock_mono_us() - m->started_us) / US_PER_S));
    processes(m, to);
    streams(m, to);
    storages(m, to);
    cluster_metrics(m, to);
    webhooks(m, to);
}

static void tell_httpd(const struct master *m)
{
    struct channel *httpd = services_channel(m, SERVICE_HTTPD);
    struct metrics to = {.bad = false};
    struct packer *p;
    struct buf text;

    if (!httpd) return;
    buf_init(&text, TEXT_MAX);
    to.to = &text;
    write_all(m, &to);
    if (!to.bad) {
        p = channel_begin(httpd, MSG_METRICS, 1);
        pack_kv_str(p, "text", buf_span(&text));
        channel_end(httpd, NULL, 0);
    }
    buf_done(&text);
}

static void note_share(struct stream *s, const struct usage *now)
{
    usec_t now_us = clock_mono_us(), passed_us = now_us - s->usage_us;

    if (s->usage_pid == s->proc.pid && s->usage_us > 0 && passed_us > 0)
        s->usage_share = (double)MAX(now->cpu_us - s->usage.cpu_us, 0) / (double)passed_us;
    s->usage_us = now_us;
}

/* The next of them; a round begins anew behind the last. */
static void look_at_workers(struct master *m)
{
    struct map_slot slot;

    for (size_t i = 0; i < METRICS_WORKERS; i++) {
        struct stream *s;
        struct usage now;

        if (!map_next(&m->fleet.by_uid, &m->fleet.usage_at, &slot)) {
            m->fleet.usage_at = 0;
            return;
        }
        s = slot.value;
        if (!proc_runs(&s->proc) || !usage_read(s->proc.pid, &now)) continue;
        if (s->usage_pid != s->proc.pid) /* another process: its own time from its start on */
            s->usage = (struct usage){.rss = 0};
        m->fleet.cpu_us += MAX(now.cpu_us - s->usage.cpu_us, 0);
        m->fleet.system_us += MAX(now.system_us - s->usage.system_us, 0);
        note_share(s, &now);
        s->usage = now;
        s->usage_pid = s->proc.pid;
    }
}

void metrics_tick(struct master *m)
{
    look_at_workers(m);
    if (++m->metrics_s % METRICS_EVERY_S == 0) tell_httpd(m);
}
