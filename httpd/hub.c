#include "httpd/hub.h"
#include "httpd/camera.h"
#include "httpd/films.h"
#include "httpd/assets.h"
#include "httpd/auth.h"
#include "httpd/doors.h"
#include "httpd/h2_conn.h"
#include "httpd/http.h"
#include "httpd/accounts.h"
#include "httpd/guess.h"
#include "httpd/outgoing.h"
#include "common/net/pool.h"
#include "httpd/push_tls.h"
#include "httpd/pushes.h"
#include "httpd/proven.h"
#include "httpd/quota.h"
#include "httpd/rates.h"
#include "httpd/rtsp_conn.h"
#include "httpd/signins.h"
#include "httpd/stream.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/net/conn.h"
#include "common/wire/http_fields.h"

#define PASSWORDS_WAIT_MAX 64

struct each {
    void (*fn)(struct hub *hub, void *arg);
    void *arg;
    struct hub *hub;
    _Atomic unsigned *left; /* NULL: fn owns arg */
};

static void run_each(void *arg)
{
    struct each *e = arg;

    e->fn(e->hub, e->arg);
    if (e->left && atomic_fetch_sub(e->left, 1) == 1) {
        mem_free(e->arg);
        mem_free(e->left);
    }
    mem_free(e);
}

void server_each(struct server *s, void (*fn)(struct hub *hub, void *arg), void *arg)
{
    _Atomic unsigned *left = mem_new(sizeof(*left));

    atomic_init(left, s->n_hubs);
    for (unsigned i = 0; i < s->n_hubs; i++) {
        struct each *e = NEW(struct each);

        *e = (struct each){fn, arg, &s->hubs[i], left};
        loop_post(s->hubs[i].loop, run_each, e);
    }
}

void hub_post(struct hub *hub, void (*fn)(struct hub *hub, void *arg), void *arg)
{
    struct each *e = NEW(struct each);

    *e = (struct each){fn, arg, hub, NULL};
    loop_post(hub->loop, run_each, e);
}

struct hub *hub_home(struct server *s, struct span uid)
{
    return &s->hubs[hash_fnv1a(uid) % s->n_hubs];
}

bool hub_leave(
    struct conn *c, struct list *link, struct loop_timer *timer, struct hub *to, void (*fn)(struct conn *c))
{
    if (conn_queued(c) > 0) {
        conn_flush(c);
        if (conn_queued(c) > 0) return false;
    }
    list_remove(link);
    loop_timer_stop(timer);
    conn_migrate(c, to->loop, fn);
    return true;
}

const char *hub_date(struct hub *hub)
{
    usec_t wall_us = clock_wall_us();
    char text[HTTP_DATE_MAX];

    if (wall_us / US_PER_S != hub->date_s) {
        hub->date_s = wall_us / US_PER_S;
        snprintf(hub->date, sizeof(hub->date), "Date: %s\r\n", http_date(wall_us, text));
    }
    return hub->date;
}

static void every_second(struct loop_timer *t)
{
    struct hub *hub = t->arg;

    atomic_store_explicit(&hub->count.bytes_out,
        hub->closed_bytes + http_bytes_out(hub) + rtsp_bytes_out(hub), memory_order_relaxed);
    sessions_tick(hub);
    streams_pace(hub);
}

static void break_loop(void *arg)
{
    loop_break(arg);
}

/* Connections end in the loop. */
static void close_conns(struct hub *hub)
{
    doors_stop_shaking(hub);
    h2_close_all(hub);
    http_close_all(hub);
    rtsp_close_all(hub);
    push_tls_close_all(hub);
    pushes_close_all(hub);
    loop_post(hub->loop, break_loop, hub->loop);
    loop_run(hub->loop);
}

static void *hub_main(void *arg)
{
    struct hub *hub = arg;

    loop_timer_every(hub->loop, &hub->second, US_PER_S, every_second, hub);
    loop_run(hub->loop);
    loop_timer_stop(&hub->second);
    loop_timer_stop(&hub->pull);
    close_conns(hub);
    doors_close(hub);
    sessions_done(hub);
    streams_done(hub);
    buf_done(&hub->frame);
    auth_unref(hub->auth);
    revoked_done(&hub->revoked);
    refusals_forget(&hub->refusals);
    asset_chunks_free(hub->asset_chunks);
    return NULL;
}

int server_start(struct server *s, unsigned threads, const struct assets *assets, struct storages *storages)
{
    s->n_hubs = CLAMP(threads, 1, HUBS_MAX);
    s->assets = assets;
    s->storages = storages;
    s->films = films_new();
    s->cameras = cameras_new();
    metrics_master_init(&s->metrics);
    s->quota = quota_new();
    s->guesses = guess_new();
    s->rates = rates_new();
    s->outgoing = outgoing_new();
    atomic_store(&s->conns_max, HTTP_CONNS_MAX);
    s->nonces = nonces_new();
    s->signins = signins_new();
    s->passwords = pool_new(1, PASSWORDS_WAIT_MAX);
    s->proven = proven_new();
    if (atomic_load(&s->export_max_us) == 0) atomic_store(&s->export_max_us, EXPORT_MAX_US);
    for (unsigned i = 0; i < s->n_hubs; i++) {
        struct hub *hub = &s->hubs[i];

        hub->server = s;
        hub->index = i;
        hub->loop = loop_new();
        list_init(&hub->conns);
        list_init(&hub->rtsp_conns);
        list_init(&hub->cursors);
        buf_init(&hub->frame, RING_DATA_MAX / 4);
        list_init(&hub->doors);
        list_init(&hub->shaking);
        list_init(&hub->relays);
        list_init(&hub->pushes);
        list_init(&hub->arrivals);
        list_init(&hub->feed_clients);
        list_init(&hub->h2_conns);
        hub->auth = auth_new();
        sessions_init(&hub->sessions);
        refusals_init(&hub->refusals);
        snprintf(hub->allow_origin, sizeof(hub->allow_origin), "*");
    }
    for (unsigned i = 0; i < s->n_hubs; i++) {
        int err = pthread_create(&s->hubs[i].thread, NULL, hub_main, &s->hubs[i]);

        if (err != 0) return -err;
    }
    return 0;
}

static void stop_hub(struct hub *hub, void *arg)
{
    (void)arg;
    loop_break(hub->loop);
}

void server_stop(struct server *s)
{
    pool_stop(s->passwords); /* before the loops that it tells what it found */
    server_each(s, stop_hub, NULL);
    for (unsigned i = 0; i < s->n_hubs; i++) pthread_join(s->hubs[i].thread, NULL);
}

void server_free(struct server *s)
{
    for (unsigned i = 0; i < s->n_hubs; i++) loop_free(s->hubs[i].loop);
    films_free(s->films);
    cameras_free(s->cameras);
    metrics_master_done(&s->metrics);
    quota_free(s->quota);
    outgoing_free(s->outgoing);
    guess_free(s->guesses);
    rates_free(s->rates);
    nonces_free(s->nonces);
    signins_free(s->signins);
    pool_free(s->passwords);
    proven_free(s->proven);
    s->films = NULL;
    s->cameras = NULL;
    s->quota = NULL;
    s->n_hubs = 0;
}
