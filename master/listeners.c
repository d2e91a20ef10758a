#include "master/listeners.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/listener.h"

#include <errno.h>
#include <fcntl.h>

#define BACKLOG 4096
#define PLAIN   SIZE_MAX       /* TLS: never; ... */
#define ALWAYS  (SIZE_MAX - 1) /* ... always; ... */
#define PUSH    "publish"      /* without TLS the connector's; the others are httpd's */

static bool web_wanted(const struct conf *c)
{
    return (c->delivery.enable & CONF_ROAD_WEB) != 0;
}

static bool rtsp_wanted(const struct conf *c)
{
    return (c->delivery.enable & CONF_ROAD_RTSP) != 0;
}

static bool module_wanted(const struct conf *c)
{
    return c->module.api_enable || c->module.cpanel_enable;
}

/* Only where there is somebody to push: another server on this machine may have the port. */
static bool push_wanted(const struct conf *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n_streams; i++)
        any |= c->streams[i]->source == CONF_SOURCE_PUBLISH && c->streams[i]->enable != CONF_DISABLED;
    return any && (c->delivery.enable & CONF_ROAD_PUBLISH) != 0;
}

/* httpd opens it at its start: streams may come later. */
static bool push_tls_wanted(const struct conf *c)
{
    return (c->delivery.enable & CONF_ROAD_PUBLISH) != 0;
}

/* Roads that this version serves. */
static const struct {
    const char *kind;
    size_t list; /* of struct conf_listens in struct conf */
    size_t tls;  /* ... or as this struct conf_tls says */
    bool (*wanted)(const struct conf *c);
} kinds[] = {
    {"web", offsetof(struct conf, delivery.web), offsetof(struct conf, delivery.tls), web_wanted},
    {"rtsp", offsetof(struct conf, delivery.rtsp), offsetof(struct conf, delivery.tls), rtsp_wanted},
    {"web", offsetof(struct conf, delivery.web_tls), ALWAYS, web_wanted},
    {"rtsp", offsetof(struct conf, delivery.rtsp_tls), ALWAYS, rtsp_wanted},
    {"module", offsetof(struct conf, module.listen), offsetof(struct conf, module.tls), module_wanted},
    {PUSH, offsetof(struct conf, delivery.publish), PLAIN, push_wanted},
    {PUSH, offsetof(struct conf, delivery.publish_tls), ALWAYS, push_tls_wanted},
};

static const struct listener_row *same_of(const struct listeners *l, const char *host, uint16_t port)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (l->v[i].port == port && strcmp(l->v[i].host, host) == 0) return &l->v[i];
    return NULL;
}

static int open_one(const struct conf_listen *want, const struct listeners *old, int *ret_fd)
{
    const struct listener_row *same = same_of(old, want->host, want->port);
    int fd, err;

    if (same) {
        *ret_fd = fcntl(same->fd, F_DUPFD_CLOEXEC, 10);
        return *ret_fd < 0 ? -errno : 0;
    }
    err = listen_tcp(want->host, want->port, BACKLOG, &fd);
    if (err < 0) {
        log_error("listen-failed", "host=%s port=%u err=%s", log_q(span_of(want->host)), (unsigned)want->port,
            log_q(span_of(err_text(err))));
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static void add(struct listeners *l, const char *kind, bool tls, const struct conf_listen *want, int fd)
{
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n++] = (struct listener_row){.kind = kind,
        .host = mem_strdup(want->host),
        .base = mem_strdup(want->base),
        .port = want->port,
        .tls = tls,
        .fd = fd};
}

static bool speaks_tls(const struct conf *c, size_t tls)
{
    if (tls == PLAIN || tls == ALWAYS) return tls == ALWAYS;
    return ((const struct conf_tls *)(const void *)((const char *)c + tls))->enable;
}

int listeners_open(const struct conf *c, const struct listeners *old, struct listeners *ret)
{
    struct listeners l = {.n = 0};

    for (size_t k = 0; k < ARRAY_N(kinds); k++) {
        const struct conf_listens *list = (const void *)((const char *)c + kinds[k].list);
        for (size_t i = 0; kinds[k].wanted(c) && i < list->n; i++) {
            int fd, err = open_one(&list->v[i], old, &fd);

            if (err < 0) {
                listeners_done(&l);
                return err;
            }
            add(&l, kinds[k].kind, speaks_tls(c, kinds[k].tls), &list->v[i], fd);
        }
    }
    *ret = l;
    return 0;
}

void listeners_done(struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->v[i].host);
        mem_free(l->v[i].base);
        fd_close(&l->v[i].fd);
    }
    mem_free(l->v);
    *l = (struct listeners){.n = 0};
}

static bool is_push(const struct listener_row *r)
{
    return strcmp(r->kind, PUSH) == 0 && !r->tls;
}

static void send_some(const struct listeners *l, bool push, struct channel *to)
{
    for (size_t i = 0; i < l->n; i++) {
        struct packer *p;

        if (is_push(&l->v[i]) != push) continue;
        p = channel_begin(to, MSG_LISTEN, 3);
        pack_kv_text(p, "kind", l->v[i].kind);
        pack_kv_text(p, "base", l->v[i].base);
        pack_kv_bool(p, "tls", l->v[i].tls);
        channel_end(to, &l->v[i].fd, 1);
    }
}

void listeners_send(const struct listeners *l, struct channel *httpd)
{
    send_some(l, false, httpd);
}

void listeners_send_push(const struct listeners *l, struct channel *connector)
{
    send_some(l, true, connector);
}
