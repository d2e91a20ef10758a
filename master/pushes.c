#include "master/pushes.h"
#include "master/master.h"

static struct channel *httpd(const struct stream *s)
{
    return services_channel(s->m, SERVICE_HTTPD);
}

static void say(struct stream *s, uint64_t id, uint64_t status)
{
    struct packer *p = channel_begin(s->proc.ch, MSG_PUSH_MAY, 2);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "status", status);
    channel_end(s->proc.ch, NULL, 0);
}

void pushes_ask(struct stream *s, const struct packed *body)
{
    struct packer *p;

    if (!httpd(s) || s->probe) {
        say(s, packed_u64(body, "id", 0), 503);
        return;
    }
    p = channel_begin(httpd(s), MSG_PUSH_ASK, 4);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "id", packed_u64(body, "id", 0));
    pack_kv_str(p, "addr", packed_str(body, "addr"));
    pack_kv_str(p, "token", packed_str(body, "token"));
    channel_end(httpd(s), NULL, 0);
}

void pushes_over(struct stream *s, const struct packed *body)
{
    struct packer *p;

    if (!httpd(s) || s->probe) return;
    p = channel_begin(httpd(s), MSG_PUSH_OVER, 2);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_u64(p, "id", body ? packed_u64(body, "id", 0) : 0);
    channel_end(httpd(s), NULL, 0);
}

void pushes_said(struct master *m, const struct packed *body)
{
    struct stream *s = fleet_stream(m, packed_str(body, "uid"));

    if (s && !s->gone && proc_runs(&s->proc))
        say(s, packed_u64(body, "id", 0), packed_u64(body, "status", 503));
}

void pushes_again(struct master *m)
{
    for (size_t i = 0; i < m->conf->n_streams; i++) {
        struct stream *s = fleet_stream(m, span_of(m->conf->streams[i]->uid));

        if (s && s->conf && s->conf->source == CONF_SOURCE_PUBLISH && proc_runs(&s->proc))
            channel_send0(s->proc.ch, MSG_PUSH_ASK);
    }
}
