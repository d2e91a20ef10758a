/* Both connections of a tunnel live on the hub of the stream that their URL names, so that they find each
 * other. */
#include "httpd/auth.h"
#include "httpd/proxied.h"
#include "httpd/routes.h"
#include "httpd/rtsp_conn_impl.h"

#define POST_ALONE_US (10 * US_PER_S) /* a POST waits so long for its GET */

static void alone(struct loop_timer *t)
{
    struct rtsp_conn *r = t->arg;

    conn_close(r->conn, 0);
}

static void refuse(struct rtsp_conn *r, struct span answer)
{
    r->closing = true;
    loop_timer_stop(&r->timer);
    conn_send(r->conn, answer);
    conn_close_after_send(r->conn);
}

/* Of the same client. */
static bool belongs(const struct rtsp_conn *a, const struct rtsp_conn *b)
{
    return strcmp(a->cookie, b->cookie) == 0 && addr_eq(&a->address, &b->address);
}

/* The other side, where it has arrived before. */
static void find_other(struct rtsp_conn *r)
{
    enum tunnel_kind wanted = r->way == TUNNEL_GET ? TUNNEL_POST : TUNNEL_GET;

    LIST_EACH(&r->hub->rtsp_conns, at)
    {
        struct rtsp_conn *o = LIST_ITEM(at, struct rtsp_conn, link);

        if (o->way != wanted || o->other || o->closing || !belongs(r, o)) continue;
        r->other = o;
        o->other = r;
        loop_timer_stop(wanted == TUNNEL_POST ? &o->timer : &r->timer);
        conn_resume(wanted == TUNNEL_POST ? o->conn : r->conn);
        return;
    }
}

/* At home. */
static void settle(struct conn *c)
{
    struct rtsp_conn *r = conn_arg(c);

    if (r->way == TUNNEL_GET) {
        conn_send(c, tunnel_answer());
        rtsp_conn_look(r);
    } else {
        loop_timer_set(r->hub->loop, &r->timer, POST_ALONE_US, alone, r);
    }
    find_other(r);
    if (r->way == TUNNEL_POST && !r->other) conn_pause(c);
}

/* A proxy that reads HTTP says in its head whose it is. */
static void know_viewer(struct rtsp_conn *r, const struct head *h)
{
    struct access_ask said = {.secure = r->secure};

    proxied_viewer(&r->hub->auth->proxies, (const struct sockaddr *)conn_peer(r->conn), h, &said);
    r->address = said.address;
    r->secure = said.secure;
}

size_t rtsp_tunnel_begin(struct rtsp_conn *r, struct span in)
{
    struct tunnel_head h = {0};
    struct rtsp_target target;
    enum tunnel_kind kind = tunnel_look(&r->find, in, &h);

    if (kind == TUNNEL_MORE) return 0;
    if (kind == TUNNEL_NONE) {
        r->way = kind;
        return 0;
    }
    if (kind == TUNNEL_BAD || !rtsp_target(h.path, r->base, &target) || !route_uid_ok(target.uid)) {
        refuse(r,
            SPAN_LIT("HTTP/1.0 400 Bad Request\r\nServer: media-server\r\nConnection: close\r\n"
                     "Content-Type: text/plain\r\n\r\nThis port speaks RTSP.\n"));
        return in.n;
    }
    r->way = kind;
    know_viewer(r, &h.head);
    memcpy(r->cookie, h.cookie, sizeof(r->cookie));
    span_copy(target.uid, r->uid, sizeof(r->uid));
    buf_init(&r->in, RTSP_SERVER_READ_MAX);
    if (hub_home(r->hub->server, target.uid) != r->hub)
        rtsp_conn_move(r, settle);
    else
        settle(r->conn);
    return h.n;
}

void rtsp_tunnel_go_on(struct rtsp_conn *r)
{
    if (r->feeding) return; /* an answer came at once */
    r->feeding = true;
    while (buf_n(&r->in) > 0 && !r->closing && !rtsp_server_busy(&r->server)) {
        size_t took = rtsp_conn_feed(r, buf_span(&r->in));

        buf_take(&r->in, took);
        if (took == 0) break;
    }
    r->feeding = false;
    buf_shrink(&r->in);
}

size_t rtsp_tunnel_post(struct rtsp_conn *r, struct span in)
{
    struct rtsp_conn *get = r->other;

    if (!get) return 0;
    if (!tunnel_decode(&r->text, in, &get->in)) {
        conn_close(r->conn, 0);
        conn_close(get->conn, 0);
        return in.n;
    }
    rtsp_tunnel_go_on(get);
    return in.n;
}

/* A POST may be opened anew, also before the end of the one before is heard of; without its GET it is of no
 * use. */
void rtsp_tunnel_close(struct rtsp_conn *r)
{
    struct rtsp_conn *o = r->other;

    buf_done(&r->in);
    r->closing = true;
    r->other = NULL;
    if (!o) return;
    o->other = NULL;
    if (r->way == TUNNEL_GET)
        conn_close(o->conn, 0);
    else if (!o->closing)
        find_other(o);
}
