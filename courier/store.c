#include "courier/store.h"
#include "common/base/mem.h"

#define BODY_MAX   8192
#define QUEUE_US   (20 * US_PER_MS)
#define COMPACT_US US_PER_MS /* to begin anew */

static void start(struct loop_timer *t);

/* --- what comes --- */

static const struct {
    const char *folder;
    enum etcd_kind kind;
} kinds[] = {{"/streams/", ETCD_STREAM}, {"/nodes/", ETCD_NODE}, {"/owners/", ETCD_OWNER}};

static void on_record(void *arg, const struct gateway_record *r)
{
    struct store *s = arg;
    struct span rest = span_from(r->key, strlen(s->prefix));

    for (size_t i = 0; i < ARRAY_N(kinds); i++) {
        struct store_row row = {.kind = kinds[i].kind,
            .text = r->value,
            .revision = r->changed,
            .gone = r->gone,
            .large = r->large};

        if (!span_starts(rest, span_of(kinds[i].folder))) continue;
        row.name = span_from(rest, strlen(kinds[i].folder));
        if (row.kind == ETCD_OWNER) lease_heard(&s->lease, row.name, r);
        s->ops->row(s->arg, &row);
    }
}

/* What was under way is over. */
static void away(struct store *s)
{
    etcd_drop(s->etcd);
    lease_away(&s->lease);
    s->there = false;
    changes_away(&s->changes);
}

static void failed(void *arg, const char *why)
{
    struct store *s = arg;
    usec_t now_us = loop_now_us(s->loop), wait_us = COMPACT_US;
    bool was = s->there;
    char text[ETCD_WHY_MAX];
    uint32_t more;

    span_copy(span_of(why), text, sizeof(text)); /* it may be of an answer that goes */
    away(s);
    span_copy(span_of(text), s->why, sizeof(s->why));
    if (was) s->ops->turned(s->arg);
    if (log_limited(&s->rate, now_us, &more))
        log_warn("store-lost", "at=%s why=%s more=%u", log_q(span_of(etcd_endpoint(s->etcd))),
            log_q(span_of(text)), more);
    if (etcd_next(s->etcd) && !was) {
        wait_us = s->pause_us;
        s->pause_us = MIN(2 * s->pause_us, STORE_MOST_US);
    }
    loop_timer_set(s->loop, &s->again, wait_us, start, s);
}

static void ask(struct store *s, const char *path, struct buf *body, etcd_fn *fn, bool follow)
{
    struct span text = buf_span(body);
    int err = follow ? etcd_follow(s->etcd, path, text, fn, s) : etcd_ask(s->etcd, path, text, fn, s);

    if (buf_n(body) > 0) explicit_bzero(body->mem, body->to);
    buf_done(body);
    if (err != 0) failed(s, "it cannot be asked");
}

/* [PREFIX/, PREFIX0): '0' comes behind '/'. */
static void keys(
    const struct store *s, char from[static STORE_PREFIX_MAX + 2], char end[static STORE_PREFIX_MAX + 2])
{
    snprintf(from, STORE_PREFIX_MAX + 2, "%s/", s->prefix);
    snprintf(end, STORE_PREFIX_MAX + 2, "%s0", s->prefix);
}

/* --- the watch --- */

static void anew(struct store *s, const char *why)
{
    log_note("store-anew", "why=%s", why);
    away(s);
    s->revision = 0;
    loop_timer_set(s->loop, &s->again, COMPACT_US, start, s);
}

static void is_there(struct store *s)
{
    s->there = true;
    s->why[0] = 0;
    s->pause_us = STORE_FIRST_US;
    log_note("store", "at=%s revision=%llu", log_q(span_of(etcd_endpoint(s->etcd))),
        (unsigned long long)s->revision);
    s->ops->turned(s->arg);
    lease_there(&s->lease);
}

static void note_record(void *arg, const struct gateway_record *r)
{
    struct store *s = arg;

    s->revision = MAX(s->revision, r->changed);
    on_record(s, r);
}

