/* What the API asks about the server itself: the commands "api server", "api history", "api keys" of
 * common/ipc/ctl.h. */
#include "common/base/clock.h"
#include "common/conf/keys.h"
#include "master/master.h"

#include <unistd.h>

static int run_nothing(struct session *s)
{
    (void)s;
    return CTL_OK;
}

/* --- api server: the whole, then a row a process --- */

/* user, system: seconds of our processes, so far. */
static void pack_cpu(const struct master *m, struct packer *p)
{
    const struct machine *x = &m->machine;
    usec_t all_us = x->cpu_us + m->fleet.cpu_us, system_us = x->system_us + m->fleet.system_us;

    pack_map(p, 5);
    pack_kv_u64(p, "cores", x->cores);
    pack_kv_f64(p, "usage", x->cpu);
    pack_kv_f64(p, "load", x->load);
    pack_kv_f64(p, "user", (double)(all_us - system_us) / US_PER_S);
    pack_kv_f64(p, "system", (double)system_us / US_PER_S);
}

static void pack_memory(const struct machine *x, struct packer *p)
{
    pack_map(p, 5);
    pack_kv_u64(p, "total", x->memory_total);
    pack_kv_u64(p, "available", x->memory_available);
    pack_kv_u64(p, "ours", x->ours);
    pack_kv_u64(p, "workers", x->workers_rss);
    pack_kv_u64(p, "shared", x->shared);
}

/* Of all disks of the machine; bytes, and bytes a second. */
static void pack_disks(const struct machine *x, struct packer *p)
{
    pack_map(p, 4);
    pack_kv_u64(p, "read", x->counts.disk_read);
    pack_kv_u64(p, "written", x->counts.disk_written);
    pack_kv_u64(p, "read_rate", x->disk_read);
    pack_kv_u64(p, "write_rate", x->disk_write);
}

static void pack_network(const struct machine *x, struct packer *p)
{
    pack_map(p, 2);
    pack_kv_u64(p, "in", x->net_in);
    pack_kv_u64(p, "out", x->net_out);
}

static void pack_streams(const struct master *m, struct packer *p)
{
    uint64_t in_state[STREAM_STATES] = {0}, recording = 0;
    struct map_slot slot;

    for (size_t at = 0; map_next(&m->fleet.by_uid, &at, &slot);) {
        const struct stream *s = slot.value;

        in_state[s->state]++;
        recording += strcmp(stream_record_word(s), "on") == 0;
    }
    pack_map(p, STREAM_STATES + 2);
    pack_kv_u64(p, "total", m->conf->n_streams);
    pack_kv_u64(p, "recording", recording);
    for (unsigned i = 0; i < STREAM_STATES; i++)
        pack_kv_u64(p, ring_state_word((enum stream_state)i), in_state[i]);
}

static void pack_listens(const struct conf_listens *l, bool on, struct packer *p)
{
    pack_array(p, on ? (uint32_t)l->n : 0);
    for (size_t i = 0; i < l->n && on; i++) {
        pack_map(p, 2);
        pack_kv_u64(p, "port", l->v[i].port);
        pack_kv_text(p, "base", l->v[i].base);
    }
}

static void pack_server(const struct master *m, struct packer *p)
{
    usec_t uptime_us = clock_mono_us() - m->started_us;
    char host[256] = "", ip4[MACHINE_IP4_MAX];

    (void)gethostname(host, sizeof(host) - 1);
    pack_map(p, 25);
    pack_kv_text(p, "kind", "server");
    pack_kv_text(p, "version", m->version);
    pack_kv_text(p, "revision", m->revision);
    pack_kv_text(p, "build", m->build);
    pack_kv_text(p, "hostname", host);
    pack_kv_text(p, "ip4", machine_ip4(ip4));
    pack_kv_i64(p, "node", m->conf->server.node_id);
    pack_kv_f64(p, "time", (double)clock_wall_us() / US_PER_S);
    pack_kv_i64(p, "started", (clock_wall_us() - uptime_us) / US_PER_S);
    pack_kv_i64(p, "uptime", uptime_us / US_PER_S);
    pack_kv_u64(p, "viewers", m->services.viewers);
    pack_kv_u64(p, "connections", m->services.connections);
    pack_kv_u64(p, "sent_bytes", m->services.bytes_out);
    pack_kv_u64(p, "audit_last", m->audit.seq);
    pack_kv_u64(p, "revision_last", m->revisions.last);
    pack_kv_bool(p, "cluster", m->conf->server.cluster_enable);
    pack_kv_i64(p, "cluster_id", m->conf->server.cluster_id);
    pack_kv_bool(p, "tls", m->conf->delivery.tls.enable);
    pack_key(p, "web");
    pack_listens(&m->conf->delivery.web, m->conf->delivery.enable & CONF_ROAD_WEB, p);
    pack_key(p, "rtsp");
    pack_listens(&m->conf->delivery.rtsp, m->conf->delivery.enable & CONF_ROAD_RTSP, p);
    pack_key(p, "cpu");
    pack_cpu(m, p);
    pack_key(p, "memory");
    pack_memory(&m->machine, p);
    pack_key(p, "network");
    pack_network(&m->machine, p);
    pack_key(p, "disks");
    pack_disks(&m->machine, p);
    pack_key(p, "streams");
    pack_streams(m, p);
}

