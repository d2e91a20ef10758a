/* /<uid>/mpegts: an endless MPEG transport stream from the last key frame on, made once a fragment and
 * shared. It goes on through changes of the tracks: the program map says so. */
#include "httpd/endless.h"
#include "httpd/handlers.h"
#include "httpd/live.h"

static unsigned mask(const struct init *init)
{
    return init->ts.mask;
}

static bool send_fragment(struct endless *e, struct fragment *f, const struct init *init, bool jumped)
{
    struct chunk *c = fragment_ts(f, init);
    uint8_t gap[TS_GAP_MAX];

    if (!c) return false;
    if (jumped) conn_send(e->h->conn, span(gap, ts_gap(&init->ts, &f->ts_place, gap)));
    conn_send_chunk(e->h->conn, c, 0, c->n);
    return true;
}

void serve_live_ts(struct http *h)
{
    static const struct endless_form form = {
        .type = LIVE_TS,
        .none = "this stream has no track that goes into MPEG-TS",
        .takes_changes = true,
        .mask = mask,
        .send = send_fragment,
    };

    endless_serve(h, &form);
}
