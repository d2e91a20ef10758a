#include "httpd/rtsp/describe.h"
#include "common/proto/rtcp.h"

#include <time.h>

static const char *const media_names[] = {
    [TRACK_VIDEO] = "video", [TRACK_AUDIO] = "audio", [TRACK_DATA] = "application"};
static const char *const kind_names[] = {
    [TRACK_VIDEO] = "video", [TRACK_AUDIO] = "audio", [TRACK_DATA] = "data"};

static bool is_there(const struct pay *p)
{
    return p->form != NULL;
}

/* "video", "audio2": the second of its kind. */
static void put_kind(const uint8_t kinds[TRACK_MAX], size_t i, struct wr *w)
{
    unsigned nth = 1;

    for (size_t k = 0; k < i; k++) nth += kinds[k] == kinds[i];
    wr_text(w, kind_names[kinds[i]]);
    if (nth > 1) wr_fmt(w, "%u", nth);
}

void describe_kinds(const struct describe *d, uint8_t ret[TRACK_MAX])
{
    memset(ret, 0, TRACK_MAX);
    for (size_t i = 0; i < d->n; i++)
        if (is_there(&d->pay[i])) ret[i] = (uint8_t)d->pay[i].track.kind;
}

void describe_control(const uint8_t kinds[TRACK_MAX], size_t i, bool by_kind, struct wr *w)
{
    if (!by_kind) {
        wr_fmt(w, "trackID=%zu", i);
        return;
    }
    wr_text(w, "track=");
    put_kind(kinds, i, w);
}

int describe_track(const uint8_t kinds[TRACK_MAX], struct span control)
{
    struct span name;
    uint64_t number;

    if (!span_split(&control, '=', &name) || control.p == NULL) return -1;
    if (span_iis(name, "trackID"))
        return span_u64(control, TRACK_MAX - 1, &number) && kinds[number] ? (int)number : -1;
    if (!span_iis(name, "track")) return -1;
    for (size_t i = 0; i < TRACK_MAX; i++) {
        char text[16];
        struct wr w = wr_of(text, sizeof(text));

        if (kinds[i] == 0) continue;
        put_kind(kinds, i, &w);
        if (span_eq(control, wr_span(&w))) return (int)i;
    }
    return -1;
}

void describe_clock(struct wr *w, usec_t wall_us)
{
    time_t s = (time_t)(wall_us / US_PER_S);
    struct tm tm = {0};

    gmtime_r(&s, &tm);
    wr_fmt(w, "%04d%02d%02dT%02d%02d%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
        tm.tm_min, tm.tm_sec, (int)(wall_us % US_PER_S / US_PER_MS));
}

/* Control characters would end the line. */
static void put_name(struct wr *w, const char *name)
{
    wr_text(w, "s=");
    for (const char *c = name; *c; c++) wr_u8(w, (uint8_t)*c < ' ' || *c == 0x7f ? '?' : (uint8_t)*c);
    wr_text(w, name[0] ? "\r\n" : " \r\n");
}

static void put_range(const struct describe *d, struct wr *w)
{
    if (d->start_us == 0) {
        wr_text(w, "t=0 0\r\na=range:npt=now-\r\n");
        return;
    }
    wr_fmt(w, "t=%lld 0\r\na=range:clock=", (long long)(d->start_us / US_PER_S) + NTP_TO_UNIX_S);
    describe_clock(w, d->start_us);
    wr_u8(w, '-');
    if (d->end_us > 0) describe_clock(w, d->end_us);
    wr_text(w, "\r\n");
}

static void put_media(const struct describe *d, size_t i, struct wr *w)
{
    const struct pay *p = &d->pay[i];
    uint8_t kinds[TRACK_MAX];
    size_t begin, empty;

    wr_fmt(w, "m=%s 0 RTP/AVP %u\r\na=rtpmap:%u ", media_names[p->track.kind], p->pt, p->pt);
    pay_rtpmap(p, w);
    wr_text(w, "\r\n");
    begin = w->n;
    wr_fmt(w, "a=fmtp:%u ", p->pt);
    empty = w->n;
    pay_fmtp(p, w);
    if (w->n == empty)
        w->n = begin;
    else
        wr_text(w, "\r\n");
    if (p->track.kind == TRACK_VIDEO && p->track.width > 0)
        wr_fmt(w, "a=x-dimensions:%u,%u\r\n", p->track.width, p->track.height);
    wr_text(w, "a=control:");
    describe_kinds(d, kinds);
    describe_control(kinds, i, d->kind_names, w);
    wr_text(w, "\r\na=sendonly\r\n");
}

void describe_write(const struct describe *d, struct wr *w)
{
    wr_fmt(w, "v=0\r\no=- %llu 1 IN IP4 0.0.0.0\r\n", (unsigned long long)d->id);
    put_name(w, d->name);
    wr_text(w, "c=IN IP4 0.0.0.0\r\n");
    put_range(d, w);
    wr_text(w, "a=control:*\r\n");
    for (size_t i = 0; i < d->n; i++)
        if (is_there(&d->pay[i])) put_media(d, i, w);
}
