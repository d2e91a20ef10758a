#include "tests/support/access_help.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/listener.h"
#include "common/proto/auth.h"
#include "httpd/auth.h"
#include "httpd/doors.h"
#include "httpd/pushes.h"

#include <arpa/inet.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#define WEBSOCKET                                                                                            \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "          \
    "MDEyMzQ1Njc4OWFiY2RlZg==\r\n"

#define PUSH_WAIT_S 60
#define POLL_US     1000

static const struct access_road_row rows[] = {
    {"/live/:uid/playlist.m3u8", "/live/%/playlist.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/live/:uid/playlist_ios.m3u8", "/live/%/playlist_ios.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/live/:uid/video.m3u8", "/live/%/video.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/live/:uid/preview.mp4", "/live/%/preview.mp4", ACCESS_PREVIEW, ROAD_PICTURE, NULL},
    {"/live/:uid/preview.jpg", "/live/%/preview.jpg", ACCESS_PREVIEW, ROAD_PICTURE, NULL},
    {"/live/:uid/live-init-*.mp4", "/live/%/live-init-1.mp4", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/live/:uid/live-*.m4s", "/live/%/live-1.m4s", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/dvr/:uid/playlist.m3u8", "/dvr/%/playlist.m3u8?timestamp=1700000000&duration=60", ACCESS_DVR, ROAD_HLS,
        NULL},
    {"/dvr/:uid/playlist_ios.m3u8", "/dvr/%/playlist_ios.m3u8?timestamp=1700000000&duration=60", ACCESS_DVR,
        ROAD_HLS, NULL},
    {"/dvr/:uid/record.mp4", "/dvr/%/record.mp4?timestamp=1700000000&duration=60", ACCESS_COPY, ROAD_MP4,
        NULL},
    {"/dvr/:uid/screenshot.mp4", "/dvr/%/screenshot.mp4?timestamp=1700000000", ACCESS_DVR, ROAD_PICTURE,
        NULL},
    {"/dvr/:uid/screenshot.jpg", "/dvr/%/screenshot.jpg?timestamp=1700000000", ACCESS_DVR, ROAD_PICTURE,
        NULL},
    {"/dvr/:uid/dvr-init-*-*.mp4", "/dvr/%/dvr-init-00000000-1.mp4", ACCESS_DVR, ROAD_HLS, NULL},
    {"/dvr/:uid/dvr-*-*-*-*.m4s", "/dvr/%/dvr-00000000-1-0-1.m4s", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/index.m3u8", "/%/index.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/video.m3u8", "/%/video.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/mono.m3u8", "/%/mono.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/live-init-*.mp4", "/%/live-init-1.mp4", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/live-*.m4s", "/%/live-1.m4s", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/live-*.m4s", "/%/live-2.m4s", ACCESS_LIVE, ROAD_HLS, "Range: bytes=0-9\r\n"},
    {"/:uid/index.ll.m3u8", "/%/index.ll.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/video.ll.m3u8", "/%/video.ll.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/video.ll.m3u8", "/%/video.ll.m3u8?_HLS_msn=7&_HLS_part=1", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/live-*.*.m4s", "/%/live-1.1.m4s", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/mpegts.m3u8", "/%/mpegts.m3u8", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/live-*.ts", "/%/live-1.ts", ACCESS_LIVE, ROAD_HLS, NULL},
    {"/:uid/mpegts", "/%/mpegts", ACCESS_LIVE, ROAD_TS, NULL},
    {"/:uid/mse_ld", "/%/mse_ld", ACCESS_LIVE, ROAD_WS, WEBSOCKET},
    {"/:uid/live.mp4", "/%/live.mp4", ACCESS_LIVE, ROAD_MP4, NULL},
    {"/:uid/preview.mp4", "/%/preview.mp4", ACCESS_PREVIEW, ROAD_PICTURE, NULL},
    {"/:uid/preview.jpg", "/%/preview.jpg", ACCESS_PREVIEW, ROAD_PICTURE, NULL},
    {"/:uid/*-preview.jpg", "/%/1700000000-preview.jpg", ACCESS_DVR, ROAD_PICTURE, NULL},
    {"/:uid/*.jpg", "/%/1700000000.jpg", ACCESS_DVR, ROAD_PICTURE, NULL},
    {"/:uid/archive-*-*.m3u8", "/%/archive-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/index-*-*.m3u8", "/%/index-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/archive-*-*.mp4", "/%/archive-1700000000-60.mp4", ACCESS_COPY, ROAD_MP4, NULL},
    {"/:uid/archive-*-*.mp4", "/%/archive-1700000000-59.mp4", ACCESS_COPY, ROAD_MP4, "Range: bytes=0-9\r\n"},
    {"/:uid/*-preview.mp4", "/%/1700000000-preview.mp4", ACCESS_DVR, ROAD_PICTURE, NULL},
    {"/:uid/strip-*-*-*.mp4", "/%/strip-1700000000-60-3.mp4", ACCESS_DVR, ROAD_PICTURE, NULL},
    {"/:uid/strip-*-*-*.json", "/%/strip-1700000000-60-3.json", ACCESS_DVR, ROAD_INFO, NULL},
    {"/:uid/video-timeshift_abs-*.m3u8", "/%/video-timeshift_abs-1700000000.m3u8", ACCESS_DVR, ROAD_HLS,
        NULL},
    {"/:uid/video-timeshift_rel-*.m3u8", "/%/video-timeshift_rel-9.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/video-*-*.m3u8", "/%/video-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/mono-*-*.m3u8", "/%/mono-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/rewind-*.m3u8", "/%/rewind-60.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/timeshift_abs-*.m3u8", "/%/timeshift_abs-1700000000.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/timeshift_rel-*.m3u8", "/%/timeshift_rel-9.m3u8", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/dvr-init-*-*.mp4", "/%/dvr-init-00000000-1.mp4", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/dvr-*-*-*-*.m4s", "/%/dvr-00000000-1-0-1.m4s", ACCESS_DVR, ROAD_HLS, NULL},
    {"/:uid/recording_status.json", "/%/recording_status.json", ACCESS_DVR, ROAD_INFO, NULL},
    {"/:uid/stream.json", "/%/stream.json", ACCESS_PAGE, ROAD_INFO, NULL},
    {"/:uid/embed.html", "/%/embed.html", ACCESS_PAGE, ROAD_PAGE, NULL},
    {NULL, "/%", ACCESS_LIVE, ROAD_RTSP, NULL},
    {NULL, "/live/%/", ACCESS_LIVE, ROAD_RTSP, NULL},
    {NULL, "/dvr/%/?timestamp=1700000000", ACCESS_DVR, ROAD_RTSP, NULL},
    {NULL, "/%", ACCESS_PUBLISH, ROAD_PUSH, NULL},
};

const struct access_road_row *access_rows(size_t *ret_n)
{
    *ret_n = ARRAY_N(rows);
    return rows;
}

/* --- a site's own server --- */

static void backend_answer(struct access_backend *b, int fd)
{
    char in[8192], out[512];
    size_t n = 0;
    unsigned status = atomic_load(&b->status);

    while (n < sizeof(in) && span_find_span(span(in, n), SPAN_LIT("\r\n\r\n")) < 0) {
        ssize_t k = recv(fd, in + n, sizeof(in) - n, 0);

        if (k <= 0) return;
        n += (size_t)k;
    }
    atomic_fetch_add(&b->asked, 1);
    while (atomic_load(&b->holds)) usleep(POLL_US);
    if (status == ACCESS_BACKEND_MUTE) return;
    if (status == 0) status = span_find_span(span(in, n), SPAN_LIT("&token=yes")) > 0 ? 200 : 403;
    n = (size_t)snprintf(out, sizeof(out),
        "HTTP/1.1 %u X\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n", status,
        b->fields ? b->fields : "");
    (void)!send(fd, out, n, MSG_NOSIGNAL);
}

static void *backend_run(void *arg)
{
    struct access_backend *b = arg;
    int fd;

    while ((fd = accept(b->fd, NULL, NULL)) >= 0) {
        backend_answer(b, fd);
        close(fd);
    }
    return NULL;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in sa = {.sin_port = 0};
    socklen_t n = sizeof(sa);

    must(getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
    return ntohs(sa.sin_port);
}

void access_backend_start(struct access_backend *b)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    *b = (struct access_backend){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    must(bind(b->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(b->fd, 1024) == 0);
    snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%u/auth", port_of(b->fd));
    must(pthread_create(&b->thread, NULL, backend_run, b) == 0);
}

void access_backend_stop(struct access_backend *b)
{
    shutdown(b->fd, SHUT_RDWR);
    pthread_join(b->thread, NULL);
    fd_close(&b->fd);
}

/* --- a camera that pushes --- */

static struct {
    sem_t said;
    _Atomic unsigned status;
} push;

static void push_said(const char *uid, uint64_t id, unsigned status)
{
    (void)uid;
    (void)id;
    atomic_store(&push.status, status);
    sem_post(&push.said);
}

unsigned access_help_push_said(void)
{
    struct timespec by;

    clock_gettime(CLOCK_REALTIME, &by);
    by.tv_sec += PUSH_WAIT_S;
    must(sem_timedwait(&push.said, &by) == 0);
    return atomic_load(&push.status);
}

unsigned access_help_push(struct access_help *h, const char *uid, uint64_t id, const char *token)
{
    struct addr addr;

    must(addr_parse(SPAN_LIT("127.0.0.1"), &addr));
    pushes_ask(&h->http.server, span_of(uid), id, &addr, span_of(token ? token : ""));
    return access_help_push_said();
}

/* --- the server --- */

static uint16_t open_door(struct access_help *h, struct door_set door, int *ret_fd)
{
    must(listen_tcp("127.0.0.1", 0, 1024, ret_fd) == 0);
    door.fd = *ret_fd;
    server_each(&h->http.server, doors_open, mem_dup(&door, sizeof(door)));
    return port_of(*ret_fd);
}

void access_help_start(struct access_help *h)
{
    httpd_help_start(&h->http, 2, NULL, 0);
    must(sem_init(&push.said, 0, 0) == 0);
    h->http.server.push_said = push_said;
    h->rtsp_port = open_door(h, (struct door_set){.rtsp = true, .base = "/"}, &h->rtsp_fd);
    h->module_port = open_door(h, (struct door_set){.module = true, .base = "/"}, &h->module_fd);
    httpd_help_settle(&h->http);
}

void access_help_stop(struct access_help *h)
{
    httpd_help_stop(&h->http);
    sem_destroy(&push.said);
    fd_close(&h->rtsp_fd);
    fd_close(&h->module_fd);
}

static void list_of(const char *text, struct cidrs *ret)
{
    must(cidrs_parse(span_of(text ? text : ""), 16, ret) == 0);
}

void access_help_site(struct access_help *h, const struct access_site *site)
{
    struct auth *a = auth_new();

    snprintf(a->audience, sizeof(a->audience), "1");
    must(token_keys_add(
        &a->keys, SPAN_LIT("0"), span_of(site->secret ? site->secret : ACCESS_SECRET), 0, site->key_until_s));
    list_of(site->whitelist, &a->whitelist);
    list_of(site->exempt ? site->exempt : "127.0.0.0/8", &a->exempt);
    list_of(site->proxies, &a->proxies);
    list_of(site->api_whitelist, &a->api_whitelist);
    a->link_key = secret_of(span_of(site->link_key ? site->link_key : ""));
    a->backend = secret_of(span_of(site->backend ? site->backend : ""));
    a->backend_timeout_us = 20 * US_PER_S;
    a->address_limit = site->address_limit;
    a->connections_limit = site->connections_limit;
    a->api = site->api;
    a->digest_md5 = a->web_login = true;
    if (site->users)
        must(accounts_add(&a->accounts, SPAN_LIT("anna"), span_of(site->password ? site->password : "wonder"),
                 SPAN_LIT("user"), SPAN_NONE) &&
            accounts_add(&a->accounts, SPAN_LIT("bert"), SPAN_LIT("brick"), SPAN_LIT("guest"), SPAN_NONE));
    auth_share(&h->http.server, a);
    httpd_help_settle(&h->http);
}

void access_help_stream(
    struct access_help *h, const char *uid, enum access_mode mode, const char *whitelist, unsigned limit)
{
    struct view *v = NEW(struct view);

    snprintf(v->uid, sizeof(v->uid), "%s", uid);
    snprintf(v->state, sizeof(v->state), "down");
    v->rule = (struct access_rule){mode, true, ACCESS_ROADS_ALL, {NULL, 0}};
    v->limit = limit;
    list_of(whitelist, &v->rule.whitelist);
    hub_post(hub_home(&h->http.server, span_of(uid)), stream_view, v);
    httpd_help_settle(&h->http);
}

/* --- asking --- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static const char *path_of(
    const struct access_road_row *row, const char *uid, const struct access_shown *s, char *dst, size_t cap)
{
    const char *at = strchr(row->path, '%');
    struct wr w = wr_of(dst, cap);

    if (s->session) wr_fmt(&w, "/s/%s", s->session);
    wr_bytes(&w, span(row->path, (size_t)(at - row->path)));
    wr_fmt(&w, "%s%s", uid, at + 1);
    if (s->token) wr_fmt(&w, "%ctoken=%s", strchr(at, '?') ? '&' : '?', s->token);
    return wr_cstr(&w);
}

static void ask_once(const struct access_help *h, const struct access_road_row *row, const char *target,
    const struct access_shown *s, const char *authorization, struct http_reply *ret)
{
    char text[2 * ACCESS_HEAD_MAX];
    struct wr w = wr_of(text, sizeof(text));
    int fd = connect_to(row->pattern ? h->http.port : h->rtsp_port);

    if (row->pattern)
        wr_fmt(&w, "GET %s HTTP/1.1\r\nHost: t\r\n%s", target,
            row->road == ROAD_WS ? "" : "Connection: close\r\n");
    else
        wr_fmt(&w, "DESCRIBE %s RTSP/1.0\r\nCSeq: 1\r\n", target);
    wr_fmt(&w, "%s%s", row->fields ? row->fields : "", s->fields ? s->fields : "");
    if (authorization[0]) wr_fmt(&w, "Authorization: %s\r\n", authorization);
    wr_text(&w, "\r\n");
    must(wr_ok(&w) && http_help_ask(fd, wr_span(&w), row->pattern ? SIZE_MAX : 0, ret));
    close(fd);
}

/* By what the answer asks for. */
static bool sign_in(const struct http_reply *r, const char *login, const char *method, const char *target,
    char dst[AUTH_HEADER_MAX])
{
    struct wr w = wr_of(dst, AUTH_HEADER_MAX);
    struct auth_client client = {.nc = 0};
    struct auth_challenge c = {.scheme = AUTH_NONE};
    struct auth_login l;
    struct span rest = span_of(login);
    struct head head;

    span_split(&rest, ':', &l.user);
    l.password = rest;
    if (head_parse(r->head, &head) != 0 || !auth_pick(&head, false, &c)) return false;
    must(auth_client_challenged(&client, &c));
    auth_authorization(&client, &l, method, span_of(target), 7, &w);
    return wr_cstr(&w)[0] != '\0';
}

static unsigned ask_to_push(struct access_help *h, const char *uid, const char *token)
{
    unsigned status = access_help_push(h, uid, 1, token);

    pushes_over(&h->http.server, span_of(uid), 1);
    return status;
}

unsigned access_help_ask(struct access_help *h, const struct access_road_row *row, const char *uid,
    const struct access_shown *shown, struct http_reply *ret)
{
    char path[ACCESS_HEAD_MAX], target[ACCESS_HEAD_MAX + 32], authorization[AUTH_HEADER_MAX] = "";
    const char *method = row->pattern ? "GET" : "DESCRIBE";
    struct http_reply r;
    unsigned status;

    if (row->road == ROAD_PUSH) return ask_to_push(h, uid, shown->token);
    path_of(row, uid, shown, path, sizeof(path));
    snprintf(target, sizeof(target), "%s%s", row->pattern ? "" : "rtsp://127.0.0.1", path);
    ask_once(h, row, target, shown, "", &r);
    if (shown->login && r.status == 401 && sign_in(&r, shown->login, method, target, authorization)) {
        http_reply_done(&r);
        ask_once(h, row, target, shown, authorization, &r);
    }
    status = r.status;
    if (ret)
        *ret = r;
    else
        http_reply_done(&r);
    return status;
}

void access_help_text(const struct http_reply *r, char dst[ACCESS_HEAD_MAX])
{
    struct span all = buf_span(&r->all), date = http_reply_field(r, "Date");
    size_t before = date.p ? (size_t)(date.p - all.p) : all.n;

    snprintf(dst, ACCESS_HEAD_MAX, "%.*s|%.*s", (int)before, (const char *)all.p,
        (int)(all.n - before - date.n), date.p ? (const char *)date.p + date.n : "");
}

struct look {
    const char *uid;
    char *dst;
    sem_t done;
};

static void last_session(struct hub *hub, void *arg)
{
    struct look *l = arg;

    l->dst[0] = '\0';
    LIST_EACH(&hub->sessions.all, at)
    {
        const struct session *s = LIST_ITEM(at, struct session, link);

        if (strcmp(s->uid, l->uid) == 0) snprintf(l->dst, SESSION_ID_DIGITS + 1, "%s", s->id);
    }
    sem_post(&l->done);
}

void access_help_session(struct access_help *h, const char *uid, char dst[SESSION_ID_DIGITS + 1])
{
    struct look l = {.uid = uid, .dst = dst};

    sem_init(&l.done, 0, 0);
    hub_post(hub_home(&h->http.server, span_of(uid)), last_session, &l);
    sem_wait(&l.done);
    sem_destroy(&l.done);
}

/* --- what is shown --- */

struct token access_token(const char *uid)
{
    static uint32_t number;
    struct token t = {
        .audience = "1", .user = "anna", .n_streams = 1, .ops = TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY};

    number++;
    memcpy(t.id, &number, sizeof(number));
    snprintf(t.streams[0], sizeof(t.streams[0]), "%s", uid);
    t.made_us = clock_wall_us();
    return t;
}

const char *access_signed(const char *kid, const char *secret, const struct token *t)
{
    static char text[TOKEN_TEXT_MAX];
    struct token_keys keys = {.n = 0};

    must(token_keys_add(&keys, span_of(kid), span_of(secret), 0, 0));
    must(token_mint(&keys, t, clock_wall_us() / US_PER_S, text));
    token_keys_done(&keys);
    return text;
}

const char *access_token_text(struct token t)
{
    return access_signed("0", ACCESS_SECRET, &t);
}

const char *access_link(const char *uid, const char *key)
{
    static char text[256];
    char start[24], end[24], hex[2 * CRYPTO_HASH_MAX + 1];
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct span pieces[] = {
        span_of(uid), SPAN_LIT("no_check_ip"), SPAN_NONE, SPAN_NONE, span_of(key), SPAN_LIT("salt")};

    snprintf(start, sizeof(start), "%lld", (long long)now_s - 60);
    snprintf(end, sizeof(end), "%lld", (long long)now_s + 3600);
    pieces[2] = span_of(start);
    pieces[3] = span_of(end);
    crypto_hash_hex(CRYPTO_SHA1, pieces, ARRAY_N(pieces), hex);
    snprintf(text, sizeof(text), "%s-salt-%s-%s", hex, end, start);
    return text;
}
