/* A camera that pushes: the connector hands over whoever names this stream at the publish listener; each
 * speaks with a machine of his own (rtsp_publish.h), a few at a time, until one has shown that it is the
 * camera. Then his connection is the session's, and everything goes as with one that was dialled. While he
 * sends nobody else is let in; who has sent nothing for PUSH_STALE_US makes room for the next (a camera that
 * was cut off comes back before its old connection has died). */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/secret.h"
#include "common/net/addr.h"
#include "common/wire/url.h"
#include "worker/rtsp_publish.h"
#include "worker/session_impl.h"

#include <errno.h>
#include <sys/socket.h>

#define PUSH_CONNS_MAX    8 /* that have not shown who they are; another one pushes the oldest out */
#define PUSH_STALE_US     (5 * US_PER_S)
#define PUSH_AGAIN_US     (3 * US_PER_S)  /* where nobody could say whether a token still counts */
#define PUSH_GUESSES_MAX  6               /* wrong logins of one address ... */
#define PUSH_GUESSES_US   (60 * US_PER_S) /* ... in this time; then it is sent away unheard */
#define PUSH_GUESSERS_MAX 32

struct push_conn {
    struct session *s;
    struct camera_conn *conn; /* of the session, once it is claimed */
    struct rtsp_publish *speaks;
    struct addr addr;
    struct sockaddr_storage peer;
    char text[96];
    uint64_t id;
    struct secret token; /* by which it pushes, or wants to; not set: by login */
    usec_t ask_us;       /* whether it still may is asked then; 0: it was said */
    bool over;
};

struct guesser {
    struct addr addr;
    unsigned n;
    usec_t since_us;
};

struct push {
    char *user, *password;
    unsigned tracks;
    struct push_conn *v[PUSH_CONNS_MAX]; /* by age, the oldest first */
    size_t n;
    struct push_conn *active; /* none of these */
    usec_t heard_us;          /* when it last sent something */
    struct guesser guesser[PUSH_GUESSERS_MAX];
    struct log_rate refused;
};

static const char waiting[] = "waiting for the camera to push";

static void conn_free(struct push_conn *c)
{
    if (!c) return;
    if (secret_set(&c->token)) c->s->ops.push_over(c->s->ops.arg, c->id);
    secret_done(&c->token);
    camera_conn_free(c->conn);
    rtsp_publish_free(c->speaks);
    mem_free(c);
}

static void drop(struct push *p, size_t i)
{
    conn_free(p->v[i]);
    memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(p->v[0]));
    p->n--;
}

/* --- who guesses --- */

static struct guesser *guesser_of(struct push *p, const struct addr *who)
{
    struct addr addr = addr_source(who);
    usec_t now_us = clock_mono_us();
    struct guesser *oldest = &p->guesser[0];

    for (size_t i = 0; i < ARRAY_N(p->guesser); i++) {
        struct guesser *g = &p->guesser[i];

        if (g->n > 0 && now_us - g->since_us > PUSH_GUESSES_US) g->n = 0;
        if (g->n > 0 && addr_eq(&g->addr, &addr)) return g;
        if (g->n == 0 || (oldest->n > 0 && g->since_us < oldest->since_us)) oldest = g;
    }
    *oldest = (struct guesser){.addr = addr, .since_us = now_us};
    return oldest;
}

static void say_refused(struct push_conn *c, const char *why)
{
    uint32_t held;

    if (log_limited(&c->s->push->refused, clock_mono_us(), &held))
        log_warn(
            "push-refused", "addr=%s why=%s held=%u", log_q(span_of(c->text)), log_q(span_of(why)), held);
}

static void on_wrong(void *arg)
{
    struct push_conn *c = arg;

    guesser_of(c->s->push, &c->addr)->n++;
    say_refused(c, "wrong user or password");
}

/* --- tokens: httpd knows them --- */

static void ask(struct push_conn *c)
{
    char addr[ADDR_TEXT_MAX];

    c->ask_us = 0;
    c->s->ops.push_ask(c->s->ops.arg, c->id, addr_text(&c->addr, addr), secret_reveal(&c->token));
}

static void on_token(void *arg, struct span token)
{
    struct push_conn *c = arg;

    secret_done(&c->token);
    c->token = secret_of(token);
    ask(c);
}

static struct push_conn *by_id(const struct push *p, uint64_t id)
{
    if (p->active && p->active->id == id) return p->active;
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i]->id == id) return p->v[i];
    return NULL;
}

void session_push_said(struct session *s, uint64_t id, unsigned status)
{
    struct push_conn *c = s->push ? by_id(s->push, id) : NULL;

    if (!c || !secret_set(&c->token)) return;
    if (c != s->push->active) {
        rtsp_publish_said(c->speaks, status);
        camera_conn_again(c->conn);
    } else if (status >= 500) {
        c->ask_us = clock_mono_us() + PUSH_AGAIN_US;
    } else if (status != 200) {
        session_restart(s, STREAM_DOWN, "the token that it pushed by counts no more");
    }
    s->ops.turn(s->ops.arg);
}

