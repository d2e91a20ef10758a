/* What msctl may ask: the commands of common/ipc/ctl.h. */
#include "common/base/cage.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "master/master.h"
#include "master/mounts.h"
#include "master/reload.h"

#include <errno.h>
#include <unistd.h>

static int not_found(struct session *s, const char *what)
{
    snprintf(s->text, sizeof(s->text), "no such %s: %.256s", what, s->args[0]);
    return CTL_NOT_FOUND;
}

static int run_nothing(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static uint64_t relaxed(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

/* --- status --- */

struct totals {
    uint64_t active, recording, not_recording;
};

/* The storage for whose want of room it does not record, as its keeper says: that ends by itself. NULL: there
 * is none, or another reason. */
static const struct storage_seen *full_storage(const struct stream *s, const char **ret_name)
{
    const struct ring_status *st = s->ring.now.status;
    const struct conf_archive *a = &s->conf->dvr_archive;
    char name[sizeof(st->rec_storage)];

    if (atomic_load(&st->rec_errno) != ENOSPC) return NULL;
    ring_status_get_text(st, st->rec_storage, sizeof(st->rec_storage), name, sizeof(name));
    for (size_t i = 0; i < a->n; i++) {
        const struct storage_seen *seen = storages_seen(&s->m->storages, a->v[i].storage);

        /* a path's name may be longer than the ring has room for */
        if (strncmp(a->v[i].storage, name, sizeof(name) - 1) != 0 || !seen) continue;
        *ret_name = a->v[i].storage;
        return strcmp(seen->state, "full") == 0 && seen->err == ENOSPC ? seen : NULL;
    }
    return NULL;
}

/* What the recorder does, as a word; "stopped" when nothing runs that could. */
const char *stream_record_word(const struct stream *s)
{
    static const char *const words[] = {[RECORD_OFF] = "off",
        [RECORD_ON] = "on",
        [RECORD_PAUSED] = "paused",
        [RECORD_WAITING] = "waiting",
        [RECORD_ARMED] = "armed"};
    const struct ring_status *st = s->ring.now.status;
    const char *name;
    uint32_t is;

    if (!s->conf->record || cluster_rests(s)) return "off";
    if (record_is_paused(s, clock_wall_us())) return "paused";
    if (!st || !proc_runs(&s->proc)) return "stopped";
    is = atomic_load(&st->record_state);
    if (is == RECORD_PAUSED && atomic_load(&st->rec_errno) != 0 && !full_storage(s, &name)) return "failed";
    return is < ARRAY_N(words) && is != RECORD_OFF ? words[is] : "waiting";
}

static struct totals count_streams(const struct master *m)
{
    struct totals t = {0};
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&m->fleet.by_uid, &at, &slot)) {
        const struct stream *s = slot.value;
        const char *record = stream_record_word(s);
        bool on = strcmp(record, "on") == 0;

        t.active += s->state == STREAM_ACTIVE;
        t.recording += on;
        t.not_recording += !on && strcmp(record, "off") != 0 && strcmp(record, "armed") != 0;
    }
    return t;
}

static bool row_status(struct session *s, struct packer *p)
{
    const struct master *m = s->m;
    struct totals t = count_streams(m);
    char key[48], missing[CAGE_TEXT_MAX];

    if (s->at++ > 0) return false;
    pack_map(p, 15 + 2 * (SERVICES - !services_wanted(m, SERVICE_COURIER)));
    pack_kv_text(p, "version", m->version);
    pack_kv_text(p, "revision", m->revision);
    pack_kv_u64(p, "pid", (uint64_t)getpid());
    pack_kv_i64(p, "uptime_s", (clock_mono_us() - m->started_us) / US_PER_S);
    pack_kv_i64(p, "node", m->conf->server.node_id);
    pack_kv_text(p, "config", m->file);
    pack_kv_u64(p, "streams", m->conf->n_streams);
    pack_kv_u64(p, "active", t.active);
    pack_kv_u64(p, "recording", t.recording);
    pack_kv_u64(p, "not_recording", t.not_recording);
    pack_kv_u64(p, "viewers", m->services.viewers);
    pack_kv_u64(p, "picture_helpers", helpers_alive(&m->helpers, HELPER_PICTURE));
    pack_kv_text(p, "sandbox_missing", cage_text(m->services.cage_missing, missing));
    pack_kv_u64(p, "storages", m->conf->n_storages);
    pack_kv_u64(p, "storages_ok", storages_ok(&m->storages, m->conf));
    for (int i = 0; i < SERVICES; i++) {
        const struct proc *proc = &m->services.v[i].proc;

        if (!services_wanted(m, (enum service_id)i)) continue;
        snprintf(key, sizeof(key), "%s_pid", proc->id);
        pack_kv_u64(p, key, proc_runs(proc) ? (uint64_t)proc->pid : 0);
        snprintf(key, sizeof(key), "%s_restarts", proc->id);
        pack_kv_u64(p, key, proc->restarts);
    }
    return true;
}

