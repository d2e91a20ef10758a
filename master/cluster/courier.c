#include "master/cluster/courier.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/conf/nodes.h"
#include "common/net/listener.h"
#include "common/wire/crypto.h"
#include "master/cluster/records.h"
#include "master/master.h"

#include <errno.h>
#include <sys/socket.h>

#define BACKLOG     64
#define HOLDS_MAX   700 /* deletes that are told by their time */
#define HOLDS_BYTES 65000

/* --- the listener --- */

int courier_open(struct cluster *c)
{
    const struct conf_server *s = &c->m->conf->server;
    int err = listen_tcp("*", (uint16_t)s->cluster_port, BACKLOG, &c->listen_fd);

    if (err < 0) c->listen_fd = -1;
    return err;
}

void courier_close(struct cluster *c)
{
    fd_close(&c->listen_fd);
}

/* --- settings --- */

/* HKDF-SHA-256 (RFC 5869) of one block. */
static void derive(struct span secret, const char *info, uint8_t ret[CRYPTO_SHA256_N])
{
    const struct span salt = SPAN_LIT("media-server channel"), more[] = {span_of(info), SPAN_LIT("\1")};
    uint8_t prk[CRYPTO_SHA256_N];

    crypto_hmac_sha256(salt, &secret, 1, prk);
    crypto_hmac_sha256(span(prk, sizeof(prk)), more, ARRAY_N(more), ret);
    explicit_bzero(prk, sizeof(prk));
}

static void pack_key_of(struct packer *p, const struct secret *key)
{
    uint8_t id[CRYPTO_SHA256_N], secret[CRYPTO_SHA256_N];

    derive(secret_reveal(key), "id", id);
    derive(secret_reveal(key), "psk", secret);
    pack_map(p, 2);
    pack_kv_u64(p, "id", (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]);
    pack_kv_bin(p, "secret", span(secret, sizeof(secret)));
    explicit_bzero(secret, sizeof(secret));
}

static void pack_keys(struct packer *p, const struct conf_server *s)
{
    const struct secret *keys[] = {&s->cluster_key, &s->cluster_key_also};
    uint32_t n = 0;

    for (size_t i = 0; i < ARRAY_N(keys); i++) n += secret_set(keys[i]);
    pack_key(p, "keys");
    pack_array(p, n);
    for (size_t i = 0; i < ARRAY_N(keys); i++)
        if (secret_set(keys[i])) pack_key_of(p, keys[i]);
}

static void pack_node(struct packer *p, const struct cluster_node *n)
{
    char text[LINK_TEXT_MAX];
    uint32_t known = 0;

    for (size_t i = 0; i < n->n_paths; i++) known += n->paths[i].known;
    pack_map(p, 2);
    pack_kv_u64(p, "node", n->member.id);
    pack_key(p, "addrs");
    pack_array(p, known);
    for (size_t i = 0; i < n->n_paths; i++)
        if (n->paths[i].known) pack_str(p, span_of(link_text(&n->paths[i].at, text)));
}

void courier_conf(struct master *m)
{
    struct channel *ch = services_channel(m, SERVICE_COURIER);
    const struct conf_server *s = &m->conf->server;
    const struct cert *own = &m->certs.v[CERT_CLUSTER];
    const struct cluster *c = m->cluster;
    struct packer *p;

    if (!ch || !conf_clustered(m->conf)) return;
    p = channel_begin(ch, MSG_COURIER_CONF, 9);
    pack_kv_i64(p, "node", s->node_id);
    pack_kv_i64(p, "cluster", s->cluster_id);
    pack_kv_u64(p, "boot", c->boot);
    pack_keys(p, s);
    pack_kv_str(p, "cert", secret_reveal(&own->cert));
    pack_kv_str(p, "key", secret_reveal(&own->key));
    pack_kv_str(p, "ca", secret_reveal(&m->certs.authority));
    pack_kv_i64(p, "fill_rate", s->cluster_fill_rate * 1000000 / 8);
    pack_key(p, "nodes");
    pack_array(p, (uint32_t)c->n_nodes);
    for (size_t i = 0; i < c->n_nodes; i++) pack_node(p, &c->nodes[i]);
    channel_end(ch, NULL, 0);
}

