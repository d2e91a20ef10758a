#include "httpd/picture_road.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/url.h"
#include "httpd/bytes.h"

#define WIDTH_TEXT_MAX 8

bool shot_width(struct http *h, uint16_t *ret)
{
    char text[WIDTH_TEXT_MAX];
    struct span query = h->ask->req.query, rest = query, name, value;
    uint64_t width;
    bool given = false;

    while (url_query_next(&rest, &name, &value)) given |= span_is(name, "width");
    *ret = 0;
    if (!given) return true;
    if (url_query_get(query, "width", text, sizeof(text)) &&
        span_u64(span_of(text), PICTURE_OUT_MAX, &width) && width >= PICTURE_OUT_MIN) {
        *ret = (uint16_t)width;
        return true;
    }
    answer_error(h, 400, "width is %d to %d", PICTURE_OUT_MIN, PICTURE_OUT_MAX);
    return false;
}

bool shot_source(struct picture_source *src, const struct track *t, uint16_t width)
{
    struct picture_ask *a = &src->ask;

    if (t->codec != CODEC_H264 && t->codec != CODEC_H265) return false;
    a->kind = PICTURE_JPEG;
    a->codec = t->codec;
    a->width = width;
    a->quality = PICTURE_QUALITY;
    a->sar_w = t->sar_w;
    a->sar_h = t->sar_h;
    a->config_n = t->config_n;
    memcpy(a->config, t->config, t->config_n);
    return true;
}

/* --- its answer --- */

void shot_times(struct wr *w, usec_t wall_us, usec_t age_us)
{
    char date[CLOCK_ISO_MAX];

    wr_fmt(w, "X-Picture-Time: %s\r\n", clock_iso(wall_us, date));
    if (age_us > 0) wr_fmt(w, "X-Picture-Age: %lld\r\n", (long long)(age_us / US_PER_S));
}

static void refuse(struct http *h, int err)
{
    bool never = err == PICTURES_E_BAD || err == PICTURES_E_LARGE;

    if (never)
        answer_error(h, 415, "%s", pictures_why(err));
    else
        answer_error_with(h, 503, err == PICTURES_E_POISON ? "Retry-After: 60\r\n" : "Retry-After: 3\r\n",
            "%s", pictures_why(err));
}

static void send_picture(struct http *h, const struct shot *w)
{
    const struct picture *p = w->job.picture;
    struct answer a = {.status = 200, .type = "image/jpeg", .cache = w->cache};
    struct chunk *c = bytes_chunk(span(p->data, p->n));
    char extra[ANSWER_EXTRA_MAX], etag[ETAG_MAX];
    usec_t wall_us = w->wall_us + p->pts;
    struct wr x = wr_of(extra, sizeof(extra));

    if (!c) {
        refuse(h, PICTURES_E_BUSY);
        return;
    }
    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)hash_fnv1a(span_of(w->key)));
    a.v.etag = span_of(etag);
    a.v.modified_us = wall_us;
    shot_times(&x, wall_us, w->age_us);
    a.extra = wr_cstr(&x);
    answer_chunk(h, &a, c);
    chunk_unref(c);
}

static void made(struct picture_job *j)
{
    struct shot *w = CONTAINER(j, struct shot, job);
    struct http *h = w->h;

    if (h) {
        loop_timer_stop(&h->timer);
        h->ask->work = NULL;
        h->ask->abort = NULL;
        if (j->err == PICTURES_OK)
            send_picture(h, w);
        else
            refuse(h, j->err);
    }
    picture_unref(j->picture);
    mem_free(w);
}

/* --- waiting for it --- */

static void forget(struct http *h)
{
    struct shot *w = h->ask->work;

    w->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    forget(h);
    refuse(h, PICTURES_E_BUSY);
}

bool shot_start(struct http *h, struct shot *w, struct picture_source *src)
{
    w->h = h;
    w->job.loop = h->hub->loop;
    w->job.done = made;
    if (!pictures_ask(h->hub->server->pictures, w->key, src, &w->job)) return false;
    h->ask->work = w;
    h->ask->abort = forget;
    http_timer(h, SHOT_WAIT_US, late);
    return true;
}