/* --- streams [UID] --- */

static int run_streams(struct session *s)
{
    return s->n_args == 0 || fleet_stream(s->m, span_of(s->args[0])) ? CTL_OK : not_found(s, "stream");
}

static const char *armed_reason(const struct stream *s)
{
    static const char *const reasons[] = {[CONF_DVR_EVENT] = "waiting for an event",
        [CONF_DVR_SCHEDULE] = "outside its schedule",
        [CONF_DVR_ONDEMAND] = "not asked to"};
    enum conf_dvr_mode mode = s->conf->dvr_mode;

    return (size_t)mode < ARRAY_N(reasons) && reasons[mode] ? reasons[mode] : "";
}

static const char *paused_reason(const struct stream *s, char dst[static STREAM_WHY_MAX])
{
    const char *name = "";
    const struct storage_seen *full = full_storage(s, &name);

    if (record_is_paused(s, clock_wall_us())) return "paused by call";
    if (!full) return "no storage to write on yet";
    snprintf(dst, STREAM_WHY_MAX,
        full->free < full->floor ? "storage %s is below its free floor" : "storage %s is full", name);
    return dst;
}

const char *stream_record_reason(const struct stream *s, const char *word, char dst[static STREAM_WHY_MAX])
{
    const struct ring_status *st = s->ring.now.status;

    if (strcmp(word, "failed") == 0) return err_text(-(int)CLAMP(atomic_load(&st->rec_errno), 1, 4095));
    if (strcmp(word, "paused") == 0) return paused_reason(s, dst);
    if (strcmp(word, "armed") == 0) return armed_reason(s);
    if (strcmp(word, "waiting") == 0) return "waiting for a key frame";
    return strcmp(word, "stopped") == 0 ? "the worker does not run" : "";
}

static uint64_t fault_sum(const struct ring_status *st)
{
    uint64_t sum = 0;

    for (int i = 0; i < FAULTS; i++) sum += relaxed(&st->faults[i]);
    return sum;
}

static void pack_status_text(
    const struct ring_status *st, struct packer *p, const char *key, const char *field, size_t field_cap)
{
    char text[RING_REASON_MAX];

    ring_status_get_text(st, field, field_cap, text, sizeof(text));
    pack_kv_text(p, key, text);
}

/* What is asked for one stream only. */
#define DETAILS (12 + FAULTS)

static void pack_details(const struct ring_status *st, struct packer *p)
{
    pack_status_text(st, p, "source", st->source, sizeof(st->source));
    pack_status_text(st, p, "record_storage", st->rec_storage, sizeof(st->rec_storage));
    pack_status_text(st, p, "record_path", st->rec_path, sizeof(st->rec_path));
    pack_kv_u64(p, "recorded_bytes", relaxed(&st->recorded_bytes));
    pack_kv_i64(p, "last_frame_s", atomic_load(&st->last_frame_us) / US_PER_S);
    pack_kv_u64(p, "gop_frames", atomic_load_explicit(&st->gop_frames, memory_order_relaxed));
    pack_kv_u64(p, "gop_ms", atomic_load_explicit(&st->gop_ms, memory_order_relaxed));
    pack_kv_u64(p, "packets", relaxed(&st->packets_in));
    pack_kv_u64(p, "reordered", relaxed(&st->packets_reordered));
    pack_kv_u64(p, "damaged", relaxed(&st->frames_damaged));
    pack_kv_u64(p, "dropped", relaxed(&st->frames_dropped));
    pack_kv_u64(p, "connects", relaxed(&st->connects));
    for (int i = 0; i < FAULTS; i++)
        pack_kv_u64(p, ring_fault_word((enum ring_fault)i), relaxed(&st->faults[i]));
}

