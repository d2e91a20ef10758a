#include "worker/settings.h"
#include "common/media/track.h"
#include "common/ring/ring.h"
#include "common/wire/url.h"

#define CHUNK_LEAST_US   (5 * US_PER_S)
#define CHUNK_MOST_US    (3600 * US_PER_S)
#define CHUNK_US         (120 * US_PER_S)
#define RING_MAX_BYTES   (32u << 20)
#define INVALID_AFTER    10
#define RETRY_NUMBERS    500
#define RETRY_FIRST_US   (10 * US_PER_S)
#define RETRY_MOST_US    (1800 * US_PER_S)
#define EVENT_BEFORE_MAX (600 * US_PER_S)

static const struct {
    const char *name;
    unsigned bit;
} track_names[] = {
    {"video", 1u << TRACK_VIDEO},
    {"audio", 1u << TRACK_AUDIO},
    {"data", 1u << TRACK_DATA},
};

static const struct {
    const char *name;
    enum rtsp_transport_choice choice;
} transports[] = {
    {"auto", RTSP_TRANSPORT_AUTO},
    {"tcp", RTSP_TRANSPORT_TCP},
    {"udp", RTSP_TRANSPORT_UDP},
};

static const struct {
    const char *name;
    enum record_mode mode;
} modes[] = {
    {"continuous", RECORD_CONTINUOUS},
    {"event", RECORD_EVENT},
    {"schedule", RECORD_ORDERED},
    {"ondemand", RECORD_ORDERED},
};

static unsigned tracks_of(struct span text)
{
    unsigned bits = 0;
    struct span piece;

    while (span_split(&text, ',', &piece))
        for (size_t i = 0; i < ARRAY_N(track_names); i++)
            if (span_iis(span_trim(piece), track_names[i].name)) bits |= track_names[i].bit;
    return bits;
}

static enum rtsp_transport_choice transport_of(struct span text)
{
    for (size_t i = 0; i < ARRAY_N(transports); i++)
        if (span_iis(text, transports[i].name)) return transports[i].choice;
    return RTSP_TRANSPORT_AUTO;
}

static enum record_mode mode_of(struct span text)
{
    for (size_t i = 0; i < ARRAY_N(modes); i++)
        if (span_iis(text, modes[i].name)) return modes[i].mode;
    return RECORD_CONTINUOUS;
}

static usec_t duration(
    const struct packed *body, const char *key, usec_t otherwise, usec_t least, usec_t most)
{
    usec_t v = packed_i64(body, key, otherwise);

    return v <= 0 ? otherwise : CLAMP(v, least, most);
}

bool settings_read(const struct packed *body, struct settings *ret, const char **ret_why)
{
    struct span url = packed_str(body, "url");
    struct settings s = {
        .hash = packed_u64(body, "hash", 0),
        .tracks = tracks_of(packed_str(body, "tracks")),
        .transport = transport_of(packed_str(body, "transport")),
        .on_demand = packed_bool(body, "on_demand", false),
        .invalid_after = (uint32_t)packed_u64(body, "invalid_after", INVALID_AFTER),
        .retry_numbers = (uint32_t)packed_u64(body, "retry_numbers", RETRY_NUMBERS),
        .retry_first_us = duration(body, "retry_first_us", RETRY_FIRST_US, 1, INT64_MAX),
        .retry_most_us = duration(body, "retry_most_us", RETRY_MOST_US, 1, INT64_MAX),
        .record = packed_bool(body, "record", false),
        .mode = mode_of(packed_str(body, "mode")),
        .chunk_us = duration(body, "chunk_us", CHUNK_US, CHUNK_LEAST_US, CHUNK_MOST_US),
        .event_before_us = CLAMP(packed_i64(body, "event_before_us", 0), 0, EVENT_BEFORE_MAX),
        .ring_max =
            (uint32_t)CLAMP(packed_u64(body, "ring_max", RING_MAX_BYTES), RING_DATA_MIN, RING_DATA_MAX),
    };

    *ret = (struct settings){0};
    if (!packed_text(body, "uid", s.uid, sizeof(s.uid)) || s.uid[0] == '\0') {
        *ret_why = "no uid";
        return false;
    }
    if (url.n == 0 || url.n > SETTINGS_URL_MAX) {
        *ret_why = "no url, or it is too long";
        return false;
    }
    if (s.tracks == 0) {
        *ret_why = "no tracks";
        return false;
    }
    (void)packed_text(body, "user_agent", s.user_agent, sizeof(s.user_agent));
    s.url = secret_of(url);
    *ret = s;
    return true;
}

void settings_done(struct settings *s)
{
    secret_done(&s->url);
    *s = (struct settings){0};
}

bool settings_same_source(const struct settings *a, const struct settings *b)
{
    return span_eq(secret_reveal(&a->url), secret_reveal(&b->url)) && a->tracks == b->tracks &&
        a->transport == b->transport && strcmp(a->user_agent, b->user_agent) == 0;
}

bool settings_pushed(const struct settings *s)
{
    struct url u;

    return url_parse(secret_reveal(&s->url), &u) == 0 && u.scheme == URL_PUBLISH;
}

unsigned settings_tracks(const struct settings *s)
{
    return s->tracks | (s->record && s->mode == RECORD_EVENT ? 1u << TRACK_DATA : 0);
}
