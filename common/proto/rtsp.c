#include "common/proto/rtsp.h"

#define NPT_SECONDS_MAX (200ull * 365 * 86400)

static const char *const METHODS[RTSP_METHODS] = {
    [RTSP_OPTIONS] = "OPTIONS",
    [RTSP_DESCRIBE] = "DESCRIBE",
    [RTSP_SETUP] = "SETUP",
    [RTSP_PLAY] = "PLAY",
    [RTSP_PAUSE] = "PAUSE",
    [RTSP_TEARDOWN] = "TEARDOWN",
    [RTSP_GET_PARAMETER] = "GET_PARAMETER",
    [RTSP_SET_PARAMETER] = "SET_PARAMETER",
    [RTSP_ANNOUNCE] = "ANNOUNCE",
    [RTSP_RECORD] = "RECORD",
    [RTSP_REDIRECT] = "REDIRECT",
};

static const struct {
    unsigned status;
    const char *reason;
} REASONS[] = {
    {100, "Continue"},
    {200, "OK"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Moved Temporarily"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Time-out"},
    {410, "Gone"},
    {413, "Request Entity Too Large"},
    {414, "Request-URI Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {451, "Parameter Not Understood"},
    {453, "Not Enough Bandwidth"},
    {454, "Session Not Found"},
    {455, "Method Not Valid in This State"},
    {456, "Header Field Not Valid for Resource"},
    {457, "Invalid Range"},
    {459, "Aggregate Operation Not Allowed"},
    {460, "Only Aggregate Operation Allowed"},
    {461, "Unsupported Transport"},
    {462, "Destination Unreachable"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "RTSP Version Not Supported"},
    {551, "Option Not Supported"},
};

const char *rtsp_method_name(enum rtsp_method m)
{
    return (unsigned)m < RTSP_METHODS ? METHODS[m] : "";
}

enum rtsp_method rtsp_method_of(struct span s)
{
    for (unsigned m = 0; m < RTSP_METHODS; m++)
        if (span_is(s, METHODS[m])) return (enum rtsp_method)m;
    return RTSP_UNKNOWN;
}

const char *rtsp_reason(unsigned status)
{
    for (size_t i = 0; i < ARRAY_N(REASONS); i++)
        if (REASONS[i].status == status) return REASONS[i].reason;
    return "Unknown";
}

/* ---- writing ---- */

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] == 0x7f) return true;
    return false;
}

void rtsp_request(struct wr *w, enum rtsp_method m, struct span uri, uint32_t cseq)
{
    if (uri.n == 0 || has_control(uri) || span_find(uri, ' ') >= 0) w->bad = true;
    wr_fmt(w, "%s %.*s RTSP/1.0\r\nCSeq: %u\r\n", rtsp_method_name(m), SPAN_FMT(uri), cseq);
}

void rtsp_response(struct wr *w, unsigned status, uint32_t cseq)
{
    wr_fmt(w, "RTSP/1.0 %u %s\r\nCSeq: %u\r\n", status, rtsp_reason(status), cseq);
}

void rtsp_field(struct wr *w, const char *name, struct span value)
{
    if (value.n == 0) return;
    if (has_control(value)) w->bad = true;
    wr_text(w, name);
    wr_text(w, ": ");
    wr_bytes(w, value);
    wr_text(w, "\r\n");
}

void rtsp_field_fmt(struct wr *w, const char *name, const char *fmt, ...)
{
    size_t start;
    va_list ap;

    wr_text(w, name);
    wr_text(w, ": ");
    start = w->n;
    va_start(ap, fmt);
    wr_vfmt(w, fmt, ap);
    va_end(ap);
    if (wr_ok(w) && has_control(span_from(wr_span(w), start))) w->bad = true;
    wr_text(w, "\r\n");
}

void rtsp_end(struct wr *w, struct span type, struct span body)
{
    if (body.n > 0) {
        rtsp_field(w, "Content-Type", type);
        rtsp_field_fmt(w, "Content-Length", "%zu", body.n);
    }
    wr_text(w, "\r\n");
    wr_bytes(w, body);
}

/* ---- reading ---- */

static struct span up_to(struct span s, const char *ends)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(ends, s.p[i])) return span_sub(s, 0, i);
    return s;
}

static bool u32_of(struct span s, uint32_t max, uint32_t *ret)
{
    uint64_t v;

    if (!span_u64(span_trim(s), max, &v)) return false;
    *ret = (uint32_t)v;
    return true;
}

bool rtsp_cseq(const struct head *h, uint32_t *ret)
{
    return u32_of(up_to(head_get(h, "CSeq"), " \t;,"), UINT32_MAX, ret);
}

