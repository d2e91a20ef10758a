#include "httpd/backend.h"
#include "common/wire/crypto.h"
#include "httpd/stream.h"

static void put_escaped(struct wr *w, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
            c == '_' || c == '.' || c == '~';

        if (plain)
            wr_u8(w, c);
        else
            wr_fmt(w, "%%%02X", c);
    }
}

static void put(struct wr *w, const char *name, struct span value)
{
    wr_fmt(w, "&%s=", name);
    put_escaped(w, value);
}

static void put_number(struct wr *w, const char *name, unsigned value)
{
    wr_fmt(w, "&%s=%u", name, value);
}

/* Flussonic's names of protocols. */
static const char *proto_of(enum access_road road)
{
    static const char *const names[ROADS] = {[ROAD_HLS] = "hls",
        [ROAD_MP4] = "mp4",
        [ROAD_WS] = "mseld",
        [ROAD_RTSP] = "rtsp",
        [ROAD_TS] = "mpegts",
        [ROAD_PICTURE] = "jpeg",
        [ROAD_INFO] = "api",
        [ROAD_PAGE] = "embed",
        [ROAD_PUSH] = "publish"};

    return names[road];
}

bool backend_url(struct wr *w, struct span base, const struct question *q, unsigned total_clients)
{
    const struct stream *st = stream_get(q->hub, span_of(q->uid));
    char ip[ADDR_TEXT_MAX], id[2 * CRYPTO_HASH_MAX + 1];
    const struct span name = span_of(q->uid), proto = span_of(proto_of(q->asked.road)),
                      token = secret_reveal(&q->token);
    const struct span pieces[] = {name, span_of(addr_text(&q->asked.address, ip)), proto, token};

    crypto_hash_hex(CRYPTO_SHA1, pieces, ARRAY_N(pieces), id);
    wr_bytes(w, base);
    wr_fmt(w, "%sname=%s", span_find(base, '?') < 0 ? "?" : "&", q->uid);
    put(w, "proto", proto);
    put(w, "ip", pieces[1]);
    put(w, "token", token);
    put(w, "session_id", span_of(id));
    wr_fmt(w, "&request_type=%s", q->number > 1 ? "update_session" : "new_session");
    put_number(w, "request_number", q->number);
    put_number(w, "stream_clients", st ? st->viewers : 0);
    put_number(w, "total_clients", total_clients);
    put(w, "user_agent", q->asked.user_agent);
    wr_u8(w, 0);
    return wr_ok(w);
}

bool backend_read(const struct outgoing_answer *answer, struct facts *f)
{
    uint64_t n;

    /* No answer to the question: the backend, or what stands before it, is broken. */
    if (answer->err != 0 || answer->status >= 500) return false;
    f->backend = answer->status == 200 ? KNOWN_YES : KNOWN_NO;
    f->backend_s = f->backend == KNOWN_YES ? BACKEND_DURATION_S : BACKEND_REFUSED_S;
    f->backend_sessions = 0;
    if (span_u64(outgoing_field(answer, "X-AuthDuration"), UINT32_MAX, &n))
        f->backend_s = (int64_t)CLAMP(n, 1, BACKEND_LONGEST_S);
    if (span_u64(outgoing_field(answer, "X-Max-Sessions"), UINT32_MAX, &n)) f->backend_sessions = (uint32_t)n;
    span_copy(outgoing_field(answer, "X-UserId"), f->backend_user, sizeof(f->backend_user));
    return true;
}