/* --- streams --- */

/* One that is left to a single node is nobody's to copy, and is kept for nobody. */
static void tell_stream(struct channel *ch, const struct stream *s)
{
    const struct cluster_stream *v = s->cluster;
    struct packer *p = channel_begin(ch, MSG_COURIER_STREAM, 5);
    size_t n = v->place.n > 1 ? v->place.n : 0;
    uint32_t others = 0;

    for (size_t i = 0; i < n; i++) others += i != v->place.me && v->nodes[i] > 0;
    pack_kv_text(p, "uid", s->uid);
    pack_kv_bool(p, "fill", n > 0 && s->conf->record && v->place.me == 0);
    pack_kv_i64(p, "duration_us", s->conf->dvr_duration_us);
    pack_kv_i64(p, "event_duration_us", s->conf->dvr_event_duration_us);
    pack_key(p, "nodes");
    pack_array(p, others);
    for (size_t i = 0; i < n; i++)
        if (i != v->place.me && v->nodes[i] > 0) pack_i64(p, v->nodes[i]);
    channel_end(ch, NULL, 0);
}

void courier_streams(struct master *m)
{
    struct channel *ch = services_channel(m, SERVICE_COURIER);
    struct map_slot slot;
    size_t at = 0;

    while (ch && map_next(&m->fleet.by_uid, &at, &slot)) {
        const struct stream *s = slot.value;

        if (!s->cluster || s->gone || (s->cluster->place.n <= 1 && !s->cluster->courier_told)) continue;
        s->cluster->courier_told = true;
        tell_stream(ch, s);
    }
}

void courier_stream_gone(const struct stream *s)
{
    struct channel *ch = services_channel(s->m, SERVICE_COURIER);
    struct packer *p;

    if (!ch) return;
    p = channel_begin(ch, MSG_COURIER_STREAM_GONE, 1);
    pack_kv_text(p, "uid", s->uid);
    channel_end(ch, NULL, 0);
}

/* --- meetings --- */

struct holds {
    struct packer p;
    uint32_t n;
    bool many;
};

static void pack_hold(struct holds *h, uint16_t node, const char *uid, usec_t from_us, usec_t to_us)
{
    pack_array(&h->p, 4);
    pack_u64(&h->p, node);
    pack_str(&h->p, span_of(uid));
    pack_i64(&h->p, from_us);
    pack_i64(&h->p, to_us);
    h->n++;
}

static void hold_one(void *arg, const struct act_wait *w)
{
    struct holds *h = arg;
    usec_t from_us = 0, to_us = INT64_MAX;

    h->many |= h->n == HOLDS_MAX;
    if (h->many) return;
    (void)span_i64(span_of(w->act.from), &from_us);
    (void)span_i64(span_of(w->act.to), &to_us);
    pack_hold(h, w->node, w->act.uid, from_us, to_us);
}

/* Where there are too many nothing at all comes from the nodes that they wait for. */
static void hold_nodes(struct holds *h, const struct cluster *c)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (singular_deletes(c, c->nodes[i].member.id) > 0)
            pack_hold(h, c->nodes[i].member.id, "", 0, INT64_MAX);
}

void courier_hold(struct master *m, bool always)
{
    struct channel *ch = services_channel(m, SERVICE_COURIER);
    struct holds h = {.n = 0};
    struct packer *p;
    struct buf b;
    uint64_t hash;

    if (!ch || !m->cluster) return;
    buf_init(&b, HOLDS_BYTES);
    h.p = packer_of(&b);
    singular_each_delete(m->cluster, hold_one, &h);
    if (h.many) hold_nodes(&h, m->cluster);
    hash = hash_fnv1a(buf_span(&b));
    if (always || hash != m->cluster->holds) {
        m->cluster->holds = hash;
        p = channel_begin(ch, MSG_COURIER_HOLD, 1);
        pack_key(p, "rows");
        pack_array(p, h.n);
        p->bad = p->bad || h.p.bad || !buf_put(p->to, buf_span(&b));
        channel_end(ch, NULL, 0);
    }
    buf_done(&b);
}

