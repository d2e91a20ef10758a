#include "master/cluster/transfer_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"

static int refuse(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

static int take_to(struct session *s, struct transfer *x)
{
    struct span list = span_of(s->args[1]), name;

    while (span_split(&list, ',', &name)) {
        int64_t id = conf_node_id(s->m->conf, span_trim(name));

        if (x->n_to == TRANSFER_SIDES_MAX || id <= 0 || transfer_side(x, (uint16_t)id) ||
            (id != s->m->conf->server.node_id && !cluster_node(s->m->cluster, id))) {
            snprintf(s->text, sizeof(s->text), "%.*s: no node of this cluster, or named twice", (int)name.n,
                (const char *)name.p);
            return CTL_USAGE;
        }
        x->to[x->n_to++] = (struct side){.node = (uint16_t)id};
    }
    return x->n_to > 0 ? CTL_OK : refuse(s, CTL_USAGE, "to which nodes? numbers or hosts, with commas");
}

/* Those of today's order that are not of the new one. */
static int take_from(struct session *s, struct transfer *x)
{
    const struct stream *st = fleet_stream(s->m, span_of(s->args[0]));
    const struct cluster_stream *now = st ? st->cluster : NULL;

    if (!now) return refuse(s, CTL_NOT_FOUND, "no such stream");
    if (now->nodes[0] == 0)
        return refuse(
            s, CTL_FAILED, "not done: the stream names no node, each has its own: give it primary-node");
    for (size_t i = 0; i < now->place.n; i++) {
        if (now->nodes[i] == 0 || transfer_side(x, (uint16_t)now->nodes[i])) continue;
        if (x->n_to + x->n_from == TRANSFER_SIDES_MAX)
            return refuse(s, CTL_FAILED, "not done: too many nodes");
        x->from[x->n_from++] = (struct side){.node = (uint16_t)now->nodes[i]};
    }
    return CTL_OK;
}

static bool same_nodes(const struct transfer *a, const struct transfer *b)
{
    bool same = a->n_to == b->n_to;

    for (size_t i = 0; same && i < a->n_to; i++) same = a->to[i].node == b->to[i].node;
    return same;
}

/* A place for it, of the oldest that is over. */
static struct transfer *place_for(struct transfers *t, const char *uid)
{
    struct transfer *x = transfers_find(t, span_of(uid));

    for (size_t i = 0; !x && t->n == TRANSFERS_MAX && i < t->n; i++)
        if (transfer_is_over(t->v[i])) x = t->v[i];
    if (x || t->n == TRANSFERS_MAX) return x;
    return t->v[t->n++] = NEW(struct transfer);
}

/* transfer UID NODES keep|free */
static int start(struct session *s, struct transfers *t)
{
    struct transfer x = {.keep = strcmp(s->args[2], "free") != 0, .began_us = clock_wall_us()}, *to, *was;
    char by[CONTROL_BY_MAX];
    int code = take_to(s, &x);

    if (code == CTL_OK && strcmp(s->args[2], "free") != 0 && strcmp(s->args[2], "keep") != 0)
        code = refuse(s, CTL_USAGE, "keep or free: what becomes of the old copies");
    if (code == CTL_OK) code = take_from(s, &x);
    if (code != CTL_OK) return code;
    was = transfers_find(t, span_of(s->args[0]));
    if (was && !transfer_is_over(was)) {
        if (!same_nodes(was, &x))
            return refuse(s, CTL_EXISTS, "the stream is on its way to other nodes already");
        return refuse(s, CTL_OK, "it is on its way already");
    }
    if (was && was->phase == TRANSFER_FAILED && same_nodes(was, &x) && x.n_from == 0) {
        x.n_from = was->n_from; /* its order was changed before it failed */
        memcpy(x.from, was->from, sizeof(x.from));
    }
    if (!singular_reach(s->m->cluster, s->text)) return CTL_BUSY;
    to = place_for(t, s->args[0]);
    if (!to) return refuse(s, CTL_BUSY, "too many streams are on their way");
    span_copy(span_of(s->args[0]), x.uid, sizeof(x.uid));
    span_copy(span_of(control_by(s, by)), x.by, sizeof(x.by));
    *to = x;
    transfer_enter(t, to, TRANSFER_SPREAD, "");
    return refuse(s, CTL_OK, "the stream is on its way: msctl transfer says how far");
}

int transfers_run(struct session *s)
{
    struct transfers *t = transfers_of(s->m);

    if (!t) return refuse(s, CTL_FAILED, "this node works alone: there is no other one");
    if (s->n_args == 2) span_copy(SPAN_LIT("keep"), s->args[2], sizeof(s->args[2]));
    return start(s, t);
}

int transfers_run_list(struct session *s)
{
    const struct transfers *t = transfers_of(s->m);

    if (!t) return refuse(s, CTL_FAILED, "this node works alone: there is no other one");
    if (s->n_args == 0 || transfers_find(t, span_of(s->args[0]))) return CTL_OK;
    return refuse(s, CTL_NOT_FOUND, "this stream was never transferred from here");
}

/* Rows: all, or that of the stream that was asked for. */
bool transfers_row(struct session *s, struct packer *p)
{
    const struct transfers *t = transfers_of(s->m);
    const struct transfer *x = NULL;
    char to[64], from[64];
    struct wr w_to = wr_of(to, sizeof(to)), w_from = wr_of(from, sizeof(from));
    bool left;

    while (t && s->at < t->n && !x) {
        x = t->v[s->at++];
        if (s->n_args > 0 && strcmp(x->uid, s->args[0]) != 0) x = NULL;
    }
    if (!x) return false;
    sides_text(&w_to, x->to, x->n_to);
    sides_text(&w_from, x->from, x->n_from);
    left = x->phase == TRANSFER_FILL && side_fresh(&x->to[0], clock_mono_us());
    pack_map(p, left ? 11 : 9);
    pack_kv_text(p, "uid", x->uid);
    pack_kv_text(p, "phase", transfer_phase_word(x->phase));
    pack_kv_text(p, "to", wr_cstr(&w_to));
    pack_kv_text(p, "from", wr_cstr(&w_from));
    pack_kv_bool(p, "keep", x->keep);
    pack_kv_i64(p, "began_s", x->began_us / US_PER_S);
    pack_kv_i64(p, "since_s", x->since_us / US_PER_S);
    pack_kv_text(p, "by", x->by);
    pack_kv_text(p, "text", x->text);
    if (left) pack_kv_u64(p, "left", x->to[0].left);
    if (left) pack_kv_u64(p, "left_bytes", x->to[0].left_bytes);
    return true;
}
