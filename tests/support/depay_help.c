#include "tests/support/depay_help.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#define BYTES_MAX (64u << 20)
#define HEX_MAX   (128u << 10)

static void on_unit(void *arg, const struct depay_unit *u)
{
    struct depay_help *h = arg;
    struct depay_help_unit *to = &h->u[h->n];
    size_t from = buf_n(&h->bytes);

    must(h->n < DEPAY_HELP_UNITS);
    h->n++;
    *to = (struct depay_help_unit){.timestamp = u->timestamp,
        .offset = u->offset,
        .dur = u->dur,
        .flags = u->flags,
        .reorder = u->reorder,
        .backward = u->backward,
        .at = from,
        .changes = h->changes};
    for (size_t i = 0; i < u->pieces_n; i++) {
        const struct piece *p = &u->pieces[i];
        uint8_t len[4];
        struct wr w = wr_of(len, sizeof len);

        wr_u32(&w, p->nal_n);
        if (p->nal_n > 0) must(buf_put(&h->bytes, wr_span(&w)));
        must(buf_put(&h->bytes, span(p->head, p->head_n)));
        must(buf_put(&h->bytes, p->s));
    }
    to->n = buf_n(&h->bytes) - from;
    must(to->n == u->bytes);
}

static void on_changed(void *arg)
{
    struct depay_help *h = arg;

    h->changes++;
}

void depay_help_init(struct depay_help *h, enum codec codec, uint32_t hz, const char *fmtp)
{
    struct depay_out out = {on_unit, on_changed, h};
    struct depay_media m = {.codec = codec, .clock_hz = hz, .channels = 1, .fmtp = span_of(fmtp)};

    *h = (struct depay_help){.step_us = US_PER_MS};
    buf_init(&h->bytes, BYTES_MAX);
    must(depay_new(&m, &out, &h->d) == DEPAY_OK);
}

void depay_help_detach(struct depay_help *h)
{
    depay_detach(h->d);
    while (h->fed_n > 0) mem_free(h->fed[--h->fed_n]);
}

void depay_help_done(struct depay_help *h)
{
    depay_free(h->d);
    h->d = NULL;
    while (h->fed_n > 0) mem_free(h->fed[--h->fed_n]);
    buf_done(&h->bytes);
}

void depay_help_feed(struct depay_help *h, struct span payload, uint32_t timestamp, bool marker, bool lost)
{
    uint8_t *mem = payload.n > 0 ? mem_dup(payload.p, payload.n) : NULL;
    struct depay_packet p = {.payload = span(mem, payload.n),
        .timestamp = timestamp,
        .marker = marker,
        .lost = lost,
        .mono_us = h->mono_us,
        .wall_us = h->mono_us};

    depay_feed(h->d, &p);
    h->mono_us += h->step_us;
    h->fed[h->fed_n++] = mem;
    if (h->fed_n >= MAX(h->batch, 1u) || h->fed_n == ARRAY_N(h->fed)) depay_help_detach(h);
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void read_hex(const char *hex, struct wr *w)
{
    for (; *hex; hex++) {
        if (*hex == ' ') continue;
        wr_u8(w, (uint8_t)(digit(hex[0]) << 4 | digit(hex[1])));
        hex++;
    }
    must(wr_ok(w));
}

void depay_help_hex(struct depay_help *h, const char *hex, uint32_t timestamp, bool marker)
{
    CLEANUP(mem_freep) uint8_t *mem = mem_new(HEX_MAX);
    struct wr w = wr_of(mem, HEX_MAX);

    read_hex(hex, &w);
    depay_help_feed(h, wr_span(&w), timestamp, marker, false);
}

struct span depay_help_bytes(const struct depay_help *h, unsigned unit)
{
    return span_sub(buf_span(&h->bytes), h->u[unit].at, h->u[unit].n);
}

bool depay_help_is(const struct depay_help *h, unsigned unit, const char *nals)
{
    CLEANUP(mem_freep) uint8_t *mem = mem_new(HEX_MAX);
    struct wr w = wr_of(mem, HEX_MAX);
    struct span rest = span_of(nals), nal;

    if (unit >= h->n) return false;
    while (span_split(&rest, '|', &nal)) {
        CLEANUP(mem_freep) char *text = span_dup(nal);
        size_t at = w.n;

        wr_u32(&w, 0);
        read_hex(text, &w);
        wr_patch_u32(&w, at, (uint32_t)(w.n - at - 4));
    }
    return span_eq(wr_span(&w), depay_help_bytes(h, unit));
}