static void pack_stream(const struct stream *s, struct packer *p, bool details)
{
    const struct ring_status *st = s->ring.now.status;
    const char *record = stream_record_word(s);
    char why[STREAM_WHY_MAX];

    pack_map(p, !st ? 10 : details ? 16 + DETAILS : 16);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_text(p, "state", ring_state_word(s->state));
    pack_kv_text(p, "reason", s->reason);
    pack_kv_i64(p, "since_s", s->since_us / US_PER_S);
    pack_kv_u64(p, "pid", proc_runs(&s->proc) ? (uint64_t)s->proc.pid : 0);
    pack_kv_text(p, "record", record);
    pack_kv_text(p, "record_reason", stream_record_reason(s, record, why));
    pack_kv_u64(p, "restarts", s->proc.restarts);
    pack_kv_u64(p, "viewers", stream_ring_viewers(&s->ring));
    pack_kv_text(p, "name", s->conf->name);
    if (!st) return;
    pack_kv_u64(p, "bitrate_bps", atomic_load_explicit(&st->bitrate_in, memory_order_relaxed));
    pack_kv_u64(p, "frames", relaxed(&st->frames_in));
    pack_kv_u64(p, "losses", relaxed(&st->packets_lost));
    pack_kv_u64(p, "repairs", relaxed(&st->ts_repairs));
    pack_kv_u64(p, "reconnects", relaxed(&st->reconnects));
    pack_kv_u64(p, "faults", fault_sum(st));
    if (details) pack_details(st, p);
}

const struct conf_stream *control_next_stream(const struct session *s)
{
    const struct conf *c = s->m->conf;
    size_t lo = 0, hi = c->n_streams;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(c->streams[mid]->uid, s->last) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_streams ? c->streams[lo] : NULL;
}

static bool row_streams(struct session *s, struct packer *p)
{
    const struct conf_stream *c;
    const struct stream *st;

    if (s->n_args == 1) {
        st = fleet_stream(s->m, span_of(s->args[0]));
        if (s->at++ > 0 || !st) return false;
        pack_stream(st, p, true);
        return true;
    }
    c = control_next_stream(s);
    if (!c) return false;
    span_copy(span_of(c->uid), s->last, sizeof(s->last));
    st = fleet_stream(s->m, span_of(c->uid));
    must(st != NULL);
    pack_stream(st, p, false);
    return true;
}

/* --- restart UID --- */

static int run_restart(struct session *s)
{
    struct stream *st = fleet_stream(s->m, span_of(s->args[0]));

    if (!st) return not_found(s, "stream");
    if (!st->proc.wanted) {
        snprintf(s->text, sizeof(s->text), "not restarted: %s", st->reason);
        return CTL_FAILED;
    }
    log_event_of(LOG_NOTE, st->uid, "restart", "by=msctl");
    proc_restart(&st->proc);
    return CTL_OK;
}

/* --- logs [UID] --- */

static const struct lines *lines_of(const struct session *s)
{
    const struct stream *st;

    if (s->n_args == 0) return &s->m->lines;
    for (int i = 0; i < SERVICES; i++)
        if (strcmp(services_name((enum service_id)i), s->args[0]) == 0) return &s->m->services.v[i].lines;
    st = fleet_stream(s->m, span_of(s->args[0]));
    return st ? &st->lines : NULL;
}

static int run_logs(struct session *s)
{
    return lines_of(s) ? CTL_OK : not_found(s, "stream");
}

static bool row_logs(struct session *s, struct packer *p)
{
    const struct lines *l = lines_of(s);
    const char *line = l ? lines_at(l, s->at++) : NULL;

    if (!line) return false;
    pack_map(p, 1);
    pack_kv_text(p, "line", line);
    return true;
}

/* --- reload --- */

static void report_free(void *p)
{
    conf_report_done(p);
    mem_free(p);
}

static int run_reload(struct session *s)
{
    char what[RELOAD_TEXT_MAX];
    bool ok;

    s->data = NEW(struct conf_report);
    s->data_free = report_free;
    ok = reload(s->m, s->data, what);
    span_copy(span_of(what), s->text, sizeof(s->text));
    return ok ? CTL_OK : CTL_FAILED;
}

bool row_remarks(struct session *s, struct packer *p)
{
    return control_row_remark(s, s->data, s->at, p);
}