bool rtsp_session(struct span value, struct rtsp_session *ret)
{
    struct rtsp_session s = {0};
    struct span member, name, v;

    if (!head_list_next(&value, ';', &s.id) || s.id.n > RTSP_SESSION_MAX || has_control(s.id)) return false;
    while (head_list_next(&value, ';', &member)) {
        head_param(member, &name, &v);
        if (span_iis(name, "timeout")) u32_of(up_to(v, ". \t"), UINT32_MAX, &s.timeout_s);
    }
    *ret = s;
    return true;
}

/* "a-b", or "a" for a and a + 1. */
static bool pair(struct span s, uint32_t max, uint32_t ret[2])
{
    ssize_t dash = span_find(s, '-');

    if (dash < 0) {
        if (!u32_of(s, max - 1, &ret[0])) return false;
        ret[1] = ret[0] + 1;
        return true;
    }
    return u32_of(span_sub(s, 0, (size_t)dash), max, &ret[0]) &&
        u32_of(span_from(s, (size_t)dash + 1), max, &ret[1]);
}

static bool port_pair(struct span s, uint16_t ret[2])
{
    uint32_t v[2];

    if (!pair(s, 65535, v) || v[0] == 0) return false;
    ret[0] = (uint16_t)v[0];
    ret[1] = (uint16_t)v[1];
    return true;
}

static void p_interleaved(struct span v, struct rtsp_transport *t)
{
    uint32_t n[2];

    if (!pair(v, 255, n)) return;
    t->interleaved[0] = (uint8_t)n[0];
    t->interleaved[1] = (uint8_t)n[1];
    t->has_interleaved = t->tcp = true;
}

static void p_client_port(struct span v, struct rtsp_transport *t)
{
    t->has_client_port = port_pair(v, t->client_port);
}

static void p_server_port(struct span v, struct rtsp_transport *t)
{
    t->has_server_port = port_pair(v, t->server_port);
}

static void p_ssrc(struct span v, struct rtsp_transport *t)
{
    uint64_t n;

    if (!span_hex64(span_trim(v), &n) || n > UINT32_MAX) return;
    t->ssrc = (uint32_t)n;
    t->has_ssrc = true;
}

static void p_source(struct span v, struct rtsp_transport *t)
{
    t->source = v;
}

static void p_destination(struct span v, struct rtsp_transport *t)
{
    t->destination = v;
}

static void p_mode(struct span v, struct rtsp_transport *t)
{
    t->mode = v;
}

static void p_multicast(struct span v, struct rtsp_transport *t)
{
    (void)v;
    t->multicast = true;
}

static const struct {
    const char *name;
    void (*set)(struct span v, struct rtsp_transport *t);
} TRANSPORT_PARAMS[] = {
    {"interleaved", p_interleaved},
    {"client_port", p_client_port},
    {"server_port", p_server_port},
    {"ssrc", p_ssrc},
    {"source", p_source},
    {"destination", p_destination},
    {"mode", p_mode},
    {"multicast", p_multicast},
};

static void transport_member(struct span member, struct rtsp_transport *t)
{
    struct span name, value;

    head_param(member, &name, &value);
    if (value.p == NULL && span_istarts(name, "RTP/")) {
        t->protocol = name;
        t->secure = span_istarts(name, "RTP/SAVP");
        t->tcp = t->tcp || (name.n > 4 && span_iis(span_from(name, name.n - 4), "/TCP"));
        return;
    }
    for (size_t i = 0; i < ARRAY_N(TRANSPORT_PARAMS); i++)
        if (span_iis(name, TRANSPORT_PARAMS[i].name)) TRANSPORT_PARAMS[i].set(value, t);
}

bool rtsp_transport(struct span value, struct rtsp_transport *ret)
{
    struct rtsp_transport t = {0};
    struct span member;

    while (head_list_next(&value, ';', &member)) transport_member(member, &t);
    if (t.protocol.n == 0 && !t.has_interleaved && !t.has_server_port && !t.has_client_port) return false;
    *ret = t;
    return true;
}

bool rtsp_transport_next(struct span *rest, struct rtsp_transport *ret)
{
    struct span member;

    while (head_list_next(rest, ',', &member))
        if (rtsp_transport(member, ret)) return true;
    return false;
}

/* Up to the comma before the next "url=": a URL may hold commas itself. */
static struct span rtp_info_item(struct span *rest)
{
    struct span all = *rest;

    for (size_t i = 0; i < all.n; i++) {
        if (all.p[i] != ',' || !span_istarts(span_trim(span_from(all, i + 1)), "url")) continue;
        *rest = span_from(all, i + 1);
        return span_sub(all, 0, i);
    }
    *rest = SPAN_NONE;
    return all;
}

