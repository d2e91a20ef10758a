#include "courier/etcd.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/secret.h"

#include <curl/curl.h>

#define ALIVE_S 15L /* of silence, and TCP looks whether a watch's other end is there */

struct socket {
    struct list link;
    struct etcd *e;
    struct loop_io io;
};
struct call {
    struct list link;
    struct etcd *e;
    CURL *easy;
    struct curl_slist *fields;
    struct buf answer;
    bool follows, large, over;
    CURLcode code;
    etcd_fn *fn;
    void *arg;
    char why[CURL_ERROR_SIZE];
};
struct etcd {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct loop_task settle; /* calls that have something to say */
    struct list calls, sockets;
    size_t n_calls;
    char urls[ETCD_ENDPOINTS_MAX][ETCD_URL_MAX];
    size_t n_urls, at;
    char *token; /* "Authorization: ...", or NULL */
    struct secret authority, cert, key;
    usec_t answered_us;
};

/* --- a call --- */

static void call_free(struct call *c)
{
    curl_multi_remove_handle(c->e->multi, c->easy);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->fields);
    buf_done(&c->answer);
    list_remove(&c->link);
    c->e->n_calls--;
    mem_free(c);
}

static void settle(struct loop_task *t);

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
    struct call *c = arg;

    c->e->answered_us = loop_now_us(c->e->loop);
    c->large = !buf_put(&c->answer, span(p, one * n));
    if (c->follows) loop_defer(c->e->loop, &c->e->settle, settle);
    return c->large ? 0 : one * n;
}

static bool add_field(struct call *c, const char *line)
{
    struct curl_slist *more = line ? curl_slist_append(c->fields, line) : c->fields;

    if (more) c->fields = more;
    return more != NULL;
}

static bool set_blob(CURL *h, CURLoption option, const struct secret *s)
{
    struct span text = secret_reveal(s);
    /* libcurl reads it only */
    struct curl_blob blob = {.data = (void *)(uintptr_t)text.p, .len = text.n, .flags = CURL_BLOB_NOCOPY};

    return !secret_set(s) || curl_easy_setopt(h, option, &blob) == CURLE_OK;
}

/* With an authority of the site those of the machine count for nothing. */
static bool set_tls(CURL *h, const struct etcd *e)
{
    if (secret_set(&e->authority) && curl_easy_setopt(h, CURLOPT_CAPATH, NULL) != CURLE_OK) return false;
    return curl_easy_setopt(h, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        set_blob(h, CURLOPT_CAINFO_BLOB, &e->authority) && set_blob(h, CURLOPT_SSLCERT_BLOB, &e->cert) &&
        set_blob(h, CURLOPT_SSLKEY_BLOB, &e->key);
}

static bool set_up(struct call *c, const char *url, struct span body)
{
    CURL *h = c->easy;

    if (!add_field(c, "Content-Type: application/json") || !add_field(c, c->e->token)) return false;
    curl_easy_setopt(h, CURLOPT_PRIVATE, c);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_USERAGENT, "media-server");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->fields);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)(ETCD_CONNECT_US / US_PER_MS));
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, c->follows ? 0L : (long)(ETCD_PATIENCE_US / US_PER_MS));
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, ALIVE_S);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, ALIVE_S);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    return set_tls(h, c->e) && curl_easy_setopt(h, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(h, CURLOPT_COPYPOSTFIELDS, body.p) == CURLE_OK;
}

static int begin(struct etcd *e, const char *path, struct span body, const struct call *as)
{
    char url[ETCD_URL_MAX + 64];
    struct call *c;

    if (e->n_calls == ETCD_CALLS_MAX || e->n_urls == 0) return ETCD_E_CALLS;
    c = NEW(struct call);
    *c = *as;
    c->e = e;
    buf_init(&c->answer, ETCD_ANSWER_MAX);
    list_push(&e->calls, &c->link);
    e->n_calls++;
    c->easy = curl_easy_init();
    snprintf(url, sizeof(url), "%s%s", e->urls[e->at], path);
    if (c->easy && set_up(c, url, body) && curl_multi_add_handle(e->multi, c->easy) == CURLM_OK) return 0;
    call_free(c);
    return ETCD_E_CONNECT;
}

int etcd_ask(struct etcd *e, const char *path, struct span body, etcd_fn *fn, void *arg)
{
    return begin(e, path, body, &(struct call){.fn = fn, .arg = arg});
}

