#include "common/proto/interleaved.h"
#include "common/proto/rtp.h"
#include "common/proto/rtsp.h"

#define GOOD_FRAMES   1000 /* in sequence: earlier searches are forgotten */
#define RTCP_MIN      8
#define CHECK_BYTES   12 /* of a payload, looked at while searching */
#define SSRC_AT_RTP   8
#define SSRC_AT_RTCP  4
#define RTCP_SIZE_MAX 4096
#define METHOD_MIN    3 /* letters; of a known one or not (C9) */
#define METHOD_MAX    24

static const struct head_limits LIMITS = {RTSP_LINE_MAX, RTSP_HEAD_MAX};

void interleaved_init(struct interleaved *il)
{
    *il = (struct interleaved){0};
    memset(il->slot_of, -1, sizeof(il->slot_of));
}

int interleaved_channel(struct interleaved *il, uint8_t number)
{
    if (il->slot_of[number] >= 0) return il->slot_of[number];
    if (il->n == INTERLEAVED_CHANNELS_MAX) return -1;
    il->ch[il->n] = (struct interleaved_channel){.number = number};
    il->slot_of[number] = (int8_t)il->n;
    return il->n++;
}

void interleaved_flush(struct interleaved *il)
{
    il->flush = il->in_body;
}

bool interleaved_in_body(const struct interleaved *il)
{
    return il->in_body;
}

void interleaved_write_header(uint8_t dst[INTERLEAVED_HEADER], uint8_t channel, size_t n)
{
    dst[0] = '$';
    dst[1] = channel;
    dst[2] = (uint8_t)(n >> 8);
    dst[3] = (uint8_t)n;
}

/* ---- what may stand at the beginning of something ---- */

/* "RTSP/", "HTTP/", or a method and a blank, as far as the bytes are there. */
static bool begins_message(struct span s)
{
    size_t n = 0;

    while (n < s.n && n < METHOD_MAX && ((s.p[n] >= 'A' && s.p[n] <= 'Z') || s.p[n] == '_')) n++;
    if (n == s.n) return true;
    if (s.p[n] == ' ') return n >= METHOD_MIN;
    return s.p[n] == '/' && n == 4 && (memcmp(s.p, "RTSP", n) == 0 || memcmp(s.p, "HTTP", n) == 0);
}

/* In frame: may a frame or a message begin here? A channel that nobody set up (P10) is believed with RTP's
 * version. */
static bool plausible(const struct interleaved *il, struct span s)
{
    if (s.n == 0) return true;
    if (s.p[0] == '$') return s.n < 5 || il->slot_of[s.p[1]] >= 0 || s.p[4] >> 6 == 2;
    return s.p[0] == '\r' || s.p[0] == '\n' || begins_message(s);
}

static size_t frame_n(struct span s)
{
    return INTERLEAVED_HEADER + ((size_t)s.p[2] << 8 | s.p[3]);
}

static uint32_t ssrc_of(struct span payload, bool rtcp)
{
    struct rd r = rd_of(span_from(payload, rtcp ? SSRC_AT_RTCP : SSRC_AT_RTP));

    return rd_u32(&r);
}

/* ---- out of frame (C8) ---- */

enum verdict { NO, YES, UNSURE };

/* Another source on a channel is believed when its next frame follows at once: the camera may have begun
 * anew. */
static bool goes_on_with(struct span behind, uint8_t channel, uint32_t ssrc)
{
    struct span payload = span_from(behind, INTERLEAVED_HEADER);

    return behind.p[0] == '$' && behind.p[1] == channel && payload.p[0] >> 6 == 2 && !rtp_is_rtcp(payload) &&
        ssrc_of(payload, false) == ssrc;
}

/* A frame that is sure to be one: see the header. *ret_need: bytes after which it can be decided. */
static enum verdict sure_frame(const struct interleaved *il, struct span s, size_t *ret_need)
{
    struct span payload, behind;
    size_t n, seen;
    int8_t slot;
    bool rtcp;