void courier_listen(struct cluster *c)
{
    struct channel *ch = c->listen_fd >= 0 ? services_channel(c->m, SERVICE_COURIER) : NULL;
    struct packer *p;

    if (!ch) return;
    p = channel_begin(ch, MSG_LISTEN, 1);
    pack_kv_text(p, "kind", "node");
    channel_end(ch, &c->listen_fd, 1);
}

static void forget_left(struct master *m)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&m->fleet.by_uid, &at, &slot)) {
        const struct stream *s = slot.value;

        if (s->cluster) s->cluster->fill_left = s->cluster->fill_left_bytes = 0;
    }
}

void courier_begin(struct master *m)
{
    struct channel *ch = services_channel(m, SERVICE_COURIER);

    if (!ch || !m->cluster) return;
    forget_left(m);
    courier_conf(m);
    courier_hold(m, true);
    courier_listen(m->cluster);
    records_begin(m->cluster);
    courier_streams(m);
}

void courier_meets(struct master *m, enum service_id id)
{
    struct channel *courier = services_channel(m, SERVICE_COURIER), *other = services_channel(m, id);
    struct packer *p;
    int sv[2];

    if (!courier || !other) return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
        log_error("socketpair", "for=courier err=%s", log_q(span_of(err_text(-errno))));
        return;
    }
    channel_begin(other, MSG_COURIER_SOCK, 0);
    channel_end(other, &sv[0], 1);
    p = channel_begin(courier, MSG_COURIER_PEER, 1);
    pack_kv_u64(p, "role", id == SERVICE_KEEPER ? ROLE_KEEPER : ROLE_HTTPD);
    channel_end(courier, &sv[1], 1);
    fd_close(&sv[0]);
    fd_close(&sv[1]);
}

/* --- what it says --- */

static void take_state(struct cluster *c, const struct packed *row)
{
    struct cluster_node *n = cluster_node(c, packed_i64(row, "node", 0));
    struct courier_seen *s = n ? &n->courier : NULL;

    if (!s) return;
    s->there = packed_bool(row, "there", false);
    s->since_us = packed_i64(row, "since_us", 0);
    span_copy(packed_str(row, "why"), s->why, sizeof(s->why));
    s->in = packed_u64(row, "in", 0);
    s->out = packed_u64(row, "out", 0);
    s->left = packed_u64(row, "left", 0);
    s->left_bytes = packed_u64(row, "left_bytes", 0);
    s->filled = packed_u64(row, "filled", 0);
    s->filled_bytes = packed_u64(row, "filled_bytes", 0);
    s->failed = packed_u64(row, "failed", 0);
}

void courier_on_left(struct master *m, const struct packed *body)
{
    const struct packed *rows = packed_get(body, "rows");

    for (size_t i = 0; i < packed_n(rows); i++) {
        const struct packed *row = packed_at(rows, i);
        const struct stream *st = fleet_stream(m, packed_as_str(packed_at(row, 0)));

        if (!st || !st->cluster) continue;
        st->cluster->fill_left = packed_as_u64(packed_at(row, 1), 0);
        st->cluster->fill_left_bytes = packed_as_u64(packed_at(row, 2), 0);
    }
}

void courier_on_state(struct master *m, const struct packed *body)
{
    const struct packed *nodes = packed_get(body, "nodes");

    if (m->cluster) m->cluster->channel_refused = packed_u64(body, "refused", 0);
    for (size_t i = 0; m->cluster && i < packed_n(nodes); i++) take_state(m->cluster, packed_at(nodes, i));
}
