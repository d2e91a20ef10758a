#include "tests/support/hub_help.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "httpd/guess.h"

void hub_help_start(struct hub_help *h)
{
    *h = (struct hub_help){.server = {.n_hubs = HUB_HELP_HUBS}};
    h->server.quota = quota_new();
    h->server.guesses = guess_new();
    for (unsigned i = 0; i < HUB_HELP_HUBS; i++) {
        struct hub *hub = &h->server.hubs[i];

        hub->server = &h->server;
        hub->loop = loop_new();
        hub->auth = auth_new();
        sessions_init(&hub->sessions);
        refusals_init(&hub->refusals);
    }
}

static void end_turn(void *arg)
{
    loop_break(arg);
}

void hub_help_turn(struct hub_help *h)
{
    for (unsigned i = 0; i < HUB_HELP_HUBS; i++) {
        struct loop *l = h->server.hubs[i].loop;

        loop_post(l, end_turn, l);
        loop_run(l);
    }
}

void hub_help_stop(struct hub_help *h)
{
    for (unsigned i = 0; i < HUB_HELP_HUBS; i++) {
        struct hub *hub = &h->server.hubs[i];
        struct map_slot slot;
        size_t at = 0;

        sessions_done(hub);
        refusals_forget(&hub->refusals);
        revoked_done(&hub->revoked);
        while (map_next(&hub->streams, &at, &slot)) mem_free(slot.value);
        map_done(&hub->streams);
        auth_unref(hub->auth);
        loop_free(hub->loop);
    }
    quota_free(h->server.quota);
    guess_free(h->server.guesses);
}

struct stream *hub_help_stream(struct hub_help *h, unsigned hub, const char *uid, unsigned limit)
{
    struct stream *s = NEW(struct stream);

    s->hub = &h->server.hubs[hub];
    list_init(&s->anyone);
    snprintf(s->v.uid, sizeof(s->v.uid), "%s", uid);
    s->v.rule = (struct access_rule){ACCESS_PRIVATE, true, ACCESS_ROADS_ALL, {NULL, 0}};
    s->v.limit = limit;
    must(!map_set(&s->hub->streams, span_of(uid), s));
    return s;
}

struct session *hub_help_session(struct stream *s, const char *address, const struct grant *g)
{
    static unsigned number;
    struct question q = {.hub = s->hub};

    must(addr_parse(span_of(address), &q.asked.address));
    snprintf(q.uid, sizeof(q.uid), "%s", s->v.uid);
    snprintf(q.identity, sizeof(q.identity), "%032x", ++number);
    return sessions_add(&q, g);
}