bool control_row_remark(struct session *s, const struct conf_report *r, size_t at, struct packer *p)
{
    static const char *const words[] = {
        [CONF_MISTAKE] = "mistake", [CONF_WARNING] = "warning", [CONF_NOTE] = "note"};
    const struct conf_remark *v;

    if (at >= r->n) return false;
    s->at++;
    v = &r->v[at];
    pack_map(p, 5);
    pack_kv_text(p, "level", words[v->level]);
    pack_kv_text(p, "file", v->file);
    pack_kv_u64(p, "line", v->line);
    pack_kv_text(p, "key", v->key);
    pack_kv_text(p, "text", v->text);
    return true;
}

/* --- storages --- */

static int run_storages(struct session *s)
{
    s->data = mounts_read();
    s->data_free = mounts_free;
    return CTL_OK;
}

static bool row_storages(struct session *s, struct packer *p)
{
    const struct conf *c = s->m->conf;
    const struct mounts *mounts = s->data;
    const struct conf_storage *st;
    const struct storage_seen *seen;
    struct mount on = {.fs = ""};

    if (s->at >= c->n_storages) return false;
    st = &c->storages[s->at++];
    seen = storages_seen(&s->m->storages, st->name);
    (void)mounts_find(span(mounts->text, mounts->n), span_of(st->path), &on);
    pack_map(p,
        seen ? 16 + (seen->oldest_s > 0) + (seen->keeps_s > 0) + (seen->full_s > 0) + (seen->ahead_s > 0) +
                (seen->index_path != NULL)
             : 5);
    pack_kv_text(p, "name", st->name);
    pack_kv_text(p, "path", st->path);
    pack_kv_text(p, "mount", on.path);
    pack_kv_text(p, "fs", on.fs);
    pack_kv_text(p, "state", seen && seen->state[0] ? seen->state : "unknown");
    if (!seen) return true;
    pack_kv_i64(p, "errno", seen->err);
    pack_kv_u64(p, "total", seen->total);
    pack_kv_u64(p, "free", seen->free);
    pack_kv_u64(p, "files", seen->files);
    pack_kv_u64(p, "files_free", seen->files_free);
    pack_kv_text(p, "uuid", seen->uuid);
    pack_kv_u64(p, "floor", seen->floor);
    pack_kv_u64(p, "footage", seen->footage);
    pack_kv_u64(p, "rate_bps", seen->rate * 8);
    pack_kv_u64(p, "locked", seen->held);
    pack_kv_u64(p, "spare", seen->spare);
    if (seen->oldest_s > 0) pack_kv_i64(p, "oldest_s", seen->oldest_s);
    if (seen->keeps_s > 0) pack_kv_i64(p, "keeps_s", seen->keeps_s);
    if (seen->full_s > 0) pack_kv_i64(p, "full_s", seen->full_s);
    if (seen->ahead_s > 0) pack_kv_i64(p, "clock_ahead_s", seen->ahead_s);
    if (seen->index_path) pack_kv_text(p, "index", seen->index_path);
    return true;
}

static int run_storage_clock(struct session *s)
{
    if (!conf_storage(s->m->conf, span_of(s->args[0]))) return not_found(s, "storage");
    return control_ask_keeper(s);
}

static int run_storage_init(struct session *s)
{
    struct channel *keeper = services_channel(s->m, SERVICE_KEEPER);
    struct packer *p;

    if (!conf_storage(s->m->conf, span_of(s->args[0]))) return not_found(s, "storage");
    if (!keeper) {
        span_copy(SPAN_LIT("the keeper is not running"), s->text, sizeof(s->text));
        return CTL_FAILED;
    }
    log_note("storage-init", "storage=%s by=msctl", log_q(span_of(s->args[0])));
    p = channel_begin(keeper, MSG_STORAGE_INIT, 1);
    pack_kv_text(p, "name", s->args[0]);
    channel_end(keeper, NULL, 0);
    return CTL_OK;
}

/* --- key show --- */

static int run_key(struct session *s)
{
    if (!s->m->key.why[0]) return CTL_OK;
    snprintf(s->text, sizeof(s->text),
        "the node's key cannot be used: %.256s/%s (read when the server started)",
        s->m->conf->server.state_dir, s->m->key.why);
    return CTL_FAILED;
}