bool rtsp_rtp_info_next(struct span *rest, struct rtsp_rtp_info *ret)
{
    while (rest->n > 0) {
        struct span item = rtp_info_item(rest), member, name, value;
        struct rtsp_rtp_info i = {0};
        uint32_t seq;

        while (head_list_next(&item, ';', &member)) {
            head_param(member, &name, &value);
            if (span_iis(name, "url")) i.url = value;
            if (span_iis(name, "rtptime")) i.has_rtptime = u32_of(value, UINT32_MAX, &i.rtptime);
            if (span_iis(name, "seq") && u32_of(value, 65535, &seq)) {
                i.has_seq = true;
                i.seq = (uint16_t)seq;
            }
        }
        if (i.url.n == 0 && !i.has_seq && !i.has_rtptime) continue;
        *ret = i;
        return true;
    }
    return false;
}

unsigned rtsp_methods(const struct head *h)
{
    static const char *const fields[] = {"Public", "Allow"};
    unsigned bits = 0;

    for (size_t i = 0; i < ARRAY_N(fields); i++) {
        struct span value, member;
        size_t at = 0;

        while (head_next(h, fields[i], &at, &value))
            while (head_list_next(&value, ',', &member)) {
                enum rtsp_method m = rtsp_method_of(member);

                if (m != RTSP_UNKNOWN) bits |= 1u << m;
            }
    }
    return bits;
}

/* ".25" as microseconds; nothing is none. */
static bool fraction_us(struct span s, int64_t *ret_us)
{
    int64_t sum = 0, unit = US_PER_S / 10;

    if (s.n > 0 && s.p[0] != '.') return false;
    for (size_t i = 1; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        sum += (s.p[i] - '0') * unit;
    }
    *ret_us = sum;
    return true;
}

/* "12", "12.5", "1:02:03.5" as microseconds. */
static bool npt_time(struct span s, int64_t *ret_us)
{
    struct span whole = up_to(s, "."), part;
    uint64_t v, sum = 0;
    int64_t fraction;

    for (struct span rest = whole; span_split(&rest, ':', &part);) {
        if (!span_u64(part, NPT_SECONDS_MAX, &v) || sum > NPT_SECONDS_MAX) return false;
        sum = sum * 60 + v;
    }
    if (sum > NPT_SECONDS_MAX || !fraction_us(span_from(s, whole.n), &fraction)) return false;
    *ret_us = (int64_t)sum * US_PER_S + fraction;
    return true;
}

/* 19961108T143720.25Z */
static bool clock_time(struct span s, int64_t *ret_us)
{
    static const uint8_t at[] = {0, 4, 6, 9, 11, 13}, len[] = {4, 2, 2, 2, 2, 2};
    uint32_t v[ARRAY_N(at)];
    struct tm t = {0};
    int64_t fraction;

    if (s.n < 15 || (s.p[8] != 'T' && s.p[8] != 't')) return false;
    for (size_t i = 0; i < ARRAY_N(at); i++)
        if (!u32_of(span_sub(s, at[i], len[i]), 9999, &v[i])) return false;
    if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 60) return false;
    if (!fraction_us(up_to(span_from(s, 15), "Zz"), &fraction)) return false;
    t.tm_year = (int)v[0] - 1900;
    t.tm_mon = (int)v[1] - 1;
    t.tm_mday = (int)v[2];
    t.tm_hour = (int)v[3];
    t.tm_min = (int)v[4];
    t.tm_sec = (int)v[5];
    *ret_us = (int64_t)timegm(&t) * US_PER_S + fraction;
    return true;
}

bool rtsp_range(struct span value, struct rtsp_range *ret)
{
    struct rtsp_range r = {false, -1, -1};
    struct span unit, from, first = up_to(span_trim(value), ";");
    bool (*time_of)(struct span, int64_t *) = npt_time;

    if (!span_split(&first, '=', &unit) || first.p == NULL) return false;
    unit = span_trim(unit);
    r.clock = span_iis(unit, "clock");
    if (r.clock)
        time_of = clock_time;
    else if (!span_iis(unit, "npt"))
        return false;
    if (!span_split(&first, '-', &from) || first.p == NULL) return false;
    from = span_trim(from);
    first = span_trim(first);
    if (from.n == 0 && first.n == 0) return false;
    if (from.n > 0 && !span_iis(from, "now") && !time_of(from, &r.from_us)) return false;
    if (first.n > 0 && !time_of(first, &r.to_us)) return false;
    *ret = r;
    return true;
}

bool rtsp_is_sdp(const struct head *h)
{
    struct span type = span_trim(up_to(head_get(h, "Content-Type"), ";"));

    return type.n == 0 || span_iis(type, "application/sdp");
}