void session_push_again(struct session *s)
{
    struct push *p = s->push;

    if (!p) return;
    if (p->active && secret_set(&p->active->token)) ask(p->active);
    for (size_t i = 0; i < p->n; i++)
        if (secret_set(&p->v[i]->token)) ask(p->v[i]);
}

/* --- the camera's connection --- */

/* The one before has died without a word. */
static void take_over(struct session *s)
{
    log_info("push-stale", "addr=%s", log_q(span_of(s->addr)));
    s->ops.over(s->ops.arg, END_SILENT, s->why);
    if (s->playing_us != 0) s->ops.ended(s->ops.arg);
    ingest_end(s->ingest);
    s->playing_us = 0;
    s->over = s->restarting = false;
    session_close_sockets(s);
    s->ops.state(s->ops.arg, STREAM_CONNECTING, "the camera has connected anew");
}

static enum publish_claim on_claim(void *arg)
{
    struct push_conn *c = arg;
    struct session *s = c->s;
    struct push *p = s->push;

    if (s->phase != RUN) return PUBLISH_TAKEN;
    if (p->active && !s->over && clock_mono_us() - p->heard_us < PUSH_STALE_US) {
        say_refused(c, "another camera pushes this stream");
        return PUBLISH_TAKEN;
    }
    if (p->active) take_over(s);
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i] != c) continue;
        memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(p->v[0]));
        p->n--;
        break;
    }
    p->active = c;
    p->heard_us = clock_mono_us();
    s->conn = c->conn;
    s->peer = c->peer;
    s->pushed = c->id;
    s->restarting = s->told_no_key = false;
    span_copy(span_of(c->text), s->addr, sizeof(s->addr));
    s->ops.connecting(s->ops.arg);
    return PUBLISH_YES;
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    struct push_conn *c = arg;

    if (c->s->push->active == c) {
        session_event(c->s, e);
        return;
    }
    if (e->kind == RTSP_EV_FAILED && e->fail != RTSP_FAIL_ENDED && e->status != 401 && e->status != 503)
        say_refused(c, e->text);
    c->over = true;
    camera_conn_shut(c->conn);
    session_later(c->s);
}

static void on_send(void *arg, struct span bytes)
{
    struct push_conn *c = arg;

    camera_conn_send(c->conn, bytes);
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    struct push_conn *c = arg;

    session_packet(c->s, track, rtcp, packet);
}

static void begin_batch(void *arg)
{
    struct push_conn *c = arg;

    session_begin_batch(c->s);
}

static void end_batch(void *arg, size_t bytes)
{
    struct push_conn *c = arg;

    if (c->s->push->active != c) return;
    if (bytes > 0) c->s->push->heard_us = clock_mono_us();
    session_end_batch(c->s, bytes);
}

static size_t on_bytes(void *arg, struct span unread)
{
    struct push_conn *c = arg;

    return rtsp_publish_feed(c->speaks, unread);
}

static size_t bytes_needed(void *arg)
{
    struct push_conn *c = arg;

    return rtsp_publish_need(c->speaks);
}

static void on_conn_closed(void *arg, int err)
{
    struct push_conn *c = arg;

    rtsp_publish_closed(c->speaks, err, err ? err_text(err) : "");
    c->s->ops.turn(c->s->ops.arg);
}

static struct push_conn *conn_new(struct session *s, uint64_t id, const char *text, int fd)
{
    static const struct camera_conn_ops conn_ops = {.begin = begin_batch,
        .end = end_batch,
        .feed = on_bytes,
        .need = bytes_needed,
        .closed = on_conn_closed};
    static const struct publish_ops ops = {.send = on_send,
        .event = on_event,
        .packet = on_packet,
        .claim = on_claim,
        .wrong = on_wrong,
        .token = on_token};
    struct publish_conf conf = {.uid = s->settings->uid,
        .user = span_of(s->push->user),
        .password = span_of(s->push->password),
        .tracks = s->push->tracks};
    struct push_conn *c = NEW(struct push_conn);
    socklen_t n = sizeof(c->peer);

    rng_bytes(conf.seed, sizeof(conf.seed));
    c->s = s;
    c->id = id;
    span_copy(span_of(text), c->text, sizeof(c->text));
    if (getpeername(fd, (struct sockaddr *)&c->peer, &n) < 0) c->peer.ss_family = AF_UNSPEC;
    /* Inside TLS the socket leads to httpd; then the text is an address alone. */
    if (!addr_of((struct sockaddr *)&c->peer, &c->addr)) (void)addr_parse(span_of(text), &c->addr);
    c->speaks = rtsp_publish_new(&conf, &ops, c, clock_mono_us());
    c->conn = camera_conn_new(s->loop, fd, &conn_ops, c);
    return c;
}

void session_pushed(void *arg, uint64_t id, const char *addr, int fd)
{
    struct session *s = arg;
    struct push *p = s->push;
    struct push_conn *c;

    if (s->phase != RUN) {
        fd_close(&fd);
        return;
    }
    if (p->n == PUSH_CONNS_MAX) drop(p, 0);
    c = p->v[p->n++] = conn_new(s, id, addr, fd);
    if (guesser_of(p, &c->addr)->n >= PUSH_GUESSES_MAX) {
        say_refused(c, "too many wrong logins");
        drop(p, p->n - 1);
    }
    s->ops.turn(s->ops.arg);
}

