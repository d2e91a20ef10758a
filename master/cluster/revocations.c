#include "master/cluster/revocations.h"
#include "common/base/err.h"
#include "master/cluster/net.h"
#include "master/master.h"

#define VERSION   1
#define PAGE_ROWS 100

static void send_rows(
    struct master *m, uint16_t node, const struct revoked_row *rows, size_t n, net_sent_fn *fn)
{
    struct packer p;
    struct buf b;

    buf_init(&b, NET_BODY_MAX);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_kv_u64(&p, "v", VERSION);
    pack_key(&p, "rows");
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) tokens_pack(&p, &rows[i]);
    must(!p.bad); /* a page fits */
    net_send(m, node, NET_KIND_REVOKED, buf_span(&b), fn, (void *)(uintptr_t)node);
    buf_done(&b);
}

/* It may have missed one: all of them anew. */
static void told_one(struct master *m, void *arg, int err)
{
    struct cluster_node *n = m->cluster ? cluster_node(m->cluster, (int64_t)(uintptr_t)arg) : NULL;

    if (n && err != 0) n->revoked_told = n->revoked_sent = 0;
}

static void told_page(struct master *m, void *arg, int err)
{
    struct cluster_node *n = m->cluster ? cluster_node(m->cluster, (int64_t)(uintptr_t)arg) : NULL;

    if (!n) return;
    n->revoked_asked = false;
    n->revoked_told = err == 0 ? n->revoked_sent : 0;
}

void revocations_add(struct master *m, const struct revoked_row *row)
{
    struct cluster *c = m->cluster;

    for (size_t i = 0; c && i < c->n_nodes; i++)
        if (c->nodes[i].courier.there) send_rows(m, c->nodes[i].member.id, row, 1, told_one);
}

void revocations_gone(struct master *m, size_t at)
{
    struct cluster *c = m->cluster;

    for (size_t i = 0; c && i < c->n_nodes; i++) {
        if (at < c->nodes[i].revoked_told) c->nodes[i].revoked_told--;
        if (at < c->nodes[i].revoked_sent) c->nodes[i].revoked_sent--;
    }
}

void revocations_tick(struct cluster *c)
{
    const struct tokens *t = &c->m->tokens;

    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = &c->nodes[i];

        if (!n->courier.there) {
            n->revoked_told = 0;
            continue;
        }
        if (n->revoked_asked || n->revoked_told >= t->n) continue;
        n->revoked_asked = true;
        n->revoked_sent = MIN(t->n, n->revoked_told + PAGE_ROWS);
        send_rows(c->m, n->member.id, &t->v[n->revoked_told], n->revoked_sent - n->revoked_told, told_page);
    }
}

void revocations_got(struct master *m, uint16_t node, uint64_t boot, struct span body)
{
    struct unpack *u = NULL;
    const struct packed *word;

    (void)node;
    (void)boot;
    if (unpack_new(body, &u) != 0) return;
    word = unpack_root(u);
    if (packed_u64(word, "v", 0) == VERSION) tokens_learn(m, packed_get(word, "rows"));
    unpack_done(u);
}