static void on_line(void *arg, const struct etcd_reply *r)
{
    struct store *s = arg;
    struct gateway_answer a = {.failed = true};

    if (r->err == ETCD_E_LARGE) { /* and would be again: pages can be smaller, a line cannot */
        anew(s, "too-large");
    } else if (r->err != 0 || r->status != 200 || !gateway_read(r->body, note_record, s, &a) || a.failed) {
        failed(s, r->err != 0 ? r->why : a.why[0] ? a.why : "it has refused the watch");
    } else if (a.canceled || (a.created && (a.cluster != s->cluster || a.revision < s->revision))) {
        anew(s, a.compacted > 0 ? "compacted" : a.canceled ? "canceled" : "another-store");
    } else if (a.created && !s->there) {
        is_there(s);
    }
    if (s->there && s->ops->queued(s->arg) > STORE_WATCH_MAX) failed(s, "more comes than is taken");
}

static void watch(struct store *s)
{
    char from[STORE_PREFIX_MAX + 2], end[STORE_PREFIX_MAX + 2];
    struct buf b;

    keys(s, from, end);
    buf_init(&b, BODY_MAX);
    gateway_watch(&b, span_of(from), span_of(end), s->revision + 1);
    ask(s, "/v3/watch", &b, on_line, true);
}

/* --- reading all --- */

static void page(struct loop_timer *t);

static void note_page(void *arg, const struct gateway_record *r)
{
    struct store *s = arg;

    s->after_n = MIN(r->key.n, sizeof(s->after));
    memcpy(s->after, r->key.p, s->after_n);
    on_record(s, r);
}

static void on_page(void *arg, const struct etcd_reply *r)
{
    struct store *s = arg;
    struct gateway_answer a = {.failed = true};

    if (r->err == ETCD_E_LARGE && s->page > 1) {
        s->page /= 2;
        loop_timer_set(s->loop, &s->again, COMPACT_US, page, s);
        return;
    }
    if (r->err == 0 && r->status == 200 && s->reading == 0) s->ops->begin(s->arg);
    if (r->err != 0 || r->status != 200 || !gateway_read(r->body, note_page, s, &a) || a.failed) {
        failed(s, r->err != 0 ? r->why : a.why[0] ? a.why : "it has refused to be read");
        return;
    }
    if (s->reading == 0) s->reading = a.revision;
    if (a.more && a.records == 0) {
        failed(s, "its keys are too long");
    } else if (a.more) {
        loop_timer_set(s->loop, &s->again, COMPACT_US, page, s);
    } else {
        s->revision = MAX(s->reading, 1);
        s->cluster = a.cluster;
        s->ops->ready(s->arg, s->revision, s->cluster);
        watch(s);
    }
}

static void page(struct loop_timer *t)
{
    struct store *s = t->arg;
    char from[STORE_PREFIX_MAX + 2], end[STORE_PREFIX_MAX + 2];
    struct gateway_range range = {.behind = s->after_n > 0, .limit = s->page, .revision = s->reading};
    struct buf b;

    if (s->ops->queued(s->arg) > STORE_QUEUE_MAX) {
        loop_timer_set(s->loop, &s->again, QUEUE_US, page, s);
        return;
    }
    keys(s, from, end);
    range.from = range.behind ? span(s->after, s->after_n) : span_of(from);
    range.end = span_of(end);
    buf_init(&b, BODY_MAX);
    gateway_range(&b, &range);
    ask(s, "/v3/kv/range", &b, on_page, false);
}

static void proceed(struct store *s)
{
    if (s->revision > 0) {
        watch(s);
        return;
    }
    s->reading = 0;
    s->after_n = 0;
    s->page = STORE_PAGE_MAX;
    loop_timer_set(s->loop, &s->again, COMPACT_US, page, s);
}

/* --- the beginning --- */

