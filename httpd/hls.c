#include "httpd/hls.h"
#include "common/base/clock.h"

#define CODECS_MAX          48
#define BANDWIDTH_LEAST     64000   /* players divide by it */
#define BANDWIDTH_OTHERWISE 4000000 /* before anything was measured */

unsigned hls_rounded_s(usec_t dur_us)
{
    return (unsigned)MAX((dur_us + US_PER_S / 2) / US_PER_S, 1);
}

void hls_begin(struct text *to, const struct hls_head *h)
{
    text_fmt(to, "#EXTM3U\n#EXT-X-VERSION:%u\n", h->ts ? 3 : h->skips ? 9 : h->gaps ? 8 : 7);
    text_fmt(to, "#EXT-X-TARGETDURATION:%u\n", h->target_s);
    text_fmt(to, "#EXT-X-MEDIA-SEQUENCE:%llu\n", (unsigned long long)h->msn);
    if (h->discont_seq > 0)
        text_fmt(to, "#EXT-X-DISCONTINUITY-SEQUENCE:%llu\n", (unsigned long long)h->discont_seq);
    if (h->type) text_fmt(to, "#EXT-X-PLAYLIST-TYPE:%s\n", h->type);
    if (h->independent) text_put(to, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    if (h->from_start) text_put(to, "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES\n");
    if (h->start_us != 0)
        text_fmt(to, "#EXT-X-START:TIME-OFFSET=%s%lld.%03u,PRECISE=YES\n", h->start_us < 0 ? "-" : "",
            (long long)(llabs(h->start_us) / US_PER_S),
            (unsigned)(llabs(h->start_us) % US_PER_S / US_PER_MS));
}

void hls_map(struct text *to, const char *uri)
{
    text_fmt(to, "#EXT-X-MAP:URI=\"%s\"\n", uri);
}

void hls_segment_begin(struct text *to, bool discont, usec_t wall_us)
{
    char iso[CLOCK_ISO_MAX];

    if (discont) text_put(to, "#EXT-X-DISCONTINUITY\n");
    if (wall_us > 0) text_fmt(to, "#EXT-X-PROGRAM-DATE-TIME:%s\n", clock_iso(wall_us, iso));
}

void hls_segment_end(struct text *to, usec_t dur_us, const char *uri)
{
    text_fmt(
        to, "#EXTINF:%lld.%06u,\n%s\n", (long long)(dur_us / US_PER_S), (unsigned)(dur_us % US_PER_S), uri);
}

void hls_segment(struct text *to, const struct hls_segment *s)
{
    hls_segment_begin(to, s->discont, s->wall_us);
    hls_segment_end(to, s->dur_us, s->uri);
}

static void write_seconds(struct text *to, const char *name, usec_t us)
{
    text_fmt(to, "%s%lld.%06u", name, (long long)(us / US_PER_S), (unsigned)(us % US_PER_S));
}

void hls_low(struct text *to, usec_t part_us, unsigned target_s)
{
    text_put(to, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES");
    write_seconds(to, ",PART-HOLD-BACK=", HLS_HOLD_BACK_PARTS * part_us);
    text_fmt(to, ",CAN-SKIP-UNTIL=%u.0", HLS_SKIP_TARGETS * target_s);
    write_seconds(to, "\n#EXT-X-PART-INF:PART-TARGET=", part_us);
    text_put(to, "\n");
}

void hls_skip(struct text *to, size_t n)
{
    text_fmt(to, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%zu\n", n);
}

void hls_part(struct text *to, usec_t dur_us, const char *uri, bool independent)
{
    write_seconds(to, "#EXT-X-PART:DURATION=", dur_us);
    text_fmt(to, ",URI=\"%s\"%s\n", uri, independent ? ",INDEPENDENT=YES" : "");
}

void hls_hint(struct text *to, const char *uri)
{
    text_fmt(to, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%s\"\n", uri);
}

void hls_report(struct text *to, const char *uri, uint64_t msn, int64_t part)
{
    text_fmt(to, "#EXT-X-RENDITION-REPORT:URI=\"%s\",LAST-MSN=%llu", uri, (unsigned long long)msn);
    if (part >= 0) text_fmt(to, ",LAST-PART=%lld", (long long)part);
    text_put(to, "\n");
}

void hls_end(struct text *to)
{
    text_put(to, "#EXT-X-ENDLIST\n");
}

static void write_codecs(struct text *to, const struct hls_variant *v)
{
    char codec[CODECS_MAX];
    bool first = true;

    for (unsigned i = 0; i < v->tracks->n; i++) {
        if (!(v->mask & 1u << i) || codec_rfc6381(&v->tracks->t[i], codec, sizeof(codec))[0] == '\0')
            continue;
        text_fmt(to, "%s%s", first ? ",CODECS=\"" : ",", codec);
        first = false;
    }
    if (!first) text_put(to, "\"");
}

static void write_variant(struct text *to, const struct hls_variant *v)
{
    uint32_t bandwidth = v->bandwidth > 0 ? MAX(v->bandwidth, BANDWIDTH_LEAST) : BANDWIDTH_OTHERWISE;
    int video = track_find(v->tracks, TRACK_VIDEO);

    text_fmt(to, "#EXT-X-STREAM-INF:BANDWIDTH=%u", bandwidth);
    if (v->average > 0) text_fmt(to, ",AVERAGE-BANDWIDTH=%u", MAX(v->average, BANDWIDTH_LEAST));
    write_codecs(to, v);
    if (video >= 0 && v->tracks->t[video].width > 0)
        text_fmt(to, ",RESOLUTION=%ux%u", v->tracks->t[video].width, v->tracks->t[video].height);
    if (v->fps_milli > 0) text_fmt(to, ",FRAME-RATE=%u.%03u", v->fps_milli / 1000, v->fps_milli % 1000);
    text_fmt(to, "\n%s\n", v->uri);
}

void hls_master(struct text *to, const struct hls_variant *v, size_t n)
{
    text_put(to, "#EXTM3U\n#EXT-X-VERSION:7\n");
    for (size_t i = 0; i < n; i++) write_variant(to, &v[i]);
}

static bool absolute(struct span uri)
{
    return uri.n == 0 || uri.p[0] == '/' || span_find_span(uri, SPAN_LIT("://")) >= 0;
}

static void put_span(struct text *to, struct span s)
{
    text_fmt(to, "%.*s", SPAN_FMT(s));
}

/* Names stand in URI="..." of tags, and on lines of their own. */
static void line_below(struct text *to, struct span line, const char *prefix)
{
    const struct span attribute = SPAN_LIT("URI=\"");
    ssize_t at;

    if (line.n > 0 && line.p[0] != '#') {
        if (!absolute(line)) text_put(to, prefix);
        put_span(to, line);
        return;
    }
    while ((at = span_find_span(line, attribute)) >= 0) {
        size_t n = (size_t)at + attribute.n;
        struct span uri = span_from(line, n);
        ssize_t end = span_find(uri, '"');

        put_span(to, span_sub(line, 0, n));
        if (!absolute(span_sub(uri, 0, end < 0 ? uri.n : (size_t)end))) text_put(to, prefix);
        line = uri;
    }
    put_span(to, line);
}

void hls_below(struct text *to, struct span playlist, const char *prefix)
{
    struct span line;

    while (span_split(&playlist, '\n', &line)) {
        line_below(to, line, prefix);
        if (playlist.p) text_put(to, "\n");
    }
}
