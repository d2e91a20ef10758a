#include "courier/trunk.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>

#define TICK_US  (250 * US_PER_MS)
#define STALL_US (20 * US_PER_S) /* the other takes nothing for so long */

/* --- the end --- */

static void over(struct trunk *l, const char *why)
{
    if (l->ended) return;
    l->ended = true;
    loop_timer_stop(&l->tick);
    loop_timer_stop(&l->rest);
    l->ops->on_end(l, why);
}

void trunk_close(struct trunk *l, const char *why)
{
    if (!l->why) l->why = why;
    if (l->conn) conn_close(l->conn, 0);
}

static void on_close(struct conn *c, int err)
{
    struct trunk *l = conn_arg(c);

    l->conn = NULL;
    if (l->ended) { /* its owner has gone */
        buf_done(&l->buf);
        mem_free(l);
        return;
    }
    over(l, l->why ? l->why : err != 0 ? err_text(err) : "the other has closed it");
}

/* What still waits in the connection ends by itself. */
void trunk_free(struct trunk *l)
{
    if (!l) return;
    l->ended = true;
    loop_timer_stop(&l->tick);
    loop_timer_stop(&l->rest);
    if (l->meeting) tls_meeting_stop(l->meeting);
    l->meeting = NULL;
    if (l->conn) {
        conn_close(l->conn, 0);
        return;
    }
    buf_done(&l->buf);
    mem_free(l);
}

/* --- out --- */

struct packer *trunk_begin(struct trunk *l, enum wire_type type, uint64_t id, uint32_t pairs)
{
    buf_clear(&l->buf);
    l->packer = wire_begin(&l->buf, type, id, pairs);
    return &l->packer;
}

void trunk_send(struct trunk *l)
{
    if (!wire_end(&l->packer, 0) || !l->conn || l->why) return;
    l->out += buf_n(&l->buf);
    l->said_us = loop_now_us(l->loop);
    conn_send(l->conn, buf_span(&l->buf));
}

bool trunk_full(const struct trunk *l)
{
    return !l->conn || conn_congested(l->conn);
}

bool trunk_flooded(const struct trunk *l)
{
    return !l->conn || conn_queued(l->conn) > TRUNK_QUEUE_MAX;
}

static void say_hello(struct trunk *l)
{
    struct packer *p = trunk_begin(l, WIRE_HELLO, 0, 6);

    pack_kv_u64(p, "proto", WIRE_PROTO);
    pack_kv_u64(p, "cluster", l->self->cluster);
    pack_kv_u64(p, "node", l->self->node);
    pack_kv_u64(p, "to", l->to);
    pack_kv_u64(p, "boot", l->self->boot);
    pack_kv_u64(p, "run", l->self->run);
    trunk_send(l);
}

/* --- in --- */

/* A certificate speaks for one node; the key, which all have, for any. */
static bool speaks_for(const struct trunk *l, uint64_t node)
{
    char name[32];

    snprintf(name, sizeof(name), "node-%llu", (unsigned long long)node);
    return l->key_id != 0 || strcmp(l->name, name) == 0;
}

/* Whoever was dialled says whom it answers; whoever dials says whom it means. */
static const char *hello(struct trunk *l, const struct packed *body)
{
    uint64_t node = packed_u64(body, "node", 0), to = packed_u64(body, "to", 0);
    const char *why = NULL;

    if (packed_u64(body, "proto", 0) != WIRE_PROTO) return "it speaks another version";
    if (packed_u64(body, "cluster", UINT64_MAX) != l->self->cluster) return "it is of another cluster";
    if (node == 0 || node > UINT16_MAX) return "it has no number";
    if (!speaks_for(l, node)) return "its certificate is of another node";
    if (node == l->self->node) return "it has our number";
    if (l->dials && node != l->to) return "it is another node than the one that was dialled";
    if (!l->dials && to != l->self->node) return "it took us for another node";
    l->node = (uint16_t)node;
    l->boot = packed_u64(body, "boot", 0);
    l->run = packed_u64(body, "run", 0);
    if (!l->ops->on_hello(l, &why)) return why;
    if (!l->dials) {
        l->to = l->node;
        say_hello(l);
    }
    l->greeted = true;
    return NULL;
}

static void rested(struct loop_timer *t)
{
    struct trunk *l = t->arg;

    if (l->conn) conn_resume(l->conn);
}