struct shown_process {
    const char *name;
    uint64_t pid, restarts; /* pid 0: it is being born */
};

static void pack_process(
    const struct shown_process *shown, const struct machine_process *is, struct packer *p)
{
    pack_map(p, 7);
    pack_kv_text(p, "kind", "process");
    pack_kv_text(p, "name", shown->name);
    pack_kv_text(p, "state", shown->pid ? "running" : "starting");
    pack_kv_u64(p, "pid", shown->pid);
    pack_kv_u64(p, "restarts", shown->restarts);
    pack_kv_f64(p, "cpu", is->share);
    pack_kv_u64(p, "memory", is->used.rss);
}

static bool row_server(struct session *s, struct packer *p)
{
    struct shown_process shown = {"master", (uint64_t)getpid(), 0};
    size_t at = s->at++;

    if (at == 0) {
        pack_server(s->m, p);
        return true;
    }
    if (at >= (size_t)MACHINE_PROCESSES + services_wanted(s->m, SERVICE_COURIER)) return false;
    if (at > 1) {
        const struct proc *proc = &s->m->services.v[at - 2].proc;

        shown = (struct shown_process){proc->id, proc_runs(proc) ? (uint64_t)proc->pid : 0, proc->restarts};
    }
    pack_process(&shown, &s->m->machine.processes[at - 1], p);
    return true;
}

/* --- api history: a row a minute of the last day, oldest first --- */

static bool row_history(struct session *s, struct packer *p)
{
    const struct machine_minute *v = machine_minute(&s->m->machine, s->at++);

    if (!v) return false;
    pack_map(p, 9);
    pack_kv_i64(p, "at", v->at_s);
    pack_kv_f64(p, "cpu", v->cpu);
    pack_kv_u64(p, "memory", v->memory);
    pack_kv_u64(p, "ours", v->ours);
    pack_kv_u64(p, "net_in", v->net_in);
    pack_kv_u64(p, "net_out", v->net_out);
    pack_kv_u64(p, "disk_write", v->disk_write);
    pack_kv_u64(p, "viewers", v->viewers);
    pack_kv_u64(p, "active", v->active);
    return true;
}

/* --- api keys: a row a key of the configuration --- */

static uint32_t count_words(const struct conf_word *w)
{
    uint32_t n = 0;

    while (w[n].word) n++;
    return n;
}

static bool row_keys(struct session *s, struct packer *p)
{
    static const char *const scopes[SCOPES] = {
        [SCOPE_CONF] = "server", [SCOPE_STREAM] = "stream", [SCOPE_STORAGE] = "storage"};
    const struct conf_row *r;

    if (s->at >= conf_rows_n) return false;
    r = &conf_rows[s->at++];
    pack_map(p, 9 + (r->max != 0 ? 2 : 0) + (r->words != NULL) + (r->accepted != NULL));
    pack_kv_text(p, "scope", scopes[r->scope]);
    pack_kv_text(p, "section", r->section);
    pack_kv_text(p, "key", r->name);
    pack_kv_text(p, "kind", conf_kind_name(r->kind));
    pack_kv_text(p, "default", r->def);
    pack_kv_text(p, "unit", r->unit);
    pack_kv_text(p, "reload", conf_reload_name(r->reload));
    pack_kv_text(p, "help", r->help);
    pack_kv_bool(p, "local", r->flags & KEY_LOCAL);
    if (r->max != 0) {
        pack_kv_i64(p, "min", r->min);
        pack_kv_i64(p, "max", r->max);
    }
    if (r->words) {
        pack_key(p, "words");
        pack_array(p, count_words(r->words));
        for (const struct conf_word *w = r->words; w->word; w++) pack_str(p, span_of(w->word));
    }
    if (r->accepted) pack_kv_text(p, "accepted", r->accepted);
    return true;
}

const struct command commands_server[] = {
    {"api server", 0, 0, run_nothing, row_server},
    {"api history", 0, 0, run_nothing, row_history},
    {"api keys", 0, 0, run_nothing, row_keys},
};
const size_t n_commands_server = ARRAY_N(commands_server);
