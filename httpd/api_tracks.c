/* stream.tracks: what a stream's ring says of its tracks, read by its home hub. */
#include "httpd/api_tracks.h"
#include "common/base/mem.h"
#include "httpd/luahost/wire.h"
#include "httpd/stream.h"

#define RFC6381_MAX 48

struct tracks_call {
    struct lua_call call;
    struct loop *back;
    char uid[RING_UID_MAX + 1];
    struct track_set set; /* n 0: nothing is known */
};

static void pack_track(struct packer *p, const struct track *t, unsigned id)
{
    static const char *const kinds[] = {
        [TRACK_VIDEO] = "video", [TRACK_AUDIO] = "audio", [TRACK_DATA] = "data"};
    char mime[RFC6381_MAX];

    pack_map(p, 9);
    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "kind", kinds[t->kind]);
    pack_kv_text(p, "codec", codec_name(t->codec));
    pack_kv_text(p, "mime", codec_rfc6381(t, mime, sizeof(mime)));
    pack_kv_u64(p, "clock_rate", t->clock_hz);
    pack_kv_u64(p, "width", t->width);
    pack_kv_u64(p, "height", t->height);
    pack_kv_u64(p, "sample_rate", t->sample_rate);
    pack_kv_u64(p, "channels", t->channels);
}

/* On the main loop. */
static void answer(void *arg)
{
    struct tracks_call *c = arg;
    struct packer p;
    struct buf b;

    buf_init(&b, LUAHOST_MESSAGE_MAX);
    p = packer_of(&b);
    pack_array(&p, c->set.n);
    for (unsigned i = 0; i < c->set.n; i++) pack_track(&p, &c->set.t[i], i);
    if (p.bad)
        lua_call_failed(&c->call, "out of memory");
    else
        lua_call_done(&c->call, buf_span(&b));
    buf_done(&b);
    mem_free(c);
}

/* In the stream's home hub. */
static void look(struct hub *hub, void *arg)
{
    struct tracks_call *c = arg;
    const struct stream *s = stream_get(hub, span_of(c->uid));
    struct ring_reader *r;

    if (s && s->has_ring && ring_reader_open(s->ring.ring_fd, &r) == 0) {
        if (ring_tracks(r, 0, &c->set) != RING_OK) c->set.n = 0;
        ring_reader_close(r);
    }
    loop_post(c->back, answer, c);
}

void api_tracks(
    struct server *server, struct loop *loop, const struct lua_call *call, const struct packed *uid)
{
    struct tracks_call *c = NEW(struct tracks_call);

    *c = (struct tracks_call){.call = *call, .back = loop};
    if (server->n_hubs > 0 && span_copy(packed_as_str(uid), c->uid, sizeof(c->uid))) {
        hub_post(hub_home(server, span_of(c->uid)), look, c);
        return;
    }
    mem_free(c);
    lua_call_failed(call, "there is no such stream");
}
