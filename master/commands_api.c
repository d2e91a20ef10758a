/* What httpd asks for the API and msctl may too: the commands "api ..." of common/ipc/ctl.h that are about
 * streams. */
#include "common/conf/value.h"
#include "common/wire/url.h"
#include "master/master.h"

static uint64_t relaxed(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

/* --- api streams [UID] --- */

/* As it stands in the configuration. */
#define SETTINGS 13
static void pack_settings(const struct conf_stream *c, struct packer *p)
{
    char masked[URL_MAX], tracks[CONF_SET_MAX], proto[CONF_SET_MAX];

    pack_kv_text(p, "uid", c->uid);
    pack_kv_text(p, "name", c->name);
    pack_kv_text(p, "camera_uid", c->camera_uid);
    pack_kv_text(p, "profile", c->profile == CONF_PROFILE_SUB ? "sub" : "main");
    pack_kv_bool(p, "enabled", c->enable != CONF_DISABLED);
    pack_kv_bool(p, "on_demand", c->enable == CONF_ON_DEMAND);
    pack_kv_text(p, "access", conf_access_word(c->access));
    pack_kv_text(p, "tracks", conf_tracks_text(c->tracks, tracks));
    pack_kv_text(p, "proto", conf_proto_text(c->proto, proto));
    pack_kv_bool(p, "dvr", c->record);
    pack_kv_text(p, "dvr_mode", conf_dvr_mode_word(c->dvr_mode));
    pack_kv_text(p, "archive", c->dvr_archive.text);
    pack_kv_text(p, "source", url_masked(secret_reveal(&c->url), masked, sizeof(masked)));
}

#define NOW 10
static void pack_now(const struct stream *s, struct packer *p)
{
    const char *record = stream_record_word(s);
    char why[STREAM_WHY_MAX];

    pack_kv_text(p, "state", ring_state_word(s->state));
    pack_kv_text(p, "reason", s->reason);
    pack_kv_i64(p, "since", s->since_us / US_PER_S);
    pack_kv_u64(p, "viewers", stream_ring_viewers(&s->ring));
    pack_kv_text(p, "record", record);
    pack_kv_text(p, "record_reason", stream_record_reason(s, record, why));
    pack_kv_bool(p, "paused", record_is_paused(s, clock_wall_us()));
    pack_kv_u64(p, "restarts", s->proc.restarts);
    pack_kv_u64(p, "memory", proc_runs(&s->proc) ? s->usage.rss : 0);
    pack_kv_f64(p, "cpu", proc_runs(&s->proc) ? s->usage_share : 0);
}

static const char *codec_word(const _Atomic uint32_t *v)
{
    uint32_t is = atomic_load_explicit(v, memory_order_relaxed);

    return is == CODEC_NONE ? "" : codec_name((enum codec)is);
}

/* As its worker tells: zeroes where none has been yet. */
#define MEASURED 13
static void pack_measured(const struct stream *s, struct packer *p)
{
    static const struct ring_status nothing;
    const struct ring_status *st = s->ring.now.status ? s->ring.now.status : &nothing;
    char storage[sizeof(st->rec_storage)];

    ring_status_get_text(st, st->rec_storage, sizeof(st->rec_storage), storage, sizeof(storage));
    pack_kv_text(p, "storage", storage);
    pack_kv_f64(p, "ping", (double)past_ping_us(s->past) / US_PER_S);
    pack_kv_u64(p, "bitrate", atomic_load_explicit(&st->bitrate_in, memory_order_relaxed));
    pack_kv_text(p, "codec", codec_word(&st->video));
    pack_kv_text(p, "audio", codec_word(&st->audio));
    pack_kv_u64(p, "width", atomic_load_explicit(&st->width, memory_order_relaxed));
    pack_kv_u64(p, "height", atomic_load_explicit(&st->height, memory_order_relaxed));
    pack_kv_i64(p, "last_frame", atomic_load(&st->last_frame_us) / US_PER_S);
    pack_kv_u64(p, "frames", relaxed(&st->frames_in));
    pack_kv_u64(p, "losses", relaxed(&st->packets_lost));
    pack_kv_u64(p, "repairs", relaxed(&st->ts_repairs));
    pack_kv_u64(p, "connects", relaxed(&st->connects));
    pack_kv_u64(p, "reconnects", relaxed(&st->reconnects));
}

static int run_streams(struct session *s)
{
    if (s->n_args == 0 || fleet_stream(s->m, span_of(s->args[0]))) return CTL_OK;
    snprintf(s->text, sizeof(s->text), "no such stream");
    return CTL_NOT_FOUND;
}

static const struct stream *next(struct session *s)
{
    const struct conf_stream *c;

    if (s->n_args == 1) return s->at++ == 0 ? fleet_stream(s->m, span_of(s->args[0])) : NULL;
    c = control_next_stream(s);
    return c ? fleet_stream(s->m, span_of(c->uid)) : NULL;
}

static bool row_streams(struct session *s, struct packer *p)
{
    const struct stream *st = next(s);

    if (!st) return false;
    span_copy(span_of(st->uid), s->last, sizeof(s->last));
    pack_map(p, SETTINGS + NOW + MEASURED);
    pack_settings(st->conf, p);
    pack_now(st, p);
    pack_measured(st, p);
    return true;
}

/* --- api stream UID: what one stream's page shows beside that --- */

static void pack_faults(const struct ring_status *st, struct packer *p)
{
    pack_map(p, FAULTS);
    for (int i = 0; i < FAULTS; i++)
        pack_kv_u64(p, ring_fault_word((enum ring_fault)i), relaxed(&st->faults[i]));
}

static void pack_ends(const struct ring_status *st, struct packer *p)
{
    pack_map(p, ENDS);
    for (int i = 0; i < ENDS; i++) pack_kv_u64(p, ring_end_word((enum ring_end)i), relaxed(&st->ends[i]));
}

static void pack_counters(const struct ring_status *st, struct packer *p)
{
    pack_map(p, 12);
    pack_kv_u64(p, "bytes", relaxed(&st->bytes_in));
    pack_kv_u64(p, "frames", relaxed(&st->frames_in));
    pack_kv_u64(p, "damaged", relaxed(&st->frames_damaged));
    pack_kv_u64(p, "dropped", relaxed(&st->frames_dropped));
    pack_kv_u64(p, "packets", relaxed(&st->packets_in));
    pack_kv_u64(p, "lost", relaxed(&st->packets_lost));
    pack_kv_u64(p, "reordered", relaxed(&st->packets_reordered));
    pack_kv_u64(p, "repairs", relaxed(&st->ts_repairs));
    pack_kv_u64(p, "recorded_bytes", relaxed(&st->recorded_bytes));
    pack_kv_f64(p, "recorded_seconds", (double)relaxed(&st->recorded_us) / US_PER_S);
    pack_key(p, "faults");
    pack_faults(st, p);
    pack_key(p, "ends");
    pack_ends(st, p);
}

static void pack_text_of(
    const struct ring_status *st, struct packer *p, const char *key, const char *field, size_t cap)
{
    char text[RING_REASON_MAX];

    ring_status_get_text(st, field, cap, text, sizeof(text));
    pack_kv_text(p, key, text);
}

static void pack_recording(const struct stream *s, const struct ring_status *st, struct packer *p)
{
    bool open = relaxed(&st->rec_segment) != 0;

    pack_map(p, open ? 5 : 2);
    pack_kv_i64(p, "duration", s->conf->dvr_duration_us / US_PER_S);
    pack_kv_i64(p, "chunk", s->conf->dvr_chunk_us / US_PER_S);
    if (!open) return;
    pack_text_of(st, p, "path", st->rec_path, sizeof(st->rec_path));
    pack_kv_i64(p, "from", atomic_load(&st->rec_start_us) / US_PER_S);
    pack_kv_u64(p, "bytes", relaxed(&st->rec_bytes));
}

static void pack_one(const struct stream *s, struct packer *p)
{
    static const struct ring_status nothing;
    const struct ring_status *st = s->ring.now.status ? s->ring.now.status : &nothing;

    pack_map(p, 13);
    pack_kv_text(p, "kind", "stream");
    pack_kv_text(p, "file", s->conf->file);
    pack_kv_text(p, "whitelist", s->conf->whitelist.text);
    pack_kv_i64(p, "limit", s->conf->limit);
    pack_kv_u64(p, "pid", proc_runs(&s->proc) ? (uint64_t)s->proc.pid : 0);
    pack_text_of(st, p, "peer", st->source, sizeof(st->source));
    pack_kv_i64(p, "last_key", atomic_load(&st->last_key_us) / US_PER_S);
    pack_kv_u64(p, "gop_frames", atomic_load_explicit(&st->gop_frames, memory_order_relaxed));
    pack_kv_f64(p, "gop_seconds", atomic_load_explicit(&st->gop_ms, memory_order_relaxed) / 1000.0);
    pack_kv_bool(p, "clock_known", atomic_load_explicit(&st->clock_known, memory_order_relaxed) != 0);
    pack_kv_f64(p, "clock_offset", (double)atomic_load(&st->clock_offset_us) / US_PER_S);
    pack_key(p, "counters");
    pack_counters(st, p);
    pack_key(p, "recording");
    pack_recording(s, st, p);
}

/* The stream, then what past.h keeps of it. */
static bool row_one(struct session *s, struct packer *p)
{
    const struct stream *st = fleet_stream(s->m, span_of(s->args[0]));

    if (!st) return false;
    if (s->at > 0) return past_row(st->past, s->at++ - 1, p);
    s->at++;
    pack_one(st, p);
    return true;
}

/* --- api probe URL TRANSPORT SECONDS [UID]: with UID its own camera, and URL is not read --- */

#define PROBE_LOOK_US (100 * US_PER_MS)
#define PROBE_WATCH_S 8 /* at most */

static void probe_done(void *data)
{
    probe_free(data);
}

static void look_at_probe(struct loop_timer *t)
{
    struct session *s = t->arg;

    if (!probe_over(s->data)) {
        loop_timer_set(s->m->loop, &s->timer, PROBE_LOOK_US, look_at_probe, s);
        return;
    }
    s->code = CTL_OK;
    control_answer(s);
}

static int run_probe(struct session *s)
{
    const struct stream *st = s->n_args > 3 ? fleet_stream(s->m, span_of(s->args[3])) : NULL;
    struct probe_order order = {.url = span_of(s->args[0]), .transport = s->args[1]};
    char why[PROBE_TEXT_MAX] = "";
    uint64_t seconds;
    bool busy;

    if (s->n_args > 3 && !st) {
        snprintf(s->text, sizeof(s->text), "no such stream");
        return CTL_NOT_FOUND;
    }
    if (!span_u64(span_of(s->args[2]), PROBE_WATCH_S, &seconds)) {
        snprintf(s->text, sizeof(s->text), "at most %d seconds", PROBE_WATCH_S);
        return CTL_USAGE;
    }
    if (st) {
        order.url = secret_reveal(&st->conf->url);
        order.transport = conf_transport_word(st->conf->transport);
    }
    order.watch_us = (usec_t)seconds * US_PER_S;
    s->data = probe_new(s->m, &order, why, &busy);
    s->data_free = probe_done;
    if (!s->data) {
        snprintf(s->text, sizeof(s->text), "%.*s", CONTROL_TEXT_MAX - 1, why);
        return busy ? CTL_BUSY : CTL_USAGE;
    }
    loop_timer_set(s->m->loop, &s->timer, PROBE_LOOK_US, look_at_probe, s);
    return CONTROL_WAITS;
}

static bool row_probe(struct session *s, struct packer *p)
{
    return probe_row(s->data, s->at++, p);
}

const struct command commands_api[] = {
    {"api streams", 0, 1, run_streams, row_streams},
    {"api stream", 1, 1, run_streams, row_one},
    {"api probe", 3, 4, run_probe, row_probe},
};
const size_t n_commands_api = ARRAY_N(commands_api);
