#include "tests/support/httpd_help.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/listener.h"
#include "common/wire/head.h"
#include "httpd/assets.h"
#include "httpd/doors.h"
#include "tests/support/ring_help.h"

#include <arpa/inet.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_WAIT_MS  60000
#define CAMERA_FRAME_US (40 * US_PER_MS)
#define ANSWER_MAX      (256u << 20)

void httpd_help_start(struct httpd_help *h, unsigned threads, const char *web_dir, uint16_t port)
{
    struct sockaddr_in sa = {.sin_port = 0};
    socklen_t n = sizeof(sa);
    struct door_set door = {.base = "/"};
    int err;

    *h = (struct httpd_help){.storages = storages_new()};
    if (web_dir) h->assets = assets_load(web_dir, NULL, &err);
    must(listen_tcp("127.0.0.1", port, 1024, &h->listen_fd) == 0);
    must(getsockname(h->listen_fd, (struct sockaddr *)&sa, &n) == 0);
    h->port = ntohs(sa.sin_port);
    must(server_start(&h->server, threads, h->assets, h->storages) == 0);
    door.fd = h->listen_fd;
    server_each(&h->server, doors_open, mem_dup(&door, sizeof(door)));
}

void httpd_help_stop(struct httpd_help *h)
{
    server_stop(&h->server);
    storages_free(h->storages);
    server_free(&h->server);
    assets_free(h->assets);
    fd_close(&h->listen_fd);
}

static void settled(struct hub *hub, void *arg)
{
    (void)hub;
    sem_post(arg);
}

void httpd_help_settle(struct httpd_help *h)
{
    sem_t done;

    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < h->server.n_hubs; i++) hub_post(&h->server.hubs[i], settled, &done);
    for (unsigned i = 0; i < h->server.n_hubs; i++) sem_wait(&done);
    sem_destroy(&done);
}

static usec_t length_of(const struct media_file *f)
{
    usec_t end = 0;

    for (size_t i = 0; i < f->n; i++) {
        struct frame fr = media_file_frame(f, i, 0);

        end = MAX(end, ticks_us((struct ticks){fr.dts + fr.dur, f->movie.tracks.t[fr.track].clock_hz}));
    }
    return end;
}

struct view httpd_view(const char *uid)
{
    struct view v = {.rule = {ACCESS_PUBLIC, true, ACCESS_ROADS_ALL, {NULL, 0}}};

    snprintf(v.uid, sizeof(v.uid), "%s", uid);
    return v;
}

void httpd_camera_start(struct httpd_help *h, struct httpd_camera *c, const struct view *v,
    const struct media_file *file, usec_t start_wall_us)
{
    struct view_ring *r = NEW(struct view_ring);
    struct ring_geom geom = {file ? 8u << 20 : 64u << 20, 4096};
    struct hub *home = hub_home(&h->server, span_of(v->uid));

    *c = (struct httpd_camera){.file = file, .base_us = start_wall_us};
    if (file) c->length_us = length_of(file);
    must(ring_mem_create(v->uid, 1, 7, geom, &c->ring_fd) == 0 && demand_create(&c->demand_fd) == 0);
    must(ring_writer_open(c->ring_fd, &c->w) == 0 && demand_map(c->demand_fd, false, &c->demand) == 0);
    c->frame_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->demand_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (file)
        c->tracks = file->movie.tracks;
    else
        ring_help_tracks(&c->tracks);
    ring_set_tracks(c->w, &c->tracks);
    atomic_store(&ring_writer_status(c->w)->state, STREAM_ACTIVE);
    snprintf(r->uid, sizeof(r->uid), "%s", v->uid);
    must(ring_mem_reopen_ro(c->ring_fd, &r->ring_fd) == 0);
    r->demand_fd = dup(c->demand_fd);
    r->frame_event_fd = dup(c->frame_event);
    r->demand_event_fd = dup(c->demand_event);
    hub_post(home, stream_view, mem_dup(v, sizeof(*v)));
    hub_post(home, stream_ring, r);
    httpd_help_settle(h);
}

void httpd_camera_stop(struct httpd_help *h, struct httpd_camera *c, const char *uid)
{
    hub_post(hub_home(&h->server, span_of(uid)), stream_gone, mem_strdup(uid));
    httpd_help_settle(h);
    ring_writer_close(c->w);
    demand_unmap(c->demand);
    fd_close(&c->ring_fd);
    fd_close(&c->demand_fd);
    fd_close(&c->frame_event);
    fd_close(&c->demand_event);
}

static void signal_frames(struct httpd_camera *c)
{
    uint64_t one = 1;

    if (atomic_load(&c->demand->followers) > 0) (void)!write(c->frame_event, &one, sizeof(one));
}

