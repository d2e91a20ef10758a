#include "httpd/access.h"
#include "httpd/auth.h"
#include "httpd/stream.h"

/* --- words --- */

static const struct {
    const char *name;
    enum access_mode mode;
} modes[] = {
    {"public", ACCESS_PUBLIC},
    {"protected", ACCESS_PROTECTED},
    {"private", ACCESS_PRIVATE},
    {"none", ACCESS_NONE},
};

static const char *const ops[ACCESS_OPS] = {
    [ACCESS_PAGE] = "page",
    [ACCESS_LIVE] = "live",
    [ACCESS_DVR] = "dvr",
    [ACCESS_COPY] = "copy",
    [ACCESS_PREVIEW] = "preview",
    [ACCESS_PUBLISH] = "publish",
};

static const char *const roads[ROADS] = {
    [ROAD_HLS] = "hls",
    [ROAD_MP4] = "mp4",
    [ROAD_WS] = "ws",
    [ROAD_RTSP] = "rtsp",
    [ROAD_TS] = "ts",
    [ROAD_PICTURE] = "picture",
    [ROAD_INFO] = "info",
    [ROAD_PAGE] = "page",
    [ROAD_PUSH] = "push",
};

const char *access_op_name(enum access_op op)
{
    return ops[op];
}

const char *access_road_name(enum access_road road)
{
    return roads[road];
}

enum access_mode access_mode_of(struct span text)
{
    for (size_t i = 0; i < ARRAY_N(modes); i++)
        if (span_iis(text, modes[i].name)) return modes[i].mode;
    return ACCESS_PRIVATE;
}

#define BIT(road) (1u << (road))
#define SEEN      (BIT(ROAD_PICTURE) | BIT(ROAD_INFO) | BIT(ROAD_PAGE)) /* whatever the words are */

/* The sample configurations of the original say `rtsp` and mean every road of viewers; the others name single
 * ones. */
static const struct {
    const char *word;
    unsigned roads;
} protos[] = {
    {"rtsp", ACCESS_ROADS_ALL},
    {"web", ACCESS_ROADS_ALL & ~BIT(ROAD_RTSP)},
    {"hls", SEEN | BIT(ROAD_HLS) | BIT(ROAD_MP4) | BIT(ROAD_TS)},
    {"mp4", SEEN | BIT(ROAD_MP4)},
    {"mse", SEEN | BIT(ROAD_WS) | BIT(ROAD_MP4)},
};

unsigned access_roads_of(struct span proto)
{
    struct span piece;
    unsigned found = 0;
    bool any = false;

    while (span_split(&proto, ',', &piece)) {
        piece = span_trim(piece);
        if (piece.n == 0) continue;
        any = true;
        for (size_t i = 0; i < ARRAY_N(protos); i++)
            if (span_iis(piece, protos[i].word)) found |= protos[i].roads;
    }
    return any ? found : ACCESS_ROADS_ALL;
}

/* --- the decision --- */

static struct access_verdict refuse(unsigned status, const char *why)
{
    return (struct access_verdict){status, why};
}

static struct access_verdict decide(const struct access_ask *a)
{
    const struct access_rule *rule = &a->stream->v.rule;
    const struct auth *auth = a->hub->auth;

    if (auth->closed || (auth->whitelist.n > 0 && !cidrs_has(&auth->whitelist, &a->address)))
        return refuse(403, "this server is open to listed addresses only");
    if (rule->mode == ACCESS_NONE) return refuse(403, "nobody may watch this stream");
    if (!(rule->roads & BIT(a->road))) return refuse(403, "this stream is not offered in this way");
    if (rule->mode == ACCESS_PROTECTED && !cidrs_has(&rule->whitelist, &a->address))
        return refuse(403, "this stream is open to listed addresses only");
    if (rule->mode == ACCESS_PRIVATE) return refuse(403, "this stream is not open to this request");
    if (!rule->enabled && (a->op == ACCESS_LIVE || a->op == ACCESS_PREVIEW))
        return refuse(503, "this stream is switched off");
    return refuse(200, "");
}

bool access_ask(struct access_ask *a)
{
    a->verdict = decide(a);
    a->session = NULL;
    return true;
}

void access_cancel(struct access_ask *a)
{
    list_remove(&a->link);
}

bool access_hold(struct access_ask *a, struct access_hold *hold)
{
    hold->session = a->session;
    return true;
}

void access_release(struct access_hold *hold)
{
    list_remove(&hold->link);
    hold->session = NULL;
}

bool access_window(const struct session *s, usec_t from_us, usec_t to_us)
{
    (void)s;
    return from_us <= to_us;
}

bool access_open(const struct hub *hub, const struct stream *s)
{
    return s->v.rule.mode == ACCESS_PUBLIC && hub->auth->whitelist.n == 0 && !hub->auth->closed;
}
