#include "tests/camera/play.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "tests/camera/truth.h"

#define SR_EVERY_US  (5 * US_PER_S)
#define STRAY_EVERY  50
#define UNEVEN_OF_S  50 /* 20 ms */
#define UNEVEN_STEPS 7
#define LATE_US      (2 * US_PER_MS)
#define CATCH_UP_MAX 250 /* frames sent at once by a session that fell behind; the rest is skipped */

static void on_due(struct due *d, usec_t now_us);

static bool is_video(const struct play *p)
{
    return source_is_video(p->conn->stream->source[p->track]);
}

static bool is_audio(const struct play *p)
{
    return !is_video(p) && p->conn->stream->source[p->track]->codec != CODEC_ONVIF;
}

static usec_t due_us(const struct play *p, uint64_t n)
{
    return p->base_us + pack_due_us(p->pack, n) / p->conn->stream->k.fast;
}

/* T12 */
static int64_t bent_audio(const struct play *p, int64_t ticks, uint64_t n)
{
    int64_t form = p->conn->stream->k.audio_ts, span = p->pack->source->clock_hz / UNEVEN_OF_S;

    if (form == AUDIO_TS_ZERO) return 0;
    return form == AUDIO_TS_UNEVEN ? ticks + (int64_t)(n % UNEVEN_STEPS) * span / UNEVEN_STEPS : ticks;
}

static uint32_t ts_of(const struct play *p, uint64_t n)
{
    const struct knobs *k = &p->conn->stream->k;
    int64_t ticks = pack_ticks(p->pack, k->same_ts != 0 ? n & ~1ull : n);

    if (k->audio_ts != AUDIO_TS_NORMAL && !is_video(p)) ticks = bent_audio(p, ticks, n);
    if (k->drift != 0) ticks += ticks * k->drift / 1000000;
    if (k->ts_stray != 0 && is_video(p) && p->sent % STRAY_EVERY == STRAY_EVERY - 1) ticks += k->ts_stray;
    return (uint32_t)(uint64_t)(p->ts0 + ticks);
}

uint32_t play_first_ts(const struct play *p)
{
    return ts_of(p, p->n);
}

void play_reset_track(struct play *p)
{
    const struct knobs *k = &p->conn->stream->k;

    p->pack = stream_pack(p->conn->stream, p->track);
    p->version = p->conn->stream->version;
    p->seq = (uint16_t)(k->seq_start < 0 ? rng_u32() : (uint32_t)k->seq_start);
    p->ssrc = k->ssrc < 0 ? rng_u32() : (uint32_t)k->ssrc;
    p->ts0 = k->ts_start < 0 ? rng_u32() : k->ts_start;
    p->sent = p->packets = p->octets = 0;
}

/* First frame that is not yet due at that time. */
static uint64_t frame_after(const struct play *p, usec_t at_us)
{
    usec_t loop_us = pack_due_us(p->pack, p->pack->n_frames) / p->conn->stream->k.fast;
    uint64_t n = at_us <= p->base_us ? 0 : (uint64_t)((at_us - p->base_us) / loop_us) * p->pack->n_frames;

    while (due_us(p, n) < at_us) n++;
    return n;
}

static uint64_t key_after(const struct play *p, uint64_t n)
{
    for (size_t i = 0; i < p->pack->n_frames; i++)
        if (p->pack->frames[(n + i) % p->pack->n_frames].key) return n + i;
    return n;
}

/* Where the tracks begin: all with the file, or with the stream's running clock, audio not before the video.
 */