static bool shows(struct httpd_camera *c, const struct frame *picture)
{
    return c->few == 0 || ((picture->flags & FRAME_KEY) && c->keys++ % c->few == 0);
}

void httpd_camera_until(struct httpd_camera *c, usec_t wall_us)
{
    uint64_t seq;
    bool any = false;

    for (;;) {
        struct frame f = media_file_frame(c->file, c->at, c->base_us);
        usec_t at_us = ticks_us((struct ticks){f.dts, c->tracks.t[f.track].clock_hz});
        struct piece piece = {.s = media_file_data(c->file, c->at)};

        if (at_us > wall_us) break;
        f.wall_us = at_us;
        f.arrival_us = clock_mono_us() - (clock_wall_us() - at_us);
        f.gen = c->tracks.gen;
        if (c->tracks.t[f.track].kind == TRACK_VIDEO ? shows(c, &f) : !c->mute)
            must(ring_put(c->w, &f, &piece, 1, &seq) == RING_OK);
        any = true;
        if (++c->at < c->file->n) continue;
        c->at = 0;
        c->base_us += c->length_us;
    }
    if (any) signal_frames(c);
}

void httpd_camera_put(struct httpd_camera *c, uint16_t flags, size_t n)
{
    struct frame f = {.dur = 3600, .flags = flags, .gen = c->tracks.gen};
    uint8_t *mem = mem_new(n);
    struct piece piece = {.s = {mem, n}};
    struct wr w = wr_of(mem, n);
    uint64_t seq;

    wr_u32(&w, (uint32_t)n - 4);
    wr_u8(&w, flags & FRAME_KEY ? 0x65 : 0x41); /* a slice (H.264) */

    f.wall_us = c->base_us + (usec_t)c->at * CAMERA_FRAME_US;
    f.dts = scale_i64(f.wall_us, c->tracks.t[0].clock_hz, 1000000);
    f.arrival_us = clock_mono_us();
    c->at++;
    must(ring_put(c->w, &f, &piece, 1, &seq) == RING_OK);
    mem_free(mem);
    signal_frames(c);
}

/* --- asking --- */

int httpd_help_connect(const struct httpd_help *h)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(h->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static ssize_t more(int fd, struct buf *b)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t *at = buf_room(b, 65536);
    ssize_t n;

    if (!at || poll(&p, 1, ANSWER_WAIT_MS) != 1) return -1;
    n = recv(fd, at, 65536, 0);
    if (n > 0) buf_added(b, (size_t)n);
    return n;
}

struct span http_reply_field(const struct http_reply *r, const char *name)
{
    struct head h;

    if (head_parse(r->head, &h) != 0) return SPAN_NONE;
    return head_get(&h, name);
}

static bool read_head(int fd, struct http_reply *r)
{
    static const struct head_limits limits = {8192, 65536};
    struct head_find find = {0};
    struct head h;
    size_t n;
    int err;

    while ((err = head_find(&find, buf_span(&r->all), &limits, &n)) == HEAD_E_MORE)
        if (more(fd, &r->all) <= 0) return false;
    if (err != 0) return false;
    r->head = span_sub(buf_span(&r->all), 0, n);
    if (head_parse(r->head, &h) != 0 || h.kind != HEAD_STATUS) return false;
    r->status = h.status;
    return true;
}

bool http_help_ask(int fd, struct span text, size_t most, struct http_reply *ret)
{
    uint64_t want = most;
    bool head_only = span_starts(text, SPAN_LIT("HEAD "));
    size_t head_n;

    *ret = (struct http_reply){0};
    buf_init(&ret->all, ANSWER_MAX);
    if (text.n > 0 && send(fd, text.p, text.n, MSG_NOSIGNAL) != (ssize_t)text.n) return false;
    if (!read_head(fd, ret)) return false;
    head_n = ret->head.n;
    if (head_only || ret->status == 204 || ret->status == 304)
        want = 0;
    else if (span_u64(http_reply_field(ret, "Content-Length"), UINT32_MAX, &want))
        want = MIN(want, most);
    while (buf_n(&ret->all) - head_n < want)
        if (more(fd, &ret->all) <= 0) break;
    ret->head = span_sub(buf_span(&ret->all), 0, head_n);
    ret->body = span_sub(buf_span(&ret->all), head_n, (size_t)want);
    return true;
}

bool httpd_help_get(const struct httpd_help *h, const char *path, const char *fields, struct http_reply *ret)
{
    char text[4096];
    int fd = httpd_help_connect(h);
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n", path,
        fields ? fields : "");
    bool ok = http_help_ask(fd, span(text, (size_t)n), SIZE_MAX, ret);

    close(fd);
    return ok;
}

void http_reply_done(struct http_reply *r)
{
    buf_done(&r->all);
}
