/* What httpd asks for the API and msctl may too: the commands "api ..." of common/ipc/ctl.h. */
#include "common/conf/value.h"
#include "common/wire/url.h"
#include "master/master.h"

static uint64_t relaxed(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

/* As it stands in the configuration: what a stream is, not how it does (that is `streams`). */
static void pack_settings(const struct conf_stream *c, struct packer *p)
{
    char masked[URL_MAX];

    pack_kv_text(p, "uid", c->uid);
    pack_kv_text(p, "name", c->name);
    pack_kv_text(p, "camera_uid", c->camera_uid);
    pack_kv_bool(p, "enabled", c->enable != CONF_DISABLED);
    pack_kv_text(p, "access", conf_access_word(c->access));
    pack_kv_text(p, "whitelist", c->whitelist.text);
    pack_kv_bool(p, "video", c->tracks & CONF_TRACK_VIDEO);
    pack_kv_bool(p, "audio", c->tracks & CONF_TRACK_AUDIO);
    pack_kv_bool(p, "dvr", c->record);
    pack_kv_text(p, "dvr_mode", conf_dvr_mode_word(c->dvr_mode));
    pack_kv_text(p, "archive", c->dvr_archive.text);
    pack_kv_i64(p, "duration_s", c->dvr_duration_us / US_PER_S);
    pack_kv_i64(p, "chunk_s", c->dvr_chunk_us / US_PER_S);
    pack_kv_text(p, "file", c->file);
    pack_kv_text(p, "url", url_masked(secret_reveal(&c->url), masked, sizeof(masked)));
}
#define SETTINGS 15

static void pack_now(const struct stream *s, struct packer *p)
{
    const struct ring_status *st = s->ring.now.status;

    pack_kv_text(p, "state", ring_state_word(s->state));
    pack_kv_text(p, "reason", s->reason);
    pack_kv_i64(p, "since_s", s->since_us / US_PER_S);
    pack_kv_u64(p, "viewers", stream_ring_viewers(&s->ring));
    pack_kv_u64(p, "bitrate_bps", st ? atomic_load_explicit(&st->bitrate_in, memory_order_relaxed) : 0);
    pack_kv_u64(p, "connects", st ? relaxed(&st->connects) : 0);
    pack_kv_u64(p, "reconnects", st ? relaxed(&st->reconnects) : 0);
    pack_kv_bool(p, "recording", st && atomic_load(&st->record_state) == RECORD_ON);
    pack_kv_bool(p, "paused", st && atomic_load(&st->record_state) == RECORD_PAUSED);
}
#define NOW 9

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
    pack_map(p, SETTINGS + NOW);
    pack_settings(st->conf, p);
    pack_now(st, p);
    return true;
}

const struct command commands_api[] = {
    {"api streams", 0, 1, run_streams, row_streams},
};
const size_t n_commands_api = ARRAY_N(commands_api);