static bool row_key(struct session *s, struct packer *p)
{
    char file[PATHS_MAX + sizeof(NODE_KEY_FILE)];

    if (s->at++ > 0) return false;
    snprintf(file, sizeof(file), "%s/%s", s->m->conf->server.state_dir, NODE_KEY_FILE);
    pack_map(p, 3);
    pack_kv_text(p, "fingerprint", s->m->key.print);
    pack_kv_text(p, "public", s->m->key.pem);
    pack_kv_text(p, "file", file);
    return true;
}

/* --- log-level N --- */

static int run_log_level(struct session *s)
{
    uint64_t level;

    if (!span_u64(span_of(s->args[0]), LOG_DEBUG, &level) || level < LOG_ERROR) {
        span_copy(SPAN_LIT("a level is 3 (error) to 7 (debug)"), s->text, sizeof(s->text));
        return CTL_USAGE;
    }
    master_log_level(s->m, (int)level);
    return CTL_OK;
}

/* --- archive ... UID FROM TO --- */

/* Times go to the keeper as microseconds. */
static int take_range(struct session *s)
{
    int64_t at_s;
    usec_t at_us;

    for (size_t i = 1; i <= 2; i++) {
        if (!value_time(span_of(s->args[i]), &at_s) || at_s > INT64_MAX / US_PER_S) {
            snprintf(s->text, sizeof(s->text),
                "%.64s is no time: unix seconds, 2026-01-31 or 2026-01-31T12:00:00Z", s->args[i]);
            return CTL_USAGE;
        }
        at_us = at_s * US_PER_S;
        snprintf(s->args[i], sizeof(s->args[i]), "%lld", (long long)at_us);
    }
    return CTL_OK;
}

static int run_delete(struct session *s)
{
    int code = take_range(s);

    return code == CTL_OK ? singular_run(s, ACT_DELETE) : code;
}

static int run_lock(struct session *s)
{
    int code = take_range(s);

    return code == CTL_OK ? singular_run(s, ACT_LOCK) : code;
}

static int run_unlock(struct session *s)
{
    return singular_run(s, ACT_UNLOCK);
}

/* Behind the keeper's ranges: the segment that is being written, which only its worker knows. */
static bool row_open_range(struct session *s, struct packer *p)
{
    const struct stream *st = fleet_stream(s->m, span_of(s->args[0]));
    const struct ring_status *now = st ? st->ring.now.status : NULL;
    int64_t from_us, to_us;

    if (s->at++ > 0 || !now || atomic_load(&now->rec_segment) == 0 ||
        !span_i64(span_of(s->args[1]), &from_us) || !span_i64(span_of(s->args[2]), &to_us))
        return false;
    from_us = MAX(from_us, atomic_load(&now->rec_start_us));
    to_us = MIN(to_us, atomic_load(&now->rec_end_us));
    if (to_us <= from_us) return false;
    pack_map(p, 2);
    pack_kv_i64(p, "from_us", from_us);
    pack_kv_i64(p, "to_us", to_us);
    return true;
}

const struct command commands[] = {
    {"status", 0, 0, run_nothing, row_status},
    {"streams", 0, 1, run_streams, row_streams},
    {"restart", 1, 1, run_restart, NULL},
    {"logs", 0, 1, run_logs, row_logs},
    {"reload", 0, 0, run_reload, row_remarks},
    {"storage list", 0, 0, run_storages, row_storages},
    {"storage init", 1, 1, run_storage_init, NULL},
    {"storage clock", 1, 1, run_storage_clock, NULL},
    {"key show", 0, 0, run_key, row_key},
    {"log-level", 1, 1, run_log_level, NULL},
    /* the keeper's, in archive/ask.h */
    {"archive list", 0, 1, control_ask_keeper, NULL},
    {"archive plan", 0, 1, control_ask_keeper, NULL},
    {"archive delete", 3, 3, run_delete, NULL},
    {"archive lock", 3, 4, run_lock, NULL},
    {"archive unlock", 2, 2, run_unlock, NULL},
    {"archive locks", 0, 1, control_ask_keeper, NULL},
    {"archive reread", 3, 4, control_ask_keeper, NULL},
    {"archive restore", 1, 2, control_ask_keeper, NULL},
    {"archive vacuum", 0, 3, control_ask_keeper, NULL},
    {"archive ranges", 3, 3, control_ask_keeper, row_open_range},
    {"archive segments", 4, 4, control_ask_keeper, NULL},
};
const size_t n_commands = ARRAY_N(commands);
