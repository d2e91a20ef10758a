#include "master/cluster/cluster.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/conf/nodes.h"
#include "master/cluster/records.h"
#include "master/cluster/revocations.h"
#include "master/cluster/takes.h"
#include "master/master.h"

#include <errno.h>

#define FILE_NAME   "cluster" /* in state-dir: the highest term, in decimal digits */
#define FILE_MAX    64
#define TURN_LOST   (5 * CLUSTER_BEAT_US) /* this process stood still for longer */
#define PORTS_AGAIN (60 * US_PER_S)
#define LEAVES      3 /* times that the others are told */
/* A term a second for 68 years: no cluster counts so far. Of a higher one that is heard only what lies a step
 * above our own is taken: behind the highest there would be none, for any push or act. */
#define TERM_FAR  (UINT32_MAX / 2)
#define TERM_STEP (1u << 20)

/* --- terms --- */

static bool take_term(void *arg, struct span bytes)
{
    struct cluster *c = arg;

    return span_u64(span_trim(bytes), UINT32_MAX, &c->term);
}

uint32_t cluster_next_term(struct cluster *c)
{
    char text[24];

    c->term = MIN(c->term + 1, UINT32_MAX);
    snprintf(text, sizeof(text), "%llu\n", (unsigned long long)c->term);
    state_file_write(c->file, span_of(text));
    return (uint32_t)c->term;
}

bool cluster_heard_term(struct cluster *c, uint64_t term)
{
    if (term > TERM_FAR && (term > UINT32_MAX || term > c->term + TERM_STEP)) return false;
    c->term = MAX(c->term, term);
    return true;
}

/* --- the configuration --- */

struct cluster_node *cluster_node(const struct cluster *c, int64_t id)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].member.id == id) return &c->nodes[i];
    return NULL;
}

static void take_keys(struct cluster *c)
{
    const struct conf_server *s = &c->m->conf->server;
    const struct secret *keys[] = {&s->cluster_key, &s->cluster_key_also};

    c->n_keys = 0;
    for (size_t i = 0; i < ARRAY_N(keys); i++)
        if (secret_set(keys[i])) heartbeat_key_of(secret_reveal(keys[i]), &c->keys[c->n_keys++]);
    c->times = (struct member_times){s->cluster_tolerance_us, s->cluster_return_us};
}

/* Those that stay are known as before. */
static void take_nodes(struct cluster *c)
{
    const struct conf *conf = c->m->conf;
    struct cluster_node *nodes = mem_new((conf->n_nodes + 1) * sizeof(*nodes));
    size_t n = 0;

    for (size_t i = 0; i < conf->n_nodes; i++) {
        const struct cluster_node *was = cluster_node(c, conf->nodes[i].id);

        if (conf->nodes[i].id == conf->server.node_id) continue;
        nodes[n] = was ? *was : (struct cluster_node){.replies = bucket_of(50 * US_PER_MS, 8)};
        nodes[n].member.id = (uint16_t)conf->nodes[i].id;
        n++;
    }
    mem_free(c->nodes);
    c->nodes = nodes;
    c->n_nodes = n;
    c->told_node = 0;
    names_place(c);
}

/* A reload that takes the key away leaves the one that was: others would be deaf, and the rest needs a
 * restart. */
static void take_conf(struct cluster *c)
{
    if (conf_clustered(c->m->conf)) take_keys(c);
    take_nodes(c);
}

void cluster_conf(struct master *m)
{
    if (!m->cluster) return;
    take_conf(m->cluster);
    singular_conf(m->cluster);
    files_conf(m->cluster);
    records_conf(m->cluster);
    streams_place(m->cluster);
    courier_conf(m);
    courier_streams(m);
}

/* --- ports --- */

/* One that is taken keeps nobody from recording: without it the others are not heard, or not let in, and it
 * is tried again. */
static void open_ports(struct cluster *c, usec_t now_us)
{
    uint16_t port = (uint16_t)c->m->conf->server.cluster_port;
    bool was_deaf = c->link.fd < 0 || c->listen_fd < 0;
    int err = 0;

    if (!was_deaf || (c->ports_us > 0 && now_us - c->ports_us < PORTS_AGAIN)) return;
    c->ports_us = now_us;
    if (c->link.fd < 0) err = link_open(&c->link, c->m->loop, port, hear_datagram, c);
    if (c->listen_fd < 0) {
        err = MIN(err, courier_open(c));
        if (c->beat_us > c->started_us) courier_listen(c); /* it has begun without */
    }
    if (err < 0)
        log_error("cluster-port",
            "port=%u err=%s effect=\"the others are not heard: each records as if alone\"", port,
            log_q(span_of(err_text(err))));
}

/* --- the beat --- */

bool cluster_warming(const struct cluster *c, usec_t now_us)
{
    return now_us - c->started_us < c->m->conf->server.cluster_warming_up_us;
}

bool cluster_twice(const struct cluster *c, usec_t now_us)
{
    return c->twice_us > 0 && now_us - c->twice_us < MEMBER_TWICE_US;
}

