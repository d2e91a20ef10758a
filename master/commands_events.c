/* msctl event, events, record: what happened, and what is recorded by order. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "master/master.h"

#include <stdlib.h>

#define AHEAD_US (86400 * US_PER_S) /* an event may begin so far in the future */

static int refuse(struct session *s, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return CTL_USAGE;
}

static struct stream *stream_of(struct session *s)
{
    struct stream *st = fleet_stream(s->m, span_of(s->args[0]));

    if (!st) snprintf(s->text, sizeof(s->text), "no such stream: %.256s", s->args[0]);
    return st;
}

/* --- event UID KIND [start=T] [end=T] [before=D] [after=D] [payload=TEXT] --- */

static bool take_time(struct span v, usec_t *field)
{
    if (span_is(v, "now")) {
        *field = clock_wall_us();
        return true;
    }
    return value_time_us(v, field) && *field > AHEAD_US && *field < clock_wall_us() + AHEAD_US;
}

static bool take_roll(struct span v, usec_t *field)
{
    return value_duration(v, field) && *field <= EVENT_ROLL_MAX_US;
}

/* NULL, or what is wrong. */
static const char *take_option(struct span arg, struct event *e)
{
    const struct {
        const char *name;
        bool (*take)(struct span v, usec_t *field);
        usec_t *field;
        const char *wrong;
    } rows[] = {{"start", take_time, &e->start_us,
                    "start: a date and time, unix seconds or now; at most a day ahead"},
        {"end", take_time, &e->end_us, "end: a date and time, unix seconds or now; at most a day ahead"},
        {"before", take_roll, &e->before_us, "before: a duration of at most a day"},
        {"after", take_roll, &e->after_us, "after: a duration of at most a day"}};
    struct span name;

    if (!span_split(&arg, '=', &name)) return "an option is NAME=VALUE";
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (span_is(name, rows[i].name)) return rows[i].take(arg, rows[i].field) ? NULL : rows[i].wrong;
    if (!span_is(name, "payload")) return "an option is start, end, before, after or payload";
    return span_copy(arg, e->payload, sizeof(e->payload)) ? NULL : "payload: too long";
}

static bool row_event(struct session *s, struct packer *p)
{
    if (s->at++ > 0) return false;
    pack_map(p, 2);
    pack_kv_u64(p, "id", *(const uint64_t *)s->data);
    pack_kv_text(p, "uid", s->args[0]);
    return true;
}

/* An end alone is that of the event that goes on; where none does, of one that was but a moment. */
static const struct event *happens(struct stream *st, struct event *e)
{
    const struct event *got = e->end_us != 0 && e->start_us == 0 ? events_end(st, e, 0) : NULL;

    if (got) return got;
    if (e->start_us == 0) e->start_us = e->end_us != 0 ? e->end_us : clock_wall_us();
    return events_begin(st, e, 0);
}

static int run_event(struct session *s)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct stream *st = stream_of(s);
    const char *wrong = NULL;
    uint64_t *id;

    if (!st) return CTL_NOT_FOUND;
    if (!event_kind_ok(span_of(s->args[1])))
        return refuse(s, "a kind is 1 to 64 letters, digits, '-', '_', '.', '/', ':'");
    *e = (struct event){.before_us = -1, .after_us = -1};
    span_copy(span_of(s->args[1]), e->kind, sizeof(e->kind));
    span_copy(SPAN_LIT("call"), e->source, sizeof(e->source));
    for (size_t i = 2; i < s->n_args && !wrong; i++) wrong = take_option(span_of(s->args[i]), e);
    if (wrong) return refuse(s, wrong);
    if (e->end_us != 0 && e->start_us > e->end_us) return refuse(s, "it ends before it begins");
    if (e->start_us != 0 && e->end_us - e->start_us > EVENT_LENGTH_MAX_US)
        return refuse(s, "an event lasts a day at most");
    s->data = id = NEW(uint64_t);
    s->data_free = mem_free;
    *id = happens(st, e)->id;
    return CTL_OK;
}

/* --- events [UID] [from=T] [to=T] [kind=K] [limit=N]: of the storages, and what none of them has yet --- */

struct waiting {
    uint64_t id;
    char uid[CONF_UID_MAX + 1];
    bool listed; /* by a storage, meanwhile */
};
struct waiting_list {
    struct event_query q;
    size_t n, at;
    struct waiting *v; /* by id */
};

static void waiting_free(void *data)
{
    struct waiting_list *w = data;

    mem_free(w->v);
    mem_free(w);
}

