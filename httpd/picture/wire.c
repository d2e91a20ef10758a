#include "httpd/picture/wire.h"
#include "common/base/clock.h"
#include "common/base/rd.h"
#include "common/ipc/pack.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define LENGTH_N     4
#define RATE_MAX     48000
#define QUALITY_MAX  100
#define CHANNELS_MAX 2

/* --- maps --- */

/* The length is filled in behind the map. */
static bool begin(struct buf *to, struct packer *p, size_t *ret_at)
{
    *ret_at = buf_n(to);
    *p = packer_of(to);
    return buf_put(to, span("\0\0\0\0", LENGTH_N));
}

static bool end(struct buf *to, const struct packer *p, size_t at)
{
    struct wr w = wr_of(to->mem + to->from + at, LENGTH_N);

    if (p->bad || buf_n(to) - at - LENGTH_N > PICTURE_HEAD_MAX) return false;
    wr_u32(&w, (uint32_t)(buf_n(to) - at - LENGTH_N));
    return true;
}

static void pack_units(struct packer *p, const struct picture_ask *a)
{
    pack_key(p, "units");
    pack_array(p, 2u * a->n_units);
    for (unsigned i = 0; i < a->n_units; i++) {
        pack_u64(p, a->units[i].size);
        pack_i64(p, a->units[i].pts);
    }
}

bool picture_ask_write(struct buf *to, const struct picture_ask *a)
{
    struct packer p;
    size_t at;

    if (!begin(to, &p, &at)) return false;
    pack_map(&p, 14);
    pack_kv_u64(&p, "id", a->id);
    pack_kv_u64(&p, "kind", a->kind);
    pack_kv_u64(&p, "codec", a->codec);
    pack_kv_u64(&p, "bytes", a->n_bytes);
    pack_kv_u64(&p, "width", a->width);
    pack_kv_u64(&p, "quality", a->quality);
    pack_kv_u64(&p, "sar_w", a->sar_w);
    pack_kv_u64(&p, "sar_h", a->sar_h);
    pack_kv_i64(&p, "want", a->want_pts);
    pack_kv_u64(&p, "rate", a->rate);
    pack_kv_u64(&p, "channels", a->channels);
    pack_kv_u64(&p, "frames", a->frames);
    pack_kv_bin(&p, "config", span(a->config, a->config_n));
    pack_units(&p, a);
    return end(to, &p, at);
}

bool picture_answer_write(struct buf *to, const struct picture_answer *a)
{
    struct packer p;
    size_t at;

    if (!begin(to, &p, &at)) return false;
    pack_map(&p, 7);
    pack_kv_u64(&p, "id", a->id);
    pack_kv_u64(&p, "err", a->err);
    pack_kv_u64(&p, "missing", a->missing);
    pack_kv_u64(&p, "width", a->width);
    pack_kv_u64(&p, "height", a->height);
    pack_kv_i64(&p, "pts", a->pts);
    pack_kv_u64(&p, "bytes", a->n_bytes);
    return end(to, &p, at);
}

/* *ret, and false where the number is larger than `most`. */
static bool number(const struct packed *map, const char *key, uint64_t most, uint64_t *ret)
{
    *ret = packed_u64(map, key, 0);
    return *ret <= most;
}

static bool read_units(const struct packed *map, struct picture_ask *a)
{
    const struct packed *units = packed_get(map, "units");
    size_t n = packed_n(units);
    uint64_t sum = 0;

    if (n % 2 != 0 || n == 0 || n / 2 > PICTURE_UNITS_MAX) return false;
    a->n_units = (uint16_t)(n / 2);
    for (size_t i = 0; i < a->n_units; i++) {
        uint64_t size = packed_as_u64(packed_at(units, 2 * i), 0);

        if (size == 0 || size > PICTURE_BYTES_MAX) return false;
        a->units[i] = (struct picture_unit){(uint32_t)size, packed_as_i64(packed_at(units, 2 * i + 1), 0)};
        sum += size;
    }
    return sum == a->n_bytes;
}

static bool read_jpeg(const struct packed *map, struct picture_ask *a)
{
    struct span config = packed_str(map, "config");
    uint64_t width, quality, sar_w, sar_h;

    if (a->codec != CODEC_H264 && a->codec != CODEC_H265) return false;
    if (!number(map, "width", PICTURE_OUT_MAX, &width) || !number(map, "quality", QUALITY_MAX, &quality) ||
        !number(map, "sar_w", UINT16_MAX, &sar_w) || !number(map, "sar_h", UINT16_MAX, &sar_h))
        return false;
    if ((width > 0 && width < PICTURE_OUT_MIN) || quality == 0 || config.n > sizeof(a->config)) return false;
    a->width = (uint16_t)width;
    a->quality = (uint8_t)quality;
    a->sar_w = (uint16_t)sar_w;
    a->sar_h = (uint16_t)sar_h;
    a->want_pts = packed_i64(map, "want", 0);
    a->config_n = (uint16_t)config.n;
    if (config.n > 0) memcpy(a->config, config.p, config.n);
    return read_units(map, a);
}