static void say_state(struct cluster *c, const struct cluster_node *n, enum node_state was)
{
    const char *from = node_state_word(was), *to = node_state_word(n->member.state);
    bool small = n->member.state == NODE_UNAVAILABLE || was == NODE_UNAVAILABLE;
    char id[8];

    small &= n->member.state != NODE_DOWN && n->member.state != NODE_INVALID;
    snprintf(id, sizeof(id), "%u", n->member.id);
    log_event(small                           ? LOG_INFO
            : n->member.state == NODE_INVALID ? LOG_ERROR
                                              : LOG_NOTE,
        "node-state", "node=%s from=%s to=%s boot=%016llx", id, from, to,
        (unsigned long long)n->member.now.boot);
    if (!small)
        hooks_say(c->m, "server:state",
            (const struct hooks_pair[]){{"node", id}, {"from", from}, {"state", to}}, 3);
}

static void say_clock(struct cluster_node *n, usec_t now_us)
{
    uint32_t held;
    usec_t ahead_us = n->member.clock_ahead_us;

    if (!member_counts(&n->member) || (ahead_us < CLUSTER_CLOCK_US && ahead_us > -CLUSTER_CLOCK_US)) return;
    if (log_limited(&n->clock_rate, now_us, &held))
        log_warn("clock-differs", "node=%u ahead_ms=%lld", n->member.id, (long long)(ahead_us / US_PER_MS));
}

static void follow_nodes(struct cluster *c, usec_t now_us)
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        enum node_state was = c->nodes[i].member.state;

        if (member_tick(&c->nodes[i].member, &c->times, now_us)) say_state(c, &c->nodes[i], was);
        say_clock(&c->nodes[i], now_us);
    }
}

/* This process was stopped, or the machine was too busy for it: what the others have said since then lies in
 * the socket, and for the time between nobody can be blamed. */
static void forgive(struct cluster *c, usec_t now_us)
{
    usec_t lost_us = now_us - c->beat_us - CLUSTER_BEAT_US;

    if (lost_us < TURN_LOST) return;
    c->late++;
    log_warn("cluster-late", "ms=%lld", (long long)(lost_us / US_PER_MS));
    for (size_t i = 0; i < c->n_nodes; i++) member_shift(&c->nodes[i].member, lost_us);
}

static void beat(struct loop_timer *t)
{
    struct cluster *c = t->arg;
    usec_t now_us = clock_mono_us();

    forgive(c, now_us);
    open_ports(c, now_us);
    link_read(&c->link);
    c->beat_us = now_us;
    names_tick(c, now_us);
    follow_nodes(c, now_us);
    streams_tick(c, now_us);
    singular_tick(c, now_us);
    files_tick(c, now_us);
    transfers_tick(c, now_us);
    revocations_tick(c);
    records_tick(c);
    if (now_us - c->told_us + CLUSTER_BEAT_US / 2 >= c->m->conf->server.cluster_ping_interval_us) {
        c->told_us = now_us;
        tell_all(c, now_us);
    }
    (void)state_file_say(c->file);
}

/* --- its life --- */

int cluster_open(struct master *m)
{
    struct cluster *c;
    int err;

    if (!conf_clustered(m->conf)) return 0;
    c = m->cluster = NEW(struct cluster);
    c->m = m;
    c->link.fd = c->listen_fd = -1;
    list_init(&c->net_waits);
    c->started_us = c->beat_us = clock_mono_us();
    take_conf(c);
    rng_bytes(c->secret, sizeof(c->secret));
    while (c->boot == 0) rng_bytes(&c->boot, sizeof(c->boot));
    c->file = state_file_new(m->state_dir, FILE_NAME);
    if (!c->file) return -EMFILE;
    /* Lost, it is heard from the others again: stamps have the boot too, and older ones are refused. */
    (void)state_file_read(m->state_dir, FILE_NAME, FILE_MAX, take_term, c);
    err = singular_open(c);
    if (err == 0) err = files_open(c);
    if (err == 0) err = transfers_open(c);
    takes_open(c);
    if (err == 0) err = records_start(c);
    if (err == 0) open_ports(c, clock_mono_us());
    return err;
}

void cluster_start(struct master *m)
{
    struct cluster *c = m->cluster;

    if (!c) return;
    streams_place(c);
    log_note("cluster", "node=%lld cluster=%lld others=%zu boot=%016llx term=%llu",
        (long long)m->conf->server.node_id, (long long)m->conf->server.cluster_id, c->n_nodes,
        (unsigned long long)c->boot, (unsigned long long)c->term);
    loop_timer_every(m->loop, &c->beat, CLUSTER_BEAT_US, beat, c);
}

/* Backups need not wait for our silence. */
void cluster_leave(struct master *m)
{
    struct cluster *c = m->cluster;

    if (!c || c->leaving) return;
    c->leaving = true;
    loop_timer_stop(&c->beat);
    for (int i = 0; i < LEAVES; i++) tell_all(c, clock_mono_us());
}

void cluster_close(struct master *m)
{
    struct cluster *c = m->cluster;

    if (!c) return;
    loop_timer_stop(&c->beat);
    link_close(&c->link);
    courier_close(c);
    net_done(m);
    singular_close(c);
    files_close(c);
    transfers_close(c);
    takes_close(c);
    records_stop(c);
    state_file_free(c->file);
    mem_free(c->streams);
    mem_free(c->nodes);
    explicit_bzero(c->keys, sizeof(c->keys));
    mem_free(c);
    m->cluster = NULL;
}
