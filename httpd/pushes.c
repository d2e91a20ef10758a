#include "httpd/pushes.h"
#include "common/base/mem.h"
#include "common/base/secret.h"
#include "httpd/stream.h"

struct push {
    struct list link;
    struct hub *hub;
    char uid[RING_UID_MAX + 1];
    uint64_t id;
    struct secret token;
    struct access_ask ask;
    struct access_hold hold;
};
/* What is said to be over. */
struct push_name {
    char uid[RING_UID_MAX + 1];
    uint64_t id;
};

static void push_free(struct push *p)
{
    access_cancel(&p->ask);
    access_release(&p->hold);
    list_remove(&p->link);
    secret_done(&p->token);
    mem_free(p);
}

/* Who may not, or not any more, is forgotten. */
static void say(struct push *p, unsigned status)
{
    p->hub->server->push_said(p->uid, p->id, status);
    if (status != 200) push_free(p);
}

static void on_end(struct access_hold *hold)
{
    say(CONTAINER(hold, struct push, hold), 403);
}

static void decided(struct access_ask *ask)
{
    say(CONTAINER(ask, struct push, ask), ask->verdict.status);
}

static void forget(struct hub *hub, const char *uid, uint64_t id)
{
    LIST_EACH(&hub->pushes, at)
    {
        struct push *p = LIST_ITEM(at, struct push, link);

        if (strcmp(p->uid, uid) == 0 && (id == 0 || p->id == id)) push_free(p);
    }
}

static void begin(struct hub *hub, void *arg)
{
    struct push *p = arg;
    struct access_ask *a = &p->ask;

    forget(hub, p->uid, p->id);
    p->hub = hub;
    list_push(&hub->pushes, &p->link);
    a->hub = hub;
    a->stream = stream_get(hub, span_of(p->uid));
    if (!a->stream)
        say(p, 403);
    else if (access_ask(a))
        decided(a);
}

void pushes_ask(
    struct server *server, struct span uid, uint64_t id, const struct addr *addr, struct span token)
{
    struct push *p = NEW(struct push);

    span_copy(uid, p->uid, sizeof(p->uid));
    p->id = id;
    p->token = secret_of(span_sub(token, 0, ACCESS_TOKEN_MAX));
    p->hold.on_end = on_end;
    p->ask = (struct access_ask){.op = ACCESS_PUBLISH,
        .road = ROAD_PUSH,
        .address = *addr,
        .token = secret_reveal(&p->token),
        .method = "ANNOUNCE",
        .hold = &p->hold,
        .done = decided};
    hub_post(hub_home(server, uid), begin, p);
}

static void end(struct hub *hub, void *arg)
{
    const struct push_name *n = arg;

    forget(hub, n->uid, n->id);
    mem_free(arg);
}

void pushes_over(struct server *server, struct span uid, uint64_t id)
{
    struct push_name *n = NEW(struct push_name);

    span_copy(uid, n->uid, sizeof(n->uid));
    n->id = id;
    hub_post(hub_home(server, uid), end, n);
}

void pushes_close_all(struct hub *hub)
{
    LIST_EACH(&hub->pushes, at) push_free(LIST_ITEM(at, struct push, link));
}
