/* Words of the configuration and of the script for who may watch. */
#include "httpd/access.h"

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

/* The sample configurations of the original say `rtsp` and mean every road of viewers; the others name single
 * ones. */
#define BIT(road) (1u << (road))
#define SEEN      (BIT(ROAD_PICTURE) | BIT(ROAD_INFO) | BIT(ROAD_PAGE)) /* whatever the words are */

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
