/* /<uid>/live.mp4: endless fragmented MP4 from the last key frame on. The bytes of the frames are shared;
 * each viewer's file begins at media time 0. The file ends when the tracks change: its head cannot. */
#include "httpd/endless.h"
#include "httpd/handlers.h"
#include "common/base/mem.h"

#define SMALL_HEAD 4096 /* heads of fragments on the stack; larger ones are allocated */

static unsigned mask(const struct init *init)
{
    return init->mask;
}

static void begin(struct endless *e, struct fragment *f, const struct init *init)
{
    e->origin_us = fragment_origin_us(f, init);
    conn_send_chunk(e->h->conn, init->c, 0, init->c->n);
}

static bool send_fragment(struct endless *e, struct fragment *f, const struct init *init, bool jumped)
{
    uint8_t small[SMALL_HEAD], *mem = f->head_n <= sizeof(small) ? small : mem_try(f->head_n);

    (void)jumped;
    if (!mem) return false;
    fragment_head(f, init, e->origin_us, mem);
    conn_send(e->h->conn, span(mem, f->head_n));
    if (mem != small) mem_free(mem);
    conn_send_chunk(e->h->conn, f->c, f->head_n, f->c->n - f->head_n);
    return true;
}

void serve_live_mp4(struct http *h)
{
    static const struct endless_form form = {
        .type = "video/mp4",
        .none = "this stream has no track that MP4 players can play",
        .mask = mask,
        .begin = begin,
        .send = send_fragment,
    };

    endless_serve(h, &form);
}
