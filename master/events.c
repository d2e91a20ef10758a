#include "master/events.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/json.h"
#include "master/cluster/happened.h"
#include "master/master.h"

#include <errno.h>

void events_init(struct stream_events *ev)
{
    *ev = (struct stream_events){.n = 0};
    list_init(&ev->all);
}

static void forget(struct stream_events *ev, struct live_event *l)
{
    list_remove(&l->link);
    ev->n--;
    mem_free(l);
}

void events_done(struct stream_events *ev)
{
    LIST_EACH(&ev->all, link) forget(ev, LIST_ITEM(link, struct live_event, link));
}

/* --- telling --- */

static void tell_worker(struct stream *s, const struct live_event *l)
{
    if (s->conf && s->conf->dvr_mode == CONF_DVR_EVENT && proc_runs(&s->proc)) event_send(s->proc.ch, &l->e);
}

static void tell_keeper(struct stream *s, struct live_event *l)
{
    struct channel *keeper = services_channel(s->m, SERVICE_KEEPER);

    l->told_us = clock_mono_us();
    if (keeper) event_send(keeper, &l->e);
}

static void tell(struct stream *s, struct live_event *l)
{
    l->stored = false;
    tell_worker(s, l);
    tell_keeper(s, l);
}

void events_tell_worker(struct stream *s)
{
    LIST_EACH(&s->events.all, link) tell_worker(s, LIST_ITEM(link, struct live_event, link));
}

void events_tell_keeper(struct stream *s)
{
    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (!l->stored || l->e.end_us == 0) tell_keeper(s, l);
    }
}

void events_stored(struct stream *s, const struct event *e)
{
    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.id == e->id && l->e.end_us == e->end_us) l->stored = true;
    }
}

/* --- what happens --- */

static struct live_event *find_open(struct stream *s, const struct event *e, uint64_t key)
{
    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.end_us == 0 && l->key == key && strcmp(l->e.kind, e->kind) == 0 &&
            strcmp(l->e.source, e->source) == 0)
            return l;
    }
    return NULL;
}

static void say(const struct live_event *l, const char *what)
{
    log_event_of(LOG_INFO, l->e.uid, what, "id=%llu kind=%s source=%s", (unsigned long long)l->e.id,
        l->e.kind, l->e.source);
}

/* A site hears of it at its beginning and, when it is known, at its end. */
static void tell_hook(struct stream *s, const struct live_event *l)
{
    const struct event *e = &l->e;
    struct buf data;
    bool ok;

    buf_init(&data, HOOKS_DATA_MAX);
    ok = buf_fmt(&data, "{\"uid\":\"%s\",\"id\":%llu,\"kind\":", e->uid, (unsigned long long)e->id) &&
        json_put_text(&data, span_of(e->kind)) && buf_text(&data, ",\"source\":") &&
        json_put_text(&data, span_of(e->source)) &&
        buf_fmt(&data, ",\"start\":%.6f,", (double)e->start_us / 1e6) &&
        (e->end_us ? buf_fmt(&data, "\"end\":%.6f,", (double)e->end_us / 1e6) : true) &&
        buf_text(&data, "\"payload\":") && json_put_text(&data, span_of(e->payload)) && buf_text(&data, "}");
    if (ok) hooks_say_json(s->m, "camera:event", buf_span(&data));
    buf_done(&data);
}

static void end(struct stream *s, struct live_event *l, usec_t end_us)
{
    l->e.end_us = CLAMP(end_us, l->e.start_us, l->e.start_us + EVENT_LENGTH_MAX_US);
    say(l, "event-ends");
    tell(s, l);
    if (!l->foreign) tell_hook(s, l);
}

/* Of those that are over; of those that go on when there is no other. */
static void make_room(struct stream *s)
{
    struct live_event *oldest = LIST_ITEM(s->events.all.next, struct live_event, link);
    uint32_t held;

    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.end_us == 0) continue;
        oldest = l;
        break;
    }
    if (oldest->e.end_us == 0) end(s, oldest, clock_wall_us());
    if (!oldest->stored && log_limited(&s->events.lost, clock_mono_us(), &held))
        log_event_of(LOG_WARN, s->uid, "event-lost",
            "id=%llu why=\"more than %d that no storage has\" held=%u", (unsigned long long)oldest->e.id,
            EVENTS_STREAM_MAX, held);
    forget(&s->events, oldest);
}