static void on_token(void *arg, const struct etcd_reply *r)
{
    struct store *s = arg;
    struct gateway_answer a = {.failed = true};

    if (r->err != 0 || r->status != 200 || !gateway_read(r->body, NULL, NULL, &a) || a.token[0] == 0) {
        failed(s, r->err != 0 ? r->why : a.why[0] ? a.why : "it gives no token");
        return;
    }
    etcd_token(s->etcd, a.token);
    explicit_bzero(a.token, sizeof(a.token));
    proceed(s);
}

static void start(struct loop_timer *t)
{
    struct store *s = t->arg;
    struct buf b;

    if (s->user[0] == 0) {
        proceed(s);
        return;
    }
    etcd_token(s->etcd, "");
    buf_init(&b, BODY_MAX);
    gateway_authenticate(&b, span_of(s->user), secret_reveal(&s->password));
    ask(s, "/v3/auth/authenticate", &b, on_token, false);
}

static void on_held(void *arg, usec_t until_us)
{
    const struct store *s = arg;

    s->ops->held(s->arg, until_us);
}

static void on_owns(void *arg, const char *uid, uint64_t term)
{
    const struct store *s = arg;

    s->ops->owns(s->arg, uid, term);
}

static void on_changed(void *arg, const struct change_done *d)
{
    const struct store *s = arg;

    s->ops->changed(s->arg, d);
}

static const struct lease_ops lease_ops = {failed, on_held, on_owns};

void store_init(struct store *s, struct loop *l, const struct store_ops *ops, void *arg)
{
    *s = (struct store){.loop = l, .ops = ops, .arg = arg};
    lease_init(&s->lease, l, &lease_ops, s);
    changes_init(&s->changes, on_changed, s);
}

static bool take_endpoints(struct store *s, const struct packed *body)
{
    const struct packed *urls = packed_get(body, "urls");
    char text[ETCD_ENDPOINTS_MAX][ETCD_URL_MAX];
    const char *v[ETCD_ENDPOINTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < packed_n(urls) && n < ETCD_ENDPOINTS_MAX; i++) {
        if (!span_copy(packed_as_str(packed_at(urls, i)), text[n], ETCD_URL_MAX)) continue;
        v[n] = text[n];
        n++;
    }
    if (s->etcd) etcd_drop(s->etcd);
    if (n > 0 && !s->etcd) s->etcd = etcd_new(s->loop);
    if (s->etcd) etcd_endpoints(s->etcd, v, n);
    if (s->etcd)
        etcd_tls(s->etcd, packed_str(body, "authority"), packed_str(body, "cert"), packed_str(body, "key"));
    return n > 0 && s->etcd;
}

void store_conf(struct store *s, const struct packed *body)
{
    char self[LEASE_SELF_MAX] = "", folder[LEASE_KEY_MAX];
    bool any;

    loop_timer_stop(&s->again);
    s->there = false;
    s->revision = 0;
    s->pause_us = STORE_FIRST_US;
    span_copy(packed_str(body, "prefix"), s->prefix, sizeof(s->prefix));
    span_copy(packed_str(body, "user"), s->user, sizeof(s->user));
    secret_done(&s->password);
    s->password = secret_of(packed_str(body, "password"));
    any = take_endpoints(s, body);
    changes_away(&s->changes);
    snprintf(folder, sizeof(folder), "%s/owners/", s->prefix);
    span_copy(packed_str(body, "self"), self, sizeof(self));
    lease_conf(&s->lease, s->etcd, folder, self, packed_u64(body, "ttl_s", LEASE_TTL_MIN_S));
    if (any) loop_timer_set(s->loop, &s->again, COMPACT_US, start, s);
}

void store_own(struct store *s, const char *uid, bool wanted)
{
    lease_want(&s->lease, uid, wanted);
}

void store_commit(struct store *s, const struct packed *body)
{
    changes_commit(&s->changes, s->there ? s->etcd : NULL, s->prefix, body);
}

void store_done(struct store *s)
{
    loop_timer_stop(&s->again);
    changes_done(&s->changes);
    lease_done(&s->lease);
    etcd_free(s->etcd);
    s->etcd = NULL;
    secret_done(&s->password);
}