    *ret_need = INTERLEAVED_HEADER + CHECK_BYTES;
    if (s.n < 2) return UNSURE;
    slot = il->slot_of[s.p[1]];
    if (slot < 0) return NO;
    if (s.n < INTERLEAVED_HEADER) return UNSURE;
    n = frame_n(s);
    seen = MIN(n - INTERLEAVED_HEADER, (size_t)CHECK_BYTES);
    if (seen < RTCP_MIN) return NO;
    if (s.n < INTERLEAVED_HEADER + seen) return UNSURE;
    payload = span_from(s, INTERLEAVED_HEADER);
    rtcp = rtp_is_rtcp(payload);
    if (payload.p[0] >> 6 != 2 || (!rtcp && seen < RTP_HEADER_MIN)) return NO;
    if (rtcp && n > RTCP_SIZE_MAX) return NO;
    if (il->ch[slot].has_ssrc && il->ch[slot].ssrc != ssrc_of(payload, rtcp)) {
        *ret_need = n + INTERLEAVED_HEADER + RTP_HEADER_MIN;
        if (rtcp) return NO;
        if (s.n < *ret_need) return UNSURE;
        return goes_on_with(span_from(s, n), s.p[1], ssrc_of(payload, false)) ? YES : NO;
    }
    if (s.n <= n) {
        *ret_need = n + 1;
        return il->ch[slot].has_ssrc ? YES : UNSURE;
    }
    behind = span_from(s, n);
    return plausible(il, behind) ? YES : NO;
}

static enum verdict sure_message(struct span s, size_t *ret_need)
{
    const struct span word = SPAN_LIT("RTSP/1.");
    size_t n = MIN(word.n, s.n);

    *ret_need = word.n;
    if (memcmp(word.p, s.p, n) != 0) return NO;
    return n == word.n ? YES : UNSURE;
}

static void give_up(struct interleaved *il, struct interleaved_event *ret)
{
    il->lost = true;
    ret->kind = INTERLEAVED_LOST;
}

static void begin_search(struct interleaved *il)
{
    il->searching = true;
    il->in_body = il->flush = false;
    il->skipped = 0;
    il->good = 0;
    il->searches++;
    il->resyncs++;
    il->find = (struct head_find){0};
}

/* From `from` on: everything before the next sure thing is thrown away. */
static void search(
    struct interleaved *il, struct span in, size_t from, size_t *ret_took, struct interleaved_event *ret)
{
    enum verdict v = NO;
    size_t i, need = 1;

    for (i = from; i < in.n; i++) {
        struct span s = span_from(in, i);

        if (s.p[0] == '$') v = sure_frame(il, s, &need);
        if (s.p[0] == 'R') v = sure_message(s, &need);
        if (v != NO) break;
    }
    il->searching = v != YES;
    il->skipped += (uint32_t)i;
    il->bytes_skipped += i;
    *ret_took = i;
    ret->kind = i > 0 ? INTERLEAVED_SKIPPED : INTERLEAVED_MORE;
    ret->data = span_sub(in, 0, i);
    ret->need = need;
    if (il->skipped > INTERLEAVED_SKIP_MAX || il->resyncs > INTERLEAVED_RESYNC_MAX) give_up(il, ret);
}

/* ---- frames ---- */

static void note_ssrc(struct interleaved_channel *c, struct span payload)
{
    bool rtcp = rtp_is_rtcp(payload);

    if (payload.n < (rtcp ? RTCP_MIN : RTP_HEADER_MIN) || payload.p[0] >> 6 != 2) return;
    c->has_ssrc = true;
    c->ssrc = ssrc_of(payload, rtcp);
}

static void frame(struct interleaved *il, struct span in, size_t *ret_took, struct interleaved_event *ret)
{
    size_t n;

    ret->need = INTERLEAVED_HEADER;
    if (in.n < INTERLEAVED_HEADER) return;
    n = frame_n(in);
    ret->need = n;
    if (in.n < n) return;
    if (!plausible(il, span_from(in, n))) {
        begin_search(il);
        search(il, in, 1, ret_took, ret);
        return;
    }
    ret->kind = INTERLEAVED_FRAME;
    ret->channel = in.p[1];
    ret->slot = il->slot_of[in.p[1]];
    ret->data = span_sub(in, INTERLEAVED_HEADER, n - INTERLEAVED_HEADER);
    *ret_took = n;
    il->frames++;
    if (ret->slot >= 0)
        note_ssrc(&il->ch[ret->slot], ret->data);
    else
        il->unknown++;
    if (il->good < GOOD_FRAMES && ++il->good == GOOD_FRAMES) il->resyncs = 0;
}

/* ---- messages ---- */

struct body {
    size_t n;
    bool open; /* no length was given: it ends where something else begins, or by interleaved_flush */
    bool sdp;
};

