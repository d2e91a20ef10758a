#include "httpd/ws.h"
#include "httpd/answer.h"

#define HEAD_MAX 512

bool ws_origin_own(struct span origin, struct span host)
{
    static const char *const schemes[] = {"https://", "http://"};

    for (size_t i = 0; i < ARRAY_N(schemes); i++)
        if (span_istarts(origin, schemes[i]))
            return host.n > 0 && span_ieq(span_from(origin, strlen(schemes[i])), host);
    return false;
}

bool ws_asked(struct http *h, char ret_accept[WS_ACCEPT_MAX])
{
    unsigned status = ws_handshake(&h->ask->req, ret_accept);
    bool body = h->skip > 0 || h->skip_chunked;

    if (status == 0 && !body) return true;
    if (status == 426)
        answer_error_with(h, 426, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "this is for WebSockets of version 13");
    else
        answer_error(h, 400, "this opens no WebSocket");
    return false;
}

static void send_frame(struct ws *w, enum ws_opcode opcode, struct span payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head(head, opcode, payload.n);

    conn_send(w->h->conn, span(head, n));
    conn_send(w->h->conn, payload);
}

void ws_answer(struct ws *w, struct span text)
{
    if (conn_queued(w->h->conn) < WS_ANSWERS_QUEUED) send_frame(w, WS_TEXT, text);
}

void ws_close(struct ws *w, unsigned code, const char *why)
{
    struct http *h = w->h;
    uint8_t mem[WS_CONTROL_MAX];
    struct wr payload = wr_of(mem, sizeof(mem));

    if (code != WS_NO_CODE) {
        wr_u16(&payload, (uint16_t)code);
        wr_text(&payload, why);
    }
    send_frame(w, WS_CLOSE, wr_span(&payload));
    h->ask->abort = NULL;
    w->ops->on_end(w);
    http_done(h);
}

static void on_abort(struct http *h)
{
    struct ws *w = h->ask->work;

    w->ops->on_end(w);
}

static void on_ended(struct http *h)
{
    if (conn_queued(h->conn) > 0)
        conn_close(h->conn, 0); /* no picture may follow */
    else
        ws_close(h->ask->work, WS_POLICY, "this is not open any more");
}

static void ping(struct loop_timer *t)
{
    struct http *h = t->arg;

    send_frame(h->ask->work, WS_PING, SPAN_NONE);
    http_timer(h, WS_PING_US, ping);
}

static bool take(struct ws *w, const struct ws_message *m)
{
    unsigned code;

    if (bucket_take(&w->told, loop_now_us(w->h->hub->loop)) > 0) {
        ws_close(w, WS_POLICY, "too many messages");
        return false;
    }
    switch (m->opcode) {
    case WS_TEXT: return w->ops->on_text(w, m->data);
    case WS_PING:
        if (conn_queued(w->h->conn) < WS_ANSWERS_QUEUED) send_frame(w, WS_PONG, m->data);
        return true;
    case WS_CLOSE:
        code = ws_close_code(m->data);
        ws_close(w, code, "");
        return false;
    case WS_BINARY: ws_close(w, WS_UNSUPPORTED, "commands are text"); return false;
    case WS_PONG:
    case WS_CONTINUATION: break;
    }
    return true;
}

static void on_data(struct http *h, struct span in)
{
    struct ws *w = h->ask->work;
    struct ws_message m;
    int err;

    do {
        err = ws_read(&w->in, &in, &m);
        if (err != 0 && err != WS_MORE) ws_close(w, (unsigned)err, "");
    } while (err == 0 && take(w, &m));
}

void ws_begin(struct ws *w, struct http *h, const struct ws_ops *ops, const char *accept)
{
    uint8_t mem[HEAD_MAX];
    struct wr head = wr_of(mem, sizeof(mem));

    w->h = h;
    w->ops = ops;
    w->told = bucket_of(WS_TOLD_EVERY_US, WS_TOLD_BURST);
    wr_fmt(&head,
        "HTTP/1.1 101 Switching Protocols\r\n%sUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        hub_date(h->hub), accept);
    conn_send(h->conn, wr_span(&head));
    h->last = true; /* no request comes behind it */
    h->ask->work = w;
    h->ask->abort = on_abort;
    h->ask->ended = on_ended;
    h->ask->data = on_data;
    http_timer(h, WS_PING_US, ping);
    if (h->paused) {
        h->paused = false;
        conn_resume(h->conn);
    }
}
