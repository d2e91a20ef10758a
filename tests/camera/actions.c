/* Things done once, on demand, to every session of a stream. */
#include <stdio.h>
#include <string.h>

#include "common/base/rng.h"
#include "tests/camera/play.h"

#define GARBAGE_MOST 65536
#define RNG_PIECE    256 /* most of rng_bytes */

struct occasion {
    struct conn *c;
    int64_t v;
    struct span text;
};

static void do_close(struct occasion *o)
{
    conn_close(o->c);
}
static void do_reset(struct occasion *o)
{
    conn_reset(o->c);
}

static void each_track(struct conn *c, void (*fn)(struct play *p, int64_t v), int64_t v)
{
    for (unsigned t = 0; t < STREAM_TRACKS; t++)
        if (c->play[t].set_up) fn(&c->play[t], v);
}

static void jump_ts(struct play *p, int64_t v)
{
    p->ts0 += v;
}
static void zero_ts(struct play *p, int64_t v)
{
    (void)v;
    p->ts0 = -pack_ticks(p->pack, p->n);
}
static void jump_seq(struct play *p, int64_t v)
{
    p->seq = (uint16_t)(p->seq + v);
}
static void change_ssrc(struct play *p, int64_t v)
{
    (void)v;
    p->ssrc = rng_u32();
}
/* K15: the encoder starts anew: SSRC, sequence and time. */
static void restart(struct play *p, int64_t v)
{
    (void)v;
    p->ssrc = rng_u32();
    p->seq = (uint16_t)rng_u32();
    p->ts0 = rng_u32();
}
static void bye(struct play *p, int64_t v)
{
    (void)v;
    play_send_bye(p);
}

static void do_ts_jump(struct occasion *o)
{
    each_track(o->c, jump_ts, o->v);
}
static void do_ts_zero(struct occasion *o)
{
    each_track(o->c, zero_ts, 0);
}
static void do_seq_jump(struct occasion *o)
{
    each_track(o->c, jump_seq, o->v);
}
static void do_ssrc(struct occasion *o)
{
    each_track(o->c, change_ssrc, 0);
}
static void do_restart(struct occasion *o)
{
    each_track(o->c, restart, 0);
}
static void do_bye(struct occasion *o)
{
    each_track(o->c, bye, 0);
}

static void do_garbage(struct occasion *o)
{
    uint8_t junk[256]; /* as much as rng_bytes gives */
    size_t left = (size_t)CLAMP(o->v, 1, GARBAGE_MOST);

    while (left > 0) {
        size_t n = MIN(left, sizeof junk);
        rng_bytes(junk, n);
        conn_write(o->c, span(junk, n));
        left -= n;
    }
}

/* U6, U7: the next request is answered 401, a keep-alive in the middle of playing too. */
static void do_nonce(struct occasion *o)
{
    o->c->nonce[0] = '\0';
}

static void do_expire(struct occasion *o)
{
    o->c->stream->c.sessions_expired++;
    conn_close(o->c);
}

/* C9: a request from the camera; the text is method and further headers, separated by '|'. */
static void do_request(struct occasion *o)
{
    struct buf b;
    struct span rest = o->text, part;

    buf_init(&b, 65536);
    if (!span_split(&rest, '|', &part) || part.n == 0) part = SPAN_LIT("OPTIONS");
    buf_fmt(&b, "%.*s rtsp://127.0.0.1/%s RTSP/1.0\r\nCSeq: %u\r\n", SPAN_FMT(part), o->c->stream->name,
        ++o->c->next_cseq);
    if (o->c->session[0] != '\0') buf_fmt(&b, "Session: %s\r\n", o->c->session);
    while (span_split(&rest, '|', &part)) buf_fmt(&b, "%.*s\r\n", SPAN_FMT(part));
    buf_text(&b, "\r\n");
    conn_write(o->c, buf_span(&b));
    buf_done(&b);
}

/* An ONVIF document, on the metadata track. */
static void do_document(struct occasion *o)
{
    char path[1024];

    span_copy(o->text, path, sizeof path);
    for (unsigned t = 0; t < STREAM_TRACKS; t++)
        if (o->c->play[t].set_up && o->c->stream->source[t]->codec == CODEC_ONVIF)
            play_document(&o->c->play[t], path);
}

static const struct action {
    const char *name;
    void (*fn)(struct occasion *o);
    bool number;
    const char *help;
} actions[] = {
    {"close", do_close, false, "closes the connections"},
    {"rst", do_reset, false, "resets the connections"},
    {"nonce", do_nonce, false, "the nonce is no longer good (U6, U7)"},
    {"expire", do_expire, false, "ends the sessions as if they had timed out"},
    {"ts-jump", do_ts_jump, true, "adds ticks to the RTP time (T5)"},
    {"ts-zero", do_ts_zero, false, "RTP time goes on from 0 (T5)"},
    {"seq-jump", do_seq_jump, true, "adds to the sequence number (T4)"},
    {"ssrc", do_ssrc, false, "another SSRC (T6)"},
    {"restart", do_restart, false, "another SSRC, sequence number and time (K15)"},
    {"bye", do_bye, false, "RTCP BYE (T17)"},
    {"garbage", do_garbage, true, "so many random bytes (C8)"},
    {"document", do_document, false, "sends the file on the metadata track"},
    {"request", do_request, false, "sends a request: METHOD|Header: value (C9)"},
};

const char *play_do(struct stream *s, struct span name, struct span arg)
{
    struct occasion o = {.text = arg};
    const struct action *a = NULL;

    for (size_t i = 0; i < ARRAY_N(actions) && a == NULL; i++)
        if (span_is(name, actions[i].name)) a = &actions[i];
    if (a == NULL) return "unknown action";
    if (a->number && !span_i64(arg, &o.v)) return "needs a number";
    LIST_EACH(conns(), link)
    {
        o.c = LIST_ITEM(link, struct conn, link);
        if (o.c->stream != s || o.c->closed) continue;
        if (o.c->session[0] != '\0') s->c.sessions_cut += a->fn == do_close || a->fn == do_reset;
        a->fn(&o);
    }
    return NULL;
}

void play_actions_help(void)
{
    for (size_t i = 0; i < ARRAY_N(actions); i++) printf("  %-12s %s\n", actions[i].name, actions[i].help);
}
