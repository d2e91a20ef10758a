#include "master/probe.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/conf/edit.h"
#include "common/wire/url.h"
#include "master/master.h"

struct probe {
    struct master *m;
    struct stream *s;
    struct conf *conf; /* what holds its settings */
    usec_t begun_us, first_us, watch_us;
};

/* As if a file of its own stood among the others: read by the same rules. */
static int configure(
    struct master *m, const char *uid, const struct probe_order *o, struct conf **ret, struct conf_report *r)
{
    char path[4096], *url = span_dup(o->url);
    const struct conf_set set[] = {{"stream-url", url, NULL}, {"stream-transport", o->transport, NULL},
        {"stream-access", "none", NULL}, {"stream-tracks", "video, audio", NULL}, {"dvr-mode", "off", NULL},
        {"reconnect-timeout", "1s", NULL}};
    struct buf text;
    size_t at;
    int err = -1;

    buf_init(&text, 1u << 16);
    if (conf_stream_path(m->conf, span_of(uid), path, sizeof(path)) &&
        conf_edit(SPAN_NONE, span_of(uid), set, ARRAY_N(set), &text, &at) == CONF_EDIT_OK) {
        const struct conf_draft draft = {path, buf_span(&text)};

        err = conf_load_as(m->file, &draft, 1, ret, r);
    }
    buf_done(&text);
    mem_free(url);
    return err;
}

/* What is wrong with the URL, by the mistake of the probe's own stream. */
static void say_mistake(const struct conf_report *r, const char *uid, char *why)
{
    snprintf(why, PROBE_TEXT_MAX, "this URL cannot be used");
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].level == CONF_MISTAKE && span_starts(span_of(r->v[i].key), span_of(uid)))
            snprintf(why, PROBE_TEXT_MAX, "%.400s", r->v[i].text);
}

struct probe *probe_new(struct master *m, const struct probe_order *order, char *why, bool *busy)
{
    struct conf_report r = {0};
    struct conf *conf = NULL;
    struct probe *x = NULL;
    char uid[32];
    int err;

    *busy = m->probes >= PROBE_MOST;
    if (*busy) {
        snprintf(why, PROBE_TEXT_MAX, "other cameras are being tried");
        return NULL;
    }
    snprintf(uid, sizeof(uid), "probe-%08x", rng_u32());
    err = configure(m, uid, order, &conf, &r);
    if (err == 0 && conf_stream(conf, span_of(uid)) && !conf_stream(conf, span_of(uid))->unready) {
        x = NEW(struct probe);
        x->m = m;
        x->conf = conf;
        x->watch_us = order->watch_us;
        x->begun_us = clock_mono_us();
        x->s = fleet_probe(m, conf_stream(conf, span_of(uid)));
        m->probes++;
    } else {
        say_mistake(&r, uid, why);
        if (err == 0 && conf_stream(conf, span_of(uid)) && conf_stream(conf, span_of(uid))->unready)
            snprintf(why, PROBE_TEXT_MAX, "%s", conf_stream(conf, span_of(uid))->unready);
        conf_free(conf);
    }
    conf_report_done(&r);
    return x;
}

void probe_free(struct probe *x)
{
    if (!x) return;
    x->m->probes--;
    fleet_probe_end(x->s);
    conf_free(x->conf);
    mem_free(x);
}

static uint64_t counter(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

bool probe_over(struct probe *x)
{
    const struct ring_status *st = x->s->ring.now.status;
    usec_t now_us = clock_mono_us();

    if (x->first_us == 0 && st && counter(&st->frames_in) > 0) x->first_us = now_us;
    if (x->first_us != 0 && now_us - x->first_us >= x->watch_us) return true;
    return past_over_us(x->s->past) != 0 || now_us - x->begun_us >= PROBE_US;
}

static const char *codec_of(const _Atomic uint32_t *v)
{
    uint32_t is = atomic_load_explicit(v, memory_order_relaxed);

    return is == CODEC_NONE ? "" : codec_name((enum codec)is);
}

static bool first_row(struct probe *x, struct packer *p)
{
    static const struct ring_status nothing;
    const struct ring_status *st = x->s->ring.now.status ? x->s->ring.now.status : &nothing;
    usec_t watched_us = x->first_us ? clock_mono_us() - x->first_us : 0;
    char peer[RING_REASON_MAX];

    ring_status_get_text(st, st->source, sizeof(st->source), peer, sizeof(peer));
    pack_map(p, 14);
    pack_kv_text(p, "kind", "probe");
    pack_kv_bool(p, "ok", st->last_key_us != 0);
    pack_kv_text(p, "state", ring_state_word(x->s->state));
    pack_kv_text(p, "reason", x->s->reason);
    pack_kv_text(p, "peer", peer);
    pack_kv_text(p, "codec", codec_of(&st->video));
    pack_kv_text(p, "audio", codec_of(&st->audio));
    pack_kv_u64(p, "width", atomic_load_explicit(&st->width, memory_order_relaxed));
    pack_kv_u64(p, "height", atomic_load_explicit(&st->height, memory_order_relaxed));
    pack_kv_u64(p, "frames", counter(&st->frames_in));
    pack_kv_u64(p, "losses", counter(&st->packets_lost));
    pack_kv_u64(p, "gop_frames", atomic_load_explicit(&st->gop_frames, memory_order_relaxed));
    pack_kv_f64(p, "gop_seconds", atomic_load_explicit(&st->gop_ms, memory_order_relaxed) / 1000.0);
    pack_kv_u64(p, "bitrate",
        watched_us > US_PER_S / 2 ? counter(&st->bytes_in) * 8 * US_PER_S / (uint64_t)watched_us : 0);
    return true;
}

bool probe_row(struct probe *x, size_t at, struct packer *p)
{
    return at == 0 ? first_row(x, p) : past_row(x->s->past, at - 1, p);
}
