#include "worker/onvif_events.h"
#include "common/base/map.h"

#define MINUTE_US (60 * US_PER_S)

/* Topics that are about what is before the camera (ONVIF Core 9.11, Imaging, Analytics, DeviceIO). */
static const char *const topics[] = {
    "VideoSource/", "RuleEngine/", "VideoAnalytics/", "AudioAnalytics/", "Device/Trigger/"};

static bool counts(const char *topic)
{
    for (size_t i = 0; i < ARRAY_N(topics); i++)
        if (span_starts(span_of(topic), span_of(topics[i]))) return true;
    return false;
}

/* "motion" for all the ways to say it; else the topic, with what no kind has as '_'. */
static void kind_of(const char *topic, char kind[EVENT_KIND_MAX])
{
    span_copy(strstr(topic, "Motion") ? SPAN_LIT("motion") : span_of(topic), kind, EVENT_KIND_MAX);
    for (char *c = kind; *c; c++)
        if (!event_kind_ok(span(c, 1))) *c = '_';
}

static uint64_t key_of(const struct onvif_message *m)
{
    uint64_t key = hash_fnv1a(span_of(m->topic)) * 31 + hash_fnv1a(span_of(m->source));

    return key ? key : 1;
}

static struct onvif_state *state_of(struct onvif_events *ev, uint64_t key, bool *ret_fresh)
{
    struct onvif_state *s;

    *ret_fresh = false;
    for (unsigned i = 0; i < ev->n; i++)
        if (ev->v[i].key == key) return &ev->v[i];
    *ret_fresh = true;
    s = &ev->v[ev->n < ONVIF_STATES_MAX ? ev->n++ : ev->next++ % ONVIF_STATES_MAX];
    *s = (struct onvif_state){.key = key};
    return s;
}

static bool may_begin(struct onvif_events *ev, usec_t wall_us)
{
    if (wall_us - ev->minute_us >= MINUTE_US || wall_us < ev->minute_us) {
        ev->minute_us = wall_us;
        ev->begun = 0;
    }
    if (ev->begun++ < ONVIF_MINUTE_MAX) return true;
    ev->held++;
    return false;
}

static void fill(struct event *e, uint64_t key, const char *kind, usec_t start_us, usec_t end_us)
{
    *e = (struct event){.id = key, .start_us = start_us, .end_us = end_us};
    span_copy(span_of(kind), e->kind, sizeof(e->kind));
    span_copy(SPAN_LIT("onvif"), e->source, sizeof(e->source));
}

static void describe(struct event *e, const struct onvif_message *m)
{
    snprintf(e->payload, sizeof(e->payload), "%s%s%s%s%s%s%s", m->topic, m->source[0] ? " " : "", m->source,
        m->data[0] ? " " : "", m->data, m->utc[0] ? " UtcTime=" : "", m->utc);
}

enum onvif_tell onvif_events_take(
    struct onvif_events *ev, const struct onvif_message *m, usec_t wall_us, struct event *ret)
{
    bool state = m->state && m->operation != ONVIF_DELETED, fresh;
    uint64_t key = key_of(m);
    struct onvif_state *s;
    char kind[EVENT_KIND_MAX];

    if (!counts(m->topic)) return ONVIF_TELL_NOT;
    kind_of(m->topic, kind);
    if (!m->has_state && m->operation != ONVIF_DELETED) {
        fill(ret, key, kind, wall_us, wall_us);
        describe(ret, m);
        return m->operation != ONVIF_INITIALIZED && may_begin(ev, wall_us) ? ONVIF_TELL : ONVIF_TELL_NOT;
    }
    s = state_of(ev, key, &fresh);
    span_copy(span_of(kind), s->kind, sizeof(s->kind));
    if (!state) {
        bool over = s->on || fresh;

        fill(ret, key, kind, s->on ? s->start_us : wall_us, MAX(wall_us, s->start_us));
        s->on = false;
        return over ? ONVIF_TELL_OVER : ONVIF_TELL_NOT;
    }
    if (s->on && wall_us - s->said_us < ONVIF_AGAIN_US) return ONVIF_TELL_NOT;
    if (!s->on && !may_begin(ev, wall_us)) return ONVIF_TELL_NOT;
    if (!s->on) s->start_us = wall_us;
    s->on = true;
    s->said_us = wall_us;
    fill(ret, key, kind, s->start_us, 0);
    describe(ret, m);
    return ONVIF_TELL;
}

bool onvif_events_end(struct onvif_events *ev, usec_t wall_us, struct event *ret)
{
    for (unsigned i = 0; i < ev->n; i++) {
        struct onvif_state *s = &ev->v[i];

        if (!s->on) continue;
        s->on = false;
        fill(ret, s->key, s->kind, s->start_us, MAX(wall_us, s->start_us));
        return true;
    }
    return false;
}