int etcd_follow(struct etcd *e, const char *path, struct span body, etcd_fn *fn, void *arg)
{
    return begin(e, path, body, &(struct call){.fn = fn, .arg = arg, .follows = true});
}

/* --- what it says: outside of libcurl's own calls --- */

static unsigned status_of(const struct call *c)
{
    long status = 0;

    if (curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) return 0;
    return (unsigned)CLAMP(status, 0, 999);
}

static int err_of(const struct call *c)
{
    if (c->large) return ETCD_E_LARGE;
    if (c->code == CURLE_OK) return c->follows ? ETCD_E_END : 0;
    return c->code == CURLE_OPERATION_TIMEDOUT ? ETCD_E_LATE : ETCD_E_CONNECT;
}

/* The site has named who is to be believed: then that is where to look. */
static const char *untrusted(const struct call *c)
{
    if (secret_set(&c->e->authority))
        return "its certificate is not one that cluster-store-ca has signed for this host";
    return "its certificate is not one that an authority of this machine has signed for this host: name the "
           "site's as cluster-store-ca";
}

/* Who refuses a client's certificate says so behind the handshake, and resets: what libcurl makes of that
 * differs from time to time. */
static bool turned_away(const struct call *c)
{
    static const CURLcode codes[] = {CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM, CURLE_SEND_ERROR,
        CURLE_RECV_ERROR, CURLE_GOT_NOTHING};
    const char *url = NULL;

    if (status_of(c) != 0 || curl_easy_getinfo(c->easy, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url ||
        strncmp(url, "https:", 6) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_N(codes); i++)
        if (c->code == codes[i]) return true;
    return false;
}

static const char *not_believed(const struct call *c)
{
    return secret_set(&c->e->cert)
        ? "it ends the connection without an answer: it may not believe the certificate of cluster-store-cert"
        : "it ends the connection without an answer: it may ask for a certificate, and cluster-store-cert "
          "names none";
}

static const char *why_of(const struct call *c, int err)
{
    if (err == ETCD_E_LARGE) return "its answer is too large";
    if (err == ETCD_E_END) return "it has ended the watch";
    if (c->code == CURLE_PEER_FAILED_VERIFICATION) return untrusted(c);
    if (turned_away(c)) return not_believed(c);
    return c->why[0] ? c->why : curl_easy_strerror(c->code);
}

/* What fn does may end this call too: what it is shown is its own. */
static void say_end(struct call *c)
{
    struct etcd_reply r = {.err = err_of(c), .status = status_of(c)};
    struct buf body = c->answer;
    char why[ETCD_WHY_MAX];
    etcd_fn *fn = c->fn;
    void *arg = c->arg;

    span_copy(span_of(why_of(c, r.err)), why, sizeof(why));
    r.why = why;
    r.body = buf_span(&body);
    buf_init(&c->answer, 0);
    call_free(c);
    fn(arg, &r);
    buf_done(&body);
}

/* A line that is there, or the end. false: neither. */
static bool say(struct call *c)
{
    struct span all = buf_span(&c->answer), line;
    ssize_t end = c->follows ? span_find(all, '\n') : -1;
    struct etcd_reply r = {.why = ""};
    uint8_t *copy;

    if (end < 0 && !c->over) return false;
    if (end < 0) {
        say_end(c);
        return true;
    }
    line = span_sub(all, 0, (size_t)end);
    r.status = status_of(c);
    copy = mem_dup(line.p, line.n + 1);
    r.body = span(copy, line.n);
    buf_take(&c->answer, line.n + 1);
    c->fn(c->arg, &r);
    mem_free(copy);
    return true;
}

static bool say_one(struct etcd *e)
{
    LIST_EACH(&e->calls, link)
    {
        if (say(LIST_ITEM(link, struct call, link))) return true;
    }
    return false;
}

/* Each fn may change the list, or end the client: one a time. */
static void settle(struct loop_task *t)
{
    struct etcd *e = CONTAINER(t, struct etcd, settle);

    loop_defer(e->loop, &e->settle, settle);
    if (!say_one(e)) loop_defer_stop(e->loop, &e->settle);
}

/* --- libcurl and the loop --- */

static void look_at_finished(struct etcd *e)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(e->multi, &left)) != NULL) {
        struct call *c = NULL;

        if (msg->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &c);
        c->code = msg->data.result;
        c->over = true;
        loop_defer(e->loop, &e->settle, settle);
    }
}

