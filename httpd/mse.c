#include "httpd/mse.h"
#include "httpd/bytes.h"
#include "httpd/text.h"
#include "common/base/mem.h"
#include "common/proto/websocket.h"
#include "common/wire/base64.h"

#define TEXT_MAX   (256u << 10)
#define CODECS_MAX 48

static const char *content_of(const struct track *t)
{
    return t->kind == TRACK_VIDEO ? "video" : t->kind == TRACK_AUDIO ? "audio" : "data";
}

const char *mse_name(const struct track_set *s, unsigned track, char *dst)
{
    unsigned n = 1;

    for (unsigned i = 0; i < track; i++) n += s->t[i].kind == s->t[track].kind;
    snprintf(dst, MSE_NAME_MAX, "%c%u", content_of(&s->t[track])[0], n);
    return dst;
}

static void write_stream(struct text *to, const struct track_set *s, unsigned i)
{
    const struct track *t = &s->t[i];
    char name[MSE_NAME_MAX], codec[CODECS_MAX];

    text_fmt(to, "%s{\"track_id\":\"%s\",\"content\":\"%s\",\"codec\":\"%s\"", i > 0 ? "," : "",
        mse_name(s, i, name), content_of(t), codec_rfc6381(t, codec, sizeof(codec)));
    if (t->kind == TRACK_VIDEO) text_fmt(to, ",\"width\":%u,\"height\":%u", t->width, t->height);
    text_put(to, "}");
}

static void write_track(struct text *to, const struct init *init, unsigned i, bool first)
{
    const struct track *t = &init->tracks.t[i];
    char codec[CODECS_MAX];
    struct buf b;
    struct wr w;

    buf_init(&b, INIT_MAX);
    if (!mp4_init_segment(&b, &init->tracks, 1u << i)) to->bad = true;
    text_fmt(to,
        "%s{\"id\":%u,\"content\":\"%s\",\"timescale\":%u,\"mime\":\"%s/mp4; "
        "codecs=\\\"%s\\\"\",\"payload\":\"",
        first ? "" : ",", i + 1, content_of(t), t->clock_hz, content_of(t),
        codec_rfc6381(t, codec, sizeof(codec)));
    w = wr_of(mem_new(BASE64_N(buf_n(&b)) + 1), BASE64_N(buf_n(&b)) + 1);
    base64_write(&w, buf_span(&b));
    text_bytes(to, wr_span(&w));
    text_put(to, "\"}");
    mem_free(w.p);
    buf_done(&b);
}

static void write_text(struct text *to, const struct init *init, unsigned mask)
{
    bool first = true;

    text_put(to, "{\"type\":\"mse_init_segment\",\"metadata\":{");
    if (init->video >= 0)
        text_fmt(to, "\"width\":%u,\"height\":%u,", init->tracks.t[init->video].width,
            init->tracks.t[init->video].height);
    text_put(to, "\"streams\":[");
    /* All of them: Flussonic's player takes a track's number for its place here. */
    for (unsigned i = 0; i < init->tracks.n; i++) write_stream(to, &init->tracks, i);
    text_put(to, "]},\"tracks\":[");
    for (unsigned i = 0; i < init->tracks.n; i++) {
        if (!(mask & 1u << i)) continue;
        write_track(to, init, i, first);
        first = false;
    }
    text_put(to, "]}");
}

struct chunk *mse_init_text(const struct init *init, unsigned mask)
{
    uint8_t head[WS_HEAD_MAX];
    struct chunk *c = NULL;
    struct text t;

    text_init(&t, TEXT_MAX);
    write_text(&t, init, mask);
    if (text_ok(&t)) {
        struct span s = text_span(&t);
        size_t n = ws_head(head, WS_TEXT, s.n);

        c = chunk_new(n + s.n);
        if (c) bytes_put(bytes_put(c->data, span(head, n)), s);
    }
    text_done(&t);
    return c;
}

/* The head of a frame of n bytes is so long. */
static size_t ws_head_n(size_t n)
{
    uint8_t head[WS_HEAD_MAX];

    return ws_head(head, WS_BINARY, n);
}

static usec_t wall_of(const struct fragment *f, const struct init *init, unsigned track)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->s[i].track == track)
            return f->wall_us + ticks_us((struct ticks){f->s[i].dts, init->tracks.t[track].clock_hz}) -
                f->start_us;
    return f->wall_us;
}

static void put_track(struct wr *w, const struct fragment *f, const struct init *init, uint8_t track)
{
    size_t payload, head = mp4_single_size(f->s, f->n, track, &payload), at = f->head_n;
    uint8_t ws[WS_HEAD_MAX];

    if (head == 0) return;
    wr_bytes(w, span(ws, ws_head(ws, WS_BINARY, head + payload)));
    mp4_single_head(w, (uint32_t)f->number, f->s, f->n, track, wall_of(f, init, track));
    for (size_t i = 0; i < f->n; at += f->s[i++].size)
        if (f->s[i].track == track) wr_bytes(w, span(f->c->data + at, f->s[i].size));
}

bool mse_form(struct fragment *f, const struct init *init)
{
    size_t n = 0;
    struct wr w;

    if (f->mse.c) return true;
    for (uint8_t t = 0; t < TRACK_MAX; t++) {
        size_t payload, head = mp4_single_size(f->s, f->n, t, &payload);

        if (head > 0) n += ws_head_n(head + payload) + head + payload;
    }
    f->mse.c = chunk_new(n);
    if (!f->mse.c) return false;
    w = wr_of(f->mse.c->data, n);
    for (uint8_t t = 0; t < TRACK_MAX; t++) {
        put_track(&w, f, init, t);
        f->mse.end[t] = w.n;
    }
    return true;
}
