#include "tests/support/depay_fuzz.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rd.h"

#define FED_MAX 64

struct state {
    uint64_t sum; /* of all bytes handed out: they are read */
    struct depay *d;
};

static void check_nals(const struct depay_unit *u)
{
    size_t left = 0;

    for (size_t i = 0; i < u->pieces_n; i++) {
        const struct piece *p = &u->pieces[i];
        size_t n = p->s.n + p->head_n;

        if (p->nal_n > 0) {
            must(left == 0);
            left = p->nal_n;
        }
        must(n <= left);
        left -= n;
    }
    must(left == 0);
}

static void on_unit(void *arg, const struct depay_unit *u)
{
    struct state *s = arg;
    struct track t;
    size_t bytes = 0;

    must(u->pieces_n > 0);
    must(depay_track(s->d, &t));
    must(t.config_n <= TRACK_CONFIG_MAX);
    for (size_t i = 0; i < u->pieces_n; i++) {
        const struct piece *p = &u->pieces[i];

        for (size_t k = 0; k < p->s.n; k++) s->sum += p->s.p[k];
        bytes += p->s.n + p->head_n + (p->nal_n > 0 ? 4 : 0);
    }
    must(bytes == u->bytes && bytes > 0);
    if (t.kind == TRACK_VIDEO) check_nals(u);
}

static void on_changed(void *arg)
{
    struct state *s = arg;
    struct track t;
    char name[48];

    must(depay_track(s->d, &t));
    codec_rfc6381(&t, name, sizeof name);
}

void depay_fuzz(enum codec codec, const char *fmtp, struct span data)
{
    struct state s = {0};
    struct depay_media m = {.codec = codec, .fmtp = span_of(fmtp)};
    struct depay_out out = {on_unit, on_changed, &s};
    struct rd r = rd_of(data);
    uint8_t *fed[FED_MAX];
    size_t fed_n = 0;
    struct depay_packet p = {0};

    must(depay_new(&m, &out, &s.d) == DEPAY_OK);
    while (rd_left(&r) >= 4) {
        uint8_t flags = rd_u8(&r);
        size_t n;

        p.timestamp += rd_u8(&r) * 100u;
        n = rd_u16(&r);
        p.payload = rd_bytes(&r, MIN(n, rd_left(&r)));
        if (p.payload.n > 0) fed[fed_n++] = mem_dup(p.payload.p, p.payload.n);
        if (p.payload.n > 0) p.payload.p = fed[fed_n - 1];
        p.marker = flags & 1;
        p.lost = flags & 2;
        p.mono_us += US_PER_S;
        depay_feed(s.d, &p);
        if (flags & 8) depay_reset(s.d);
        if (flags & 16) depay_flush(s.d);
        if ((flags & 4) || fed_n == FED_MAX) {
            depay_detach(s.d);
            while (fed_n > 0) mem_free(fed[--fed_n]);
        }
    }
    if (s.sum & 1) depay_flush(s.d);
    depay_free(s.d);
    while (fed_n > 0) mem_free(fed[--fed_n]);
}