static int by_id(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static void note_waiting(const struct stream *s, struct waiting_list *w)
{
    if (w->q.uid[0] && strcmp(w->q.uid, s->uid) != 0) return;
    LIST_EACH(&s->events.all, link)
    {
        const struct live_event *l = LIST_ITEM(link, struct live_event, link);
        struct waiting *one;

        if (l->stored || !event_matches(&l->e, &w->q)) continue;
        if (w->n % EVENTS_STREAM_MAX == 0) w->v = mem_renew(w->v, (w->n + EVENTS_STREAM_MAX) * sizeof(*w->v));
        one = &w->v[w->n++];
        *one = (struct waiting){.id = l->e.id};
        memcpy(one->uid, s->uid, sizeof(one->uid));
    }
}

static void keeper_listed(struct session *s, const struct packed *rows)
{
    struct waiting_list *w = s->data;

    for (size_t i = 0; w->n > 0 && i < packed_n(rows); i++) {
        struct waiting key = {.id = packed_u64(packed_at(rows, i), "id", 0)};
        struct waiting *found = bsearch(&key, w->v, w->n, sizeof(key), by_id);

        if (found) found->listed = true;
    }
}

static bool row_waiting(struct session *s, struct packer *p)
{
    struct waiting_list *w = s->data;

    while (w->at < w->n) {
        const struct waiting *one = &w->v[w->at++];
        const struct stream *st = one->listed ? NULL : fleet_stream(s->m, span_of(one->uid));
        const struct event *e = st ? events_find(st, one->id) : NULL;

        if (!e) continue;
        pack_map(p, EVENT_ROW_KEYS(e));
        event_row(p, e);
        return true;
    }
    return false;
}

/* Whoever is held to some cameras is given the newest of these. */
static void only_seen(struct session *s)
{
    if (s->caller.cameras[0])
        snprintf(s->args[s->n_args++], sizeof(s->args[0]), "seen=%s", s->caller.cameras);
}

static int run_events(struct session *s)
{
    struct waiting_list *w = NEW(struct waiting_list);
    bool ok = true;

    w->q = EVENT_QUERY_ALL;
    s->data = w;
    s->data_free = waiting_free;
    s->keep_rows = keeper_listed;
    for (size_t i = 0; i < s->n_args && ok; i++)
        ok = event_query_take(&w->q, span_of(s->args[i]), value_time_us);
    for (size_t i = 0; i < s->m->conf->n_streams && ok; i++) {
        const struct stream *st = fleet_stream(s->m, span_of(s->m->conf->streams[i]->uid));

        if (st) note_waiting(st, w);
    }
    if (w->n > 0) qsort(w->v, w->n, sizeof(*w->v), by_id);
    if (ok && w->q.limit > 0) only_seen(s);
    return control_ask_keeper(s); /* which refuses wrong arguments */
}

/* --- record UID on [SECONDS] [until-restart] | off --- */

static int run_record(struct session *s)
{
    struct stream *st = stream_of(s);
    bool on = strcmp(s->args[1], "on") == 0, keep = true;
    usec_t for_us = 0;

    if (!st) return CTL_NOT_FOUND;
    if (!on && (strcmp(s->args[1], "off") != 0 || s->n_args > 2))
        return refuse(s, "record UID on [SECONDS], or off");
    for (size_t i = 2; i < s->n_args; i++) {
        if (strcmp(s->args[i], "until-restart") == 0)
            keep = false;
        else if (!value_duration(span_of(s->args[i]), &for_us) || for_us == 0)
            return refuse(s, "for how long: seconds, or a duration such as 10m");
    }
    if (st->conf->dvr_mode != CONF_DVR_ONDEMAND) {
        snprintf(s->text, sizeof(s->text), "not done: dvr-mode of this stream is %s, not ondemand",
            conf_dvr_mode_word(st->conf->dvr_mode));
        return CTL_FAILED;
    }
    record_set(st, !on ? 0 : for_us ? clock_wall_us() + for_us : -1, keep);
    return CTL_OK;
}

/* --- pause UID [SECONDS], resume UID: whatever its dvr-mode --- */

static int run_pause(struct session *s)
{
    struct stream *st = stream_of(s);
    usec_t for_us = 0;

    if (!st) return CTL_NOT_FOUND;
    if (!st->conf->record) {
        span_copy(SPAN_LIT("not done: this stream is not recorded"), s->text, sizeof(s->text));
        return CTL_FAILED;
    }
    if (s->n_args == 2 && (!value_duration(span_of(s->args[1]), &for_us) || for_us == 0))
        return refuse(s, "for how long: seconds, or a duration such as 10m");
    record_pause(st, for_us ? clock_wall_us() + for_us : -1);
    return CTL_OK;
}

/* --- broadcast UID on|off [SECONDS]: may it be watched live? --- */

static int run_broadcast(struct session *s)
{
    struct stream *st = stream_of(s);
    bool on = strcmp(s->args[1], "on") == 0;
    usec_t for_us = 0;

    if (!st) return CTL_NOT_FOUND;
    if ((!on && strcmp(s->args[1], "off") != 0) || (on && s->n_args > 2))
        return refuse(s, "broadcast UID on, or off [SECONDS]");
    if (s->n_args == 3 && (!value_duration(span_of(s->args[2]), &for_us) || for_us == 0))
        return refuse(s, "for how long: seconds, or a duration such as 10m");
    record_unseen(st, on ? 0 : for_us ? clock_wall_us() + for_us : -1);
    return CTL_OK;
}

static int run_resume(struct session *s)
{
    struct stream *st = stream_of(s);

    if (!st) return CTL_NOT_FOUND;
    record_pause(st, 0);
    return CTL_OK;
}

const struct command commands_events[] = {
    {"event", 2, 7, run_event, row_event},
    {"events", 0, 5, run_events, row_waiting},
    {"record", 2, 4, run_record, NULL},
    {"pause", 1, 2, run_pause, NULL},
    {"resume", 1, 1, run_resume, NULL},
    {"broadcast", 2, 3, run_broadcast, NULL},
};
const size_t n_commands_events = ARRAY_N(commands_events);