static struct body body_of(const struct head *h, struct span behind)
{
    struct span type = head_get(h, "Content-Type"), length = head_get(h, "Content-Length");
    struct body b = {0};
    uint64_t v;

    b.sdp = span_istarts(type, "application/sdp") || (type.p == NULL && span_starts(behind, SPAN_LIT("v=")));
    if (span_u64(length, UINT64_MAX, &v))
        b.n = (size_t)MIN(v, (uint64_t)RTSP_BODY_MAX);
    else if (b.sdp && h->kind == HEAD_STATUS)
        b = (struct body){RTSP_BODY_MAX, true, true};
    return b;
}

/* Where in s the next message or a frame of ours begins, which a body does not hold; s.n: nowhere. */
static size_t next_start(const struct interleaved *il, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        struct span at = span_from(s, i);

        if (i > 0 && s.p[i - 1] != '\n') continue;
        if (at.n >= 2 && at.p[0] == '$' && il->slot_of[at.p[1]] >= 0) return i;
        if (span_starts(at, SPAN_LIT("RTSP/1."))) return i;
    }
    return s.n;
}

/* An SDP whose Content-Length counted other line ends goes on behind it (C18). */
static bool goes_on(struct span body, struct span behind)
{
    bool text = behind.n > 0 && (behind.p[0] >= ' ' || behind.p[0] == '\r' || behind.p[0] == '\n');

    if (behind.n >= 2 && behind.p[1] == '=' && behind.p[0] >= 'a' && behind.p[0] <= 'z') return true;
    return text && body.n > 0 && body.p[body.n - 1] != '\n' && behind.p[0] != '$';
}

/* Bytes of the body; false: not all there yet. */
static bool body_n(struct interleaved *il, const struct body *b, struct span behind, size_t *ret_n)
{
    struct span have = span_sub(behind, 0, b->n);
    size_t end;

    if (b->n <= behind.n && !b->open) {
        *ret_n = b->n;
        if (b->sdp && goes_on(have, span_from(behind, b->n)))
            *ret_n = b->n + next_start(il, span_from(behind, b->n));
        return true;
    }
    end = next_start(il, have);
    *ret_n = end;
    return end < have.n || il->flush || have.n == RTSP_BODY_MAX;
}

static void message(struct interleaved *il, struct span in, size_t *ret_took, struct interleaved_event *ret)
{
    struct head h;
    struct body b;
    size_t head_n, n;

    ret->need = in.n + 1;
    if (!plausible(il, in)) {
        begin_search(il);
        search(il, in, 0, ret_took, ret);
        return;
    }
    switch (head_find(&il->find, in, &LIMITS, &head_n)) {
    case 0: break;
    case HEAD_E_MORE: return;
    default:
        begin_search(il);
        search(il, in, 1, ret_took, ret);
        return;
    }
    head_parse(span_sub(in, 0, head_n), &h);
    b = body_of(&h, span_from(in, head_n));
    il->in_body = true;
    if (!body_n(il, &b, span_from(in, head_n), &n)) return;
    il->in_body = il->flush = false;
    il->find = (struct head_find){0};
    ret->kind = INTERLEAVED_MESSAGE;
    ret->head = span_sub(in, 0, head_n);
    ret->body = span_sub(in, head_n, n);
    *ret_took = head_n + n;
}

void interleaved_next(struct interleaved *il, struct span in, size_t *ret_took, struct interleaved_event *ret)
{
    size_t ends = 0;

    *ret = (struct interleaved_event){.kind = INTERLEAVED_MORE, .slot = -1, .need = 1};
    *ret_took = 0;
    if (il->lost) {
        ret->kind = INTERLEAVED_LOST;
        *ret_took = in.n;
        return;
    }
    if (il->searching) {
        search(il, in, 0, ret_took, ret);
        if (il->searching || il->lost || *ret_took > 0) return;
    }
    if (in.n > 0 && in.p[0] == '$') {
        frame(il, in, ret_took, ret);
        return;
    }
    while (ends < in.n && (in.p[ends] == '\r' || in.p[ends] == '\n')) ends++; /* C4 */
    if (ends > 0) {
        *ret_took = ends;
        ret->kind = INTERLEAVED_SKIPPED;
        ret->data = span_sub(in, 0, ends);
        return;
    }
    if (in.n > 0) message(il, in, ret_took, ret);
}