static bool read_aac(const struct packed *map, struct picture_ask *a)
{
    uint64_t rate, channels, frames;

    if (a->codec != CODEC_PCMA && a->codec != CODEC_PCMU) return false;
    if (!number(map, "rate", RATE_MAX, &rate) || !number(map, "channels", CHANNELS_MAX, &channels) ||
        !number(map, "frames", PICTURE_AAC_MAX, &frames) || rate == 0 || channels == 0 || frames == 0)
        return false;
    a->rate = (uint32_t)rate;
    a->channels = (uint16_t)channels;
    a->frames = (uint16_t)frames;
    return a->n_bytes == picture_aac_in(a);
}

bool picture_ask_read(struct span map, struct picture_ask *ret)
{
    const struct packed *root;
    struct unpack *u;
    uint64_t bytes, kind, codec;
    bool ok;

    if (unpack_new(map, &u) != 0) return false;
    root = unpack_root(u);
    memset(ret, 0, offsetof(struct picture_ask, units));
    ret->config_n = 0;
    ret->id = packed_u64(root, "id", 0);
    ok = ret->id > 0 && number(root, "bytes", PICTURE_BYTES_MAX, &bytes) &&
        number(root, "kind", PICTURE_AAC, &kind) && number(root, "codec", CODEC_ONVIF, &codec);
    if (ok) {
        ret->n_bytes = (uint32_t)bytes;
        ret->kind = (enum picture_kind)kind;
        ret->codec = (enum codec)codec;
        ok = kind == PICTURE_JPEG ? read_jpeg(root, ret) : kind == PICTURE_AAC && read_aac(root, ret);
    }
    unpack_done(u);
    return ok;
}

bool picture_answer_read(struct span map, struct picture_answer *ret)
{
    const struct packed *root;
    struct unpack *u;
    uint64_t err, missing, width, height, bytes;
    bool ok;

    if (unpack_new(map, &u) != 0) return false;
    root = unpack_root(u);
    ok = number(root, "err", PICTURE_E_MEMORY, &err) && number(root, "missing", UINT8_MAX, &missing) &&
        number(root, "width", PICTURE_OUT_MAX, &width) && number(root, "height", PICTURE_OUT_MAX, &height) &&
        number(root, "bytes", PICTURE_BYTES_MAX, &bytes) && (err == PICTURE_OK || bytes == 0);
    if (ok)
        *ret = (struct picture_answer){.id = packed_u64(root, "id", 0),
            .err = (enum picture_err)err,
            .missing = (unsigned)missing,
            .width = (uint16_t)width,
            .height = (uint16_t)height,
            .pts = packed_i64(root, "pts", 0),
            .n_bytes = (uint32_t)bytes};
    unpack_done(u);
    return ok;
}

size_t picture_aac_in(const struct picture_ask *a)
{
    return (size_t)(PICTURE_AAC_RUN_IN + a->frames + 1) * PICTURE_AAC_SAMPLES * a->channels;
}

size_t picture_aac_out(const struct picture_ask *a)
{
    return (size_t)a->frames * PICTURE_AAC_BYTES * a->channels;
}

/* --- the socket --- */

static int wait_for(int fd, short events, usec_t until_us)
{
    usec_t left_us = until_us - clock_mono_us();
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    if (left_us <= 0) return -ETIMEDOUT;
    n = poll(&p, 1, (int)MIN(left_us / US_PER_MS + 1, INT32_MAX));
    if (n < 0) return errno == EINTR ? 0 : -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

int picture_send(int fd, struct span s, usec_t until_us)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        int err = 0;

        if (n > 0)
            s = span_from(s, (size_t)n);
        else if (errno == EAGAIN)
            err = wait_for(fd, POLLOUT, until_us);
        else if (errno != EINTR)
            err = -errno;
        if (err < 0) return err;
    }
    return 0;
}

int picture_recv(int fd, void *p, size_t n, usec_t until_us)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(fd, (uint8_t *)p + at, n - at, MSG_DONTWAIT);
        int err = 0;

        if (got > 0)
            at += (size_t)got;
        else if (got == 0)
            err = -EPIPE;
        else if (errno == EAGAIN)
            err = wait_for(fd, POLLIN, until_us);
        else if (errno != EINTR)
            err = -errno;
        if (err < 0) return err;
    }
    return 0;
}

int picture_recv_map(int fd, uint8_t *into, struct span *ret, usec_t until_us)
{
    uint8_t head[LENGTH_N];
    struct rd r = rd_of(span(head, sizeof(head)));
    int err = picture_recv(fd, head, sizeof(head), until_us);
    uint32_t n;

    if (err < 0) return err;
    n = rd_u32(&r);
    if (n == 0 || n > PICTURE_HEAD_MAX) return -EPROTO;
    err = picture_recv(fd, into, n, until_us);
    if (err == 0) *ret = span(into, n);
    return err;
}