/* Times of birth in microseconds: no two are the same, also over restarts. */
static uint64_t next_id(struct master *m)
{
    m->last_event = MAX(m->last_event + 1, (uint64_t)clock_wall_us());
    return m->last_event;
}

static struct live_event *add(struct stream *s, const struct event *e, uint64_t key)
{
    struct live_event *l;

    if (s->events.n == EVENTS_STREAM_MAX) make_room(s);
    l = NEW(struct live_event);
    l->e = *e;
    l->key = key;
    l->renewed_us = clock_mono_us();
    span_copy(span_of(s->uid), l->e.uid, sizeof(l->e.uid));
    list_push(&s->events.all, &l->link);
    s->events.n++;
    return l;
}

/* What a camera says all its workers hear. */
static void tell_nodes(const struct stream *s, const struct event *e)
{
    if (strcmp(e->source, "call") == 0) happened_tell(s, e);
}

const struct event *events_begin(struct stream *s, const struct event *e, uint64_t key)
{
    struct live_event *l = e->end_us == 0 ? find_open(s, e, key) : NULL;

    if (l) {
        l->renewed_us = clock_mono_us();
        return &l->e;
    }
    l = add(s, e, key);
    l->e.id = next_id(s->m);
    if (l->e.before_us < 0) l->e.before_us = s->conf->dvr_event_before_us;
    if (l->e.after_us < 0) l->e.after_us = s->conf->dvr_event_after_us;
    say(l, e->end_us ? "event" : "event-begins");
    tell(s, l);
    tell_hook(s, l);
    tell_nodes(s, &l->e);
    return &l->e;
}

const struct event *events_end(struct stream *s, const struct event *e, uint64_t key)
{
    struct live_event *l = find_open(s, e, key);

    if (!l) return NULL;
    l->foreign = false; /* its end is called here */
    if (e->payload[0]) span_copy(span_of(e->payload), l->e.payload, sizeof(l->e.payload));
    end(s, l, e->end_us);
    tell_nodes(s, &l->e);
    return &l->e;
}

static struct live_event *by_id(const struct stream *s, uint64_t id)
{
    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.id == id) return l;
    }
    return NULL;
}

void events_take(struct stream *s, const struct event *e)
{
    struct live_event *l = by_id(s, e->id);

    if (l && (l->e.end_us != 0 || e->end_us == 0)) return;
    if (l) {
        l->e.end_us = MAX(e->end_us, l->e.start_us);
        memcpy(l->e.payload, e->payload, sizeof(l->e.payload));
    } else {
        l = add(s, e, 0);
        l->foreign = true;
    }
    say(l, e->end_us ? "event" : "event-begins");
    tell(s, l);
}

int events_said(struct stream *s, const struct packed *body)
{
    struct event *e = NEW(struct event);
    bool ok = event_read(body, e) && strcmp(e->uid, s->uid) == 0;
    uint64_t key = e->id;

    e->before_us = e->after_us = -1;
    span_copy(SPAN_LIT("onvif"), e->source, sizeof(e->source));
    if (ok && packed_bool(body, "over", false))
        (void)events_end(s, e, key);
    else if (ok)
        (void)events_begin(s, e, key);
    mem_free(e);
    return ok ? 0 : -EPROTO;
}

const struct event *events_find(const struct stream *s, uint64_t id)
{
    const struct live_event *l = by_id(s, id);

    return l ? &l->e : NULL;
}

/* --- time --- */

static bool over(const struct live_event *l, usec_t wall_us)
{
    return l->stored && l->e.end_us != 0 && wall_us > l->e.end_us + l->e.after_us + EVENTS_PAST_US;
}

void events_check(struct stream *s, usec_t mono_us, usec_t wall_us)
{
    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.end_us == 0 &&
            (mono_us - l->renewed_us > EVENTS_OPEN_US || wall_us - l->e.start_us >= EVENT_LENGTH_MAX_US))
            end(s, l, wall_us);
        if (!l->stored && mono_us - l->told_us > EVENTS_AGAIN_US) tell_keeper(s, l);
        if (over(l, wall_us)) forget(&s->events, l);
    }
}

void events_stop(struct stream *s)
{
    usec_t now_us = clock_wall_us();

    LIST_EACH(&s->events.all, link)
    {
        struct live_event *l = LIST_ITEM(link, struct live_event, link);

        if (l->e.end_us == 0) end(s, l, now_us);
    }
}