/* Too many questions: the rest is read when there is time for it. */
static void weigh(struct trunk *l, const struct wire_frame *f, usec_t now_us)
{
    usec_t wait_us = l->dials || f->type == WIRE_MORE ? 0 : bucket_take(&l->asks, now_us);

    if (wait_us == 0) return;
    conn_pause(l->conn);
    loop_timer_set(l->loop, &l->rest, wait_us, rested, l);
}

static void frame(struct trunk *l, const struct wire_frame *f)
{
    const char *why = NULL;

    if ((f->type == WIRE_HELLO) == l->greeted)
        why = "its first frame is no greeting";
    else if (f->type == WIRE_HELLO)
        why = hello(l, f->body);
    else if (f->type != WIRE_BEAT)
        l->ops->on_frame(l, f);
    if (why) trunk_close(l, why);
}

static size_t on_data(struct conn *c, struct span data)
{
    struct trunk *l = conn_arg(c);
    usec_t now_us = loop_now_us(l->loop);
    size_t took = 0;

    l->heard_us = now_us;
    while (!l->why && !l->ended && !loop_timer_armed(&l->rest)) {
        struct wire_frame f;
        enum wire_read r = wire_read(span_from(data, took), l->dials ? WIRE_ACCEPTER : WIRE_DIALLER, &f);

        if (r == WIRE_BAD) trunk_close(l, "what it said is no frame");
        if (r != WIRE_OK) break;
        took += f.n;
        weigh(l, &f, now_us);
        frame(l, &f);
        wire_frame_done(&f);
    }
    l->in += took;
    return took;
}

static void on_sent(struct conn *c)
{
    struct trunk *l = conn_arg(c);

    if (!l->ended && l->greeted) l->ops->on_room(l);
}

/* --- life --- */

static void tick(struct loop_timer *t)
{
    struct trunk *l = t->arg;
    usec_t now_us = loop_now_us(l->loop);

    if (now_us - l->heard_us > TRUNK_SILENT_US) {
        trunk_close(l, l->greeted ? "it was silent" : "it did not greet");
    } else if (l->greeted && now_us - l->said_us >= TRUNK_BEAT_US) {
        (void)trunk_begin(l, WIRE_BEAT, 0, 0);
        trunk_send(l);
    }
}

static const struct conn_ops conn_ops = {.on_data = on_data, .on_sent = on_sent, .on_close = on_close};

static void met(void *arg, struct tls *t, const char *why)
{
    static const struct conn_limits limits = {
        .read_max = WIRE_BULK_MAX + WIRE_HEAD, .queue_high = TRUNK_QUEUE_HIGH, .stall_us = STALL_US};
    struct trunk *l = arg;

    l->meeting = NULL;
    if (!t) {
        over(l, why);
        return;
    }
    l->key_id = tls_key_id(t);
    if (!tls_common_name(t, l->name, sizeof(l->name))) l->name[0] = 0;
    l->conn = conn_new_on(l->loop, conn_over_tls(t), &conn_ops, &limits, l);
    l->heard_us = l->said_us = loop_now_us(l->loop);
    loop_timer_every(l->loop, &l->tick, TICK_US, tick, l);
    if (l->dials) say_hello(l);
}

static void note_address(struct trunk *l, int fd)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof(at);
    struct addr a;
    char text[ADDR_TEXT_MAX];

    if (getpeername(fd, (struct sockaddr *)&at, &n) == 0 && addr_of((const struct sockaddr *)&at, &a))
        span_copy(span_of(addr_text(&a, text)), l->addr, sizeof(l->addr));
}

struct trunk *trunk_new(struct loop *loop, int fd, struct tls_mutual *keys, const struct trunk_self *self,
    uint16_t to, const struct trunk_ops *ops)
{
    struct trunk *l = NEW(struct trunk);

    *l = (struct trunk){.loop = loop, .self = self, .ops = ops, .dials = to != 0, .to = to};
    l->asks = bucket_of(TRUNK_ASK_EVERY_US, TRUNK_ASK_BURST);
    buf_init(&l->buf, WIRE_ROOM_MAX);
    note_address(l, fd);
    l->born_us = loop_now_us(loop);
    l->meeting = tls_meet(loop, fd, keys, l->dials, met, l);
    return l;
}