/* --- the speaker --- */

static void start(struct session *s, usec_t now_us)
{
    (void)now_us;
    s->ops.state(s->ops.arg, STREAM_CONNECTING, waiting);
}

static void stop(struct session *s, usec_t now_us)
{
    struct push *p = s->push;

    (void)now_us;
    if (s->phase == STOP)
        while (p->n > 0) drop(p, 0);
    if (p->active) {
        rtsp_publish_stop(p->active->speaks);
        return;
    }
    s->over = true;
    session_later(s);
}

static void over(struct session *s, usec_t now_us)
{
    enum stream_state to = s->restarting ? s->over_state : STREAM_DOWN;

    (void)now_us;
    ingest_end(s->ingest);
    if (s->playing_us != 0) s->ops.ended(s->ops.arg);
    s->playing_us = 0;
    s->restarting = false;
    s->ops.state(s->ops.arg, to, s->why);
}

/* session_close_sockets has freed its connection. */
static void sockets_closed(struct session *s)
{
    struct push *p = s->push;

    if (!p || !p->active) return;
    p->active->conn = NULL;
    conn_free(p->active);
    p->active = NULL;
    s->pushed = 0;
    s->said = (struct rtsp_client_counts){0};
}

static usec_t sooner(usec_t a_us, usec_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

static void tick(struct session *s, usec_t now_us)
{
    struct push *p = s->push;

    if (p->active && !s->over) rtsp_publish_tick(p->active->speaks, now_us);
    if (p->active && p->active->ask_us != 0 && now_us >= p->active->ask_us) ask(p->active);
    for (size_t i = p->n; i-- > 0;) {
        rtsp_publish_tick(p->v[i]->speaks, now_us);
        if (p->v[i]->over) drop(p, i);
    }
}

static usec_t deadline(const struct session *s)
{
    const struct push *p = s->push;
    usec_t due_us = p->active ? rtsp_publish_deadline(p->active->speaks) : 0;

    if (p->active) due_us = sooner(due_us, p->active->ask_us);
    for (size_t i = 0; i < p->n; i++) due_us = sooner(due_us, rtsp_publish_deadline(p->v[i]->speaks));
    return due_us;
}

static void send_rtcp(struct session *s, uint8_t track, struct span compound)
{
    if (s->push->active) rtsp_publish_send_rtcp(s->push->active->speaks, track, compound);
}

static void udp_bound(struct session *s, uint8_t track, uint16_t port, int err, usec_t now_us)
{
    struct push_conn *c = s->push->active;

    (void)now_us;
    if (!c) return;
    rtsp_publish_udp_bound(c->speaks, track, port, err);
    camera_conn_again(c->conn); /* what it has asked meanwhile */
}

static void udp_seen(struct session *s, uint8_t track, usec_t now_us)
{
    (void)track;
    s->push->heard_us = now_us;
}

static bool tracks(struct session *s, unsigned kinds)
{
    bool other = s->push->tracks != kinds;

    s->push->tracks = kinds;
    return other && s->push->active;
}

static struct rtsp_client_counts counts(const struct session *s)
{
    return s->push->active ? rtsp_publish_counts(s->push->active->speaks) : s->said;
}

static void free_push(struct session *s)
{
    struct push *p = s->push;

    if (!p) return;
    while (p->n > 0) drop(p, 0);
    if (p->password) explicit_bzero(p->password, strlen(p->password));
    mem_free(p->password);
    mem_free(p->user);
    mem_free(p);
    s->push = NULL;
}

const struct speaker session_push = {.start = start,
    .stop = stop,
    .over = over,
    .closed = sockets_closed,
    .tick = tick,
    .deadline = deadline,
    .send_rtcp = send_rtcp,
    .udp_bound = udp_bound,
    .udp_seen = udp_seen,
    .tracks = tracks,
    .counts = counts,
    .free = free_push};

static char *decoded(struct span text)
{
    char mem[URL_USER_MAX + 1];
    struct wr w = wr_of(mem, sizeof(mem));
    char *copy = NULL;

    if (url_decode(text, false, &w)) copy = span_dup(wr_span(&w));
    explicit_bzero(mem, sizeof(mem));
    return copy;
}

bool session_push_new(struct session *s, const char **ret_why)
{
    static const struct clink_ops link_ops = {
        .pushed = session_pushed, .udp_bound = session_udp_bound, .udp_connected = session_udp_connected};
    struct url u;

    clink_init(&s->connector, s->loop, &link_ops, s);
    s->push = NEW(struct push);
    s->push->tracks = settings_tracks(s->settings);
    must(url_parse(secret_reveal(&s->settings->url), &u) == 0);
    s->push->user = decoded(u.user);
    s->push->password = decoded(u.password);
    if (s->push->user && s->push->password) return true;
    *ret_why = "user name or password is too long";
    return false;
}