static void on_io(struct loop_io *io, unsigned events)
{
    struct etcd *e = ((struct socket *)io->arg)->e;
    int ready = (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
    int running;

    curl_multi_socket_action(e->multi, io->fd, ready, &running);
    look_at_finished(e);
}

static void socket_free(struct socket *s)
{
    loop_io_stop(&s->io);
    list_remove(&s->link);
    mem_free(s);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct etcd *e = arg;
    struct socket *s = known;
    unsigned events =
        (what != CURL_POLL_OUT ? LOOP_READ : 0u) | (what != CURL_POLL_IN ? (unsigned)LOOP_WRITE : 0u);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(e->multi, fd, NULL);
        if (s) socket_free(s);
        return 0;
    }
    if (s) {
        loop_io_events(&s->io, events);
        return 0;
    }
    s = NEW(struct socket);
    s->e = e;
    list_push(&e->sockets, &s->link);
    curl_multi_assign(e->multi, fd, s);
    loop_io_start(e->loop, &s->io, fd, events, on_io, s);
    return 0;
}

static void on_time(struct loop_timer *t)
{
    struct etcd *e = t->arg;
    int running;

    curl_multi_socket_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_at_finished(e);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct etcd *e = arg;

    (void)multi;
    if (ms < 0)
        loop_timer_stop(&e->timer);
    else
        loop_timer_set(e->loop, &e->timer, ms * US_PER_MS, on_time, e);
    return 0;
}

/* --- the face --- */

struct etcd *etcd_new(struct loop *l)
{
    struct etcd *e;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NULL;
    e = NEW(struct etcd);
    e->loop = l;
    list_init(&e->calls);
    list_init(&e->sockets);
    e->multi = curl_multi_init();
    if (!e->multi) {
        mem_free(e);
        return NULL;
    }
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
    return e;
}

void etcd_drop(struct etcd *e)
{
    LIST_EACH(&e->calls, link) call_free(LIST_ITEM(link, struct call, link));
}

void etcd_free(struct etcd *e)
{
    if (!e) return;
    etcd_drop(e);
    curl_multi_cleanup(e->multi);
    LIST_EACH(&e->sockets, link) socket_free(LIST_ITEM(link, struct socket, link));
    loop_timer_stop(&e->timer);
    loop_defer_stop(e->loop, &e->settle);
    etcd_token(e, "");
    secret_done(&e->authority);
    secret_done(&e->cert);
    secret_done(&e->key);
    mem_free(e);
}

void etcd_endpoints(struct etcd *e, const char *const *urls, size_t n)
{
    etcd_drop(e);
    etcd_token(e, "");
    e->n_urls = e->at = 0;
    for (size_t i = 0; i < n && e->n_urls < ETCD_ENDPOINTS_MAX; i++)
        e->n_urls += span_copy(span_of(urls[i]), e->urls[e->n_urls], ETCD_URL_MAX);
}

void etcd_tls(struct etcd *e, struct span authority, struct span cert, struct span key)
{
    etcd_drop(e);
    secret_done(&e->authority);
    secret_done(&e->cert);
    secret_done(&e->key);
    e->authority = secret_of(authority);
    e->cert = secret_of(cert);
    e->key = secret_of(key);
}

usec_t etcd_answered_us(const struct etcd *e)
{
    return e->answered_us;
}

const char *etcd_endpoint(const struct etcd *e)
{
    return e->n_urls > 0 ? e->urls[e->at] : "";
}

bool etcd_next(struct etcd *e)
{
    etcd_drop(e);
    etcd_token(e, "");
    e->at = e->n_urls > 0 ? (e->at + 1) % e->n_urls : 0;
    return e->at == 0;
}

void etcd_token(struct etcd *e, const char *token)
{
    static const char field[] = "Authorization: ";
    size_t cap = sizeof(field) + strlen(token);

    if (e->token) explicit_bzero(e->token, strlen(e->token));
    mem_free(e->token);
    e->token = NULL;
    if (token[0] == 0 || strpbrk(token, "\r\n")) return;
    e->token = mem_new(cap);
    snprintf(e->token, cap, "%s%s", field, token);
}