static void find_start(struct conn *c, usec_t now_us)
{
    struct stream *s = c->stream;
    usec_t from_us = now_us + s->k.slow_start * US_PER_MS;
    usec_t frame_us = pack_due_us(stream_pack(s, 0), 1);
    usec_t phase_us = ((s->epoch_us - from_us) % frame_us + frame_us) % frame_us;

    for (unsigned t = 0; t < s->n_tracks; t++) {
        struct play *p = &c->play[t];
        if (!p->set_up) continue;
        p->base_us = s->k.start == START_IDR ? from_us + phase_us - s->k.burst * US_PER_MS : s->epoch_us;
        p->n = s->k.start == START_IDR ? 0 : frame_after(p, from_us);
        if (s->k.start != START_KEY) continue;
        p->n = key_after(p, p->n);
        if (is_video(p)) from_us = MAX(from_us, due_us(p, p->n));
    }
}

void play_begin(struct conn *c, usec_t now_us)
{
    struct stream *s = c->stream;

    find_start(c, now_us);
    c->playing = true;
    if (s->playing_since_us == 0) s->playing_since_us = now_us;
    for (unsigned t = 0; t < s->n_tracks; t++) {
        struct play *p = &c->play[t];
        if (!p->set_up) continue;
        p->next_sr_us = 0;
        due_set(&p->due, due_us(p, p->n), on_due);
    }
}

void play_pause(struct conn *c)
{
    c->playing = false;
    for (unsigned t = 0; t < STREAM_TRACKS; t++) due_cancel(&c->play[t].due);
}

void play_end(struct conn *c)
{
    play_pause(c);
    for (unsigned t = 0; t < STREAM_TRACKS; t++) {
        struct play *p = &c->play[t];
        watch_stop(&p->rtp);
        watch_stop(&p->rtcp);
        p->set_up = false;
    }
    if (c->session[0] != '\0') stream_session_closed(c->stream);
    c->session[0] = '\0';
}

static void refresh_pack(struct play *p)
{
    if (p->version == p->conn->stream->version) return;
    const struct pack *now = stream_pack(p->conn->stream, p->track);

    if (now->n_frames == p->pack->n_frames) p->pack = now;
    p->version = p->conn->stream->version;
}

static void send_one(struct play *p)
{
    struct conn *c = p->conn;
    struct stream *s = c->stream;
    const struct pack_frame *f = &p->pack->frames[p->n % p->pack->n_frames];
    const struct pack *pack = p->pack;

    if (s->k.sets == SETS_FIRST && p->sent == 0) {
        struct pack_opts o = pack->opts;
        o.params = PARAMS_AS_IS;
        pack = pack_get(pack->source, &o);
        f = &pack->frames[p->n % pack->n_frames];
    }
    uint32_t ts = ts_of(p, p->n);
    truth_sent(s, p->track, f->au, p->n, ts);
    wire_frame(p, pack, f, ts);
    p->sent++;
}

void play_document(struct play *p, const char *path)
{
    const struct pack *pack = pack_get(source_load(path, 1000), &p->pack->opts);

    wire_frame(p, pack, &pack->frames[0], ts_of(p, p->n) - 1);
}

static void on_due(struct due *d, usec_t now_us)
{
    struct play *p = CONTAINER(d, struct play, due);
    struct conn *c = p->conn;
    struct stream *s = c->stream;
    usec_t late_us = clock_mono_us() - d->at_us;
    unsigned sent = 0;

    if (late_us > LATE_US) s->late_max_us = (uint32_t)MAX(s->late_max_us, CLAMP(late_us, 0, UINT32_MAX));
    refresh_pack(p);
    while (!c->closed && c->playing && due_us(p, p->n) <= now_us + LATE_US / 2) {
        bool frozen = s->k.freeze != 0 || (s->k.freeze_video != 0 && is_video(p)) ||
            (s->k.freeze_audio != 0 && is_audio(p)) || sent++ >= CATCH_UP_MAX;
        if (!frozen) send_one(p);
        p->n++;
    }
    if (c->closed || !c->playing) return;
    if (now_us >= p->next_sr_us && s->k.freeze == 0 && p->sent > 0) {
        p->next_sr_us = now_us + SR_EVERY_US;
        play_send_report(p, now_us);
    }
    if (!c->closed) due_set(&p->due, due_us(p, p->n), on_due);
}
