#include "master/hooks.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/crypto.h"
#include "common/wire/hex.h"
#include "common/wire/json.h"
#include "master/master.h"

#include <unistd.h>

struct hook {
    uint64_t seq;
    size_t n;
    char text[]; /* the envelope, JSON */
};

static bool wanted(const struct master *m)
{
    return m->conf && secret_set(&m->conf->server.cluster_controller);
}

static struct hook *at(const struct hooks *h, size_t i)
{
    return h->v[(h->first + i) % HOOKS_QUEUE_MAX];
}

static void drop_first(struct hooks *h)
{
    mem_free(h->v[h->first]);
    h->v[h->first] = NULL;
    h->first = (h->first + 1) % HOOKS_QUEUE_MAX;
    h->n--;
}

static const char *host_name(const struct master *m, char dst[static 256])
{
    if (m->conf->server.node_host[0]) return m->conf->server.node_host;
    if (gethostname(dst, 255) < 0) dst[0] = 0;
    dst[255] = 0;
    return dst;
}

static bool write_envelope(const struct master *m, const char *event, struct span data, struct buf *to)
{
    char name[256];

    return buf_fmt(to, "{\"event\":\"%s\",\"device\":\"mediaserver\",\"server\":", event) &&
        json_put_text(to, span_of(host_name(m, name))) &&
        buf_fmt(to, ",\"pid\":%d,\"timestamp\":%.3f,\"seq\":%llu,\"data\":", (int)getpid(),
            (double)clock_wall_us() / 1e6, (unsigned long long)m->hooks.seq + 1) &&
        buf_put(to, data) && buf_text(to, "}");
}

/* httpd tells its plug-ins and the panel: what it does not hear in time is not told there. */
static void say_here(struct master *m, const char *event, struct span data)
{
    struct channel *httpd = m->conf ? services_channel(m, SERVICE_HTTPD) : NULL;
    struct packer *p;

    if (!httpd || channel_queued(httpd) > HOOKS_HERE_MAX) return;
    p = channel_begin(httpd, MSG_HAPPENED, 2);
    pack_kv_text(p, "event", event);
    pack_kv_str(p, "data", data);
    channel_end(httpd, NULL, 0);
}

void hooks_say_json(struct master *m, const char *event, struct span data)
{
    struct hooks *h = &m->hooks;
    struct hook *hook;
    struct span whole;
    struct buf text;

    say_here(m, event, data);
    if (!wanted(m)) return;
    buf_init(&text, HOOKS_DATA_MAX + 1024);
    if (write_envelope(m, event, data, &text)) {
        if (h->n == HOOKS_QUEUE_MAX) {
            drop_first(h);
            if (h->dropped++ == 0) log_warn("webhooks-dropped", "queue=%d", HOOKS_QUEUE_MAX);
        }
        whole = buf_span(&text);
        hook = mem_new(sizeof(*hook) + whole.n);
        hook->seq = ++h->seq;
        hook->n = whole.n;
        if (whole.p) memcpy(hook->text, whole.p, whole.n);
        h->v[(h->first + h->n++) % HOOKS_QUEUE_MAX] = hook;
    }
    buf_done(&text);
}

static bool write_data(struct buf *text, const struct hooks_pair *data, size_t n)
{
    bool ok = buf_text(text, "{");

    for (size_t i = 0; i < n && ok; i++)
        ok = buf_fmt(text, "%s\"%s\":", i > 0 ? "," : "", data[i].name) &&
            json_put_text(text, span_of(data[i].value));
    return ok && buf_text(text, "}");
}

void hooks_say(struct master *m, const char *event, const struct hooks_pair *data, size_t n)
{
    struct buf text;

    buf_init(&text, HOOKS_DATA_MAX);
    if (write_data(&text, data, n)) hooks_say_json(m, event, buf_span(&text));
    buf_done(&text);
}

void hooks_say_here(struct master *m, const char *event, const struct hooks_pair *data, size_t n)
{
    struct buf text;

    buf_init(&text, HOOKS_DATA_MAX);
    if (write_data(&text, data, n)) say_here(m, event, buf_span(&text));
    buf_done(&text);
}

/* --- to httpd --- */

static bool write_batch(const struct hooks *h, struct buf *to, uint64_t *ret_last)
{
    if (!buf_text(to, "[")) return false;
    for (size_t i = 0; i < h->n && i < HOOKS_BATCH_MAX; i++) {
        const struct hook *hook = at(h, i);

        if (buf_n(to) + hook->n + 2 > HOOKS_BATCH_BYTES) break;
        if ((i > 0 && !buf_text(to, ",")) || !buf_put(to, span(hook->text, hook->n))) return false;
        *ret_last = hook->seq;
    }
    return buf_text(to, "]");
}

/* Of the bytes of the body, so that the receiver knows whose they are. */
static void sign(const struct master *m, struct span body, char dst[static 2 * CRYPTO_SHA256_N + 1])
{
    uint8_t mac[CRYPTO_SHA256_N];
    const struct secret *key = &m->conf->server.cluster_controller_secret;
    struct wr w;

    dst[0] = 0;
    if (!secret_set(key)) return;
    crypto_hmac_sha256(secret_reveal(key), &body, 1, mac);
    w = wr_of(dst, 2 * CRYPTO_SHA256_N + 1);
    hex_write(&w, span(mac, sizeof(mac)));
    wr_cstr(&w);
}

static void send_batch(struct master *m)
{
    struct channel *httpd = services_channel(m, SERVICE_HTTPD);
    char signature[2 * CRYPTO_SHA256_N + 1];
    struct hooks *h = &m->hooks;
    struct packer *p;
    uint64_t last = 0;
    struct buf body;

    if (!httpd || h->n == 0 || h->sent != 0) return;
    buf_init(&body, HOOKS_BATCH_BYTES + 16);
    if (write_batch(h, &body, &last) && last > 0) {
        sign(m, buf_span(&body), signature);
        p = channel_begin(httpd, MSG_HOOKS, 4);
        pack_kv_u64(p, "id", last);
        pack_kv_str(p, "url", secret_reveal(&m->conf->server.cluster_controller));
        pack_kv_text(p, "signature", signature);
        pack_kv_str(p, "body", buf_span(&body));
        channel_end(httpd, NULL, 0);
        h->sent = last;
    }
    buf_done(&body);
}

/* An answer that says "never": the events of this batch are given up, others may still be wanted. */
static bool refused(unsigned status)
{
    return status >= 400 && status < 500 && status != 401 && status != 403 && status != 404 &&
        status != 408 && status != 409 && status != 429;
}

/* How many of them were still there: the queue may have run over meanwhile. */
static size_t drop_until(struct hooks *h, uint64_t seq)
{
    size_t n = 0;

    for (; h->n > 0 && at(h, 0)->seq <= seq; n++) drop_first(h);
    return n;
}

void hooks_on_done(struct master *m, const struct packed *body)
{
    struct hooks *h = &m->hooks;
    uint64_t id = packed_u64(body, "id", 0);
    unsigned status = (unsigned)packed_u64(body, "status", 0);
    char why[128] = "";

    if (id == 0 || id != h->sent) return;
    h->sent = 0;
    packed_text(body, "why", why, sizeof(why));
    if (status >= 200 && status < 300) {
        if (h->wait_us > 0)
            log_note("webhooks-taken", "queued=%zu dropped=%llu", h->n, (unsigned long long)h->dropped);
        h->delivered += drop_until(h, id);
        h->wait_us = h->next_us = 0;
        send_batch(m);
        return;
    }
    h->failed++;
    if (h->wait_us == 0)
        log_warn("webhooks-refused", "status=%u why=%s queued=%zu", status, log_q(span_of(why)), h->n);
    if (refused(status)) (void)drop_until(h, id);
    h->wait_us = CLAMP(h->wait_us * 2, HOOKS_FIRST_US, HOOKS_MOST_US);
    h->next_us = clock_mono_us() + h->wait_us;
}

void hooks_httpd_gone(struct master *m)
{
    m->hooks.sent = 0;
}

void hooks_flush(struct master *m)
{
    m->hooks.next_us = 0;
    send_batch(m);
}

void hooks_done(struct master *m)
{
    map_drop(&m->hooks.deleted, mem_free);
    while (m->hooks.n > 0) drop_first(&m->hooks);
}

/* --- what is looked at --- */

static void pulse(struct master *m)
{
    uint64_t active = 0, total = 0;
    struct map_slot slot;
    char data[256];

    for (size_t i = 0; map_next(&m->fleet.by_uid, &i, &slot); total++)
        active += ((const struct stream *)slot.value)->state == STREAM_ACTIVE;
    snprintf(data, sizeof(data),
        "{\"uptime\":%lld,\"streams\":{\"total\":%llu,\"active\":%llu},\"clients\":%llu,\"dropped\":%llu}",
        (long long)((clock_mono_us() - m->started_us) / US_PER_S), (unsigned long long)total,
        (unsigned long long)active, (unsigned long long)m->services.viewers,
        (unsigned long long)m->hooks.dropped);
    hooks_say_json(m, "service:pulse", span_of(data));
}

/* Recording and reconnections stand in the ring, where the worker writes them. */
static void look_at_stream(struct master *m, struct stream *s)
{
    const struct ring_status *st = s->ring.now.status;
    uint32_t record = st ? atomic_load_explicit(&st->record_state, memory_order_relaxed) : RECORD_OFF;
    uint64_t reconnects = st ? atomic_load_explicit(&st->reconnects, memory_order_relaxed) : 0;
    char number[24];

    if (record != s->told_record) {
        s->told_record = record;
        hooks_say(m, "stream:dvr",
            (const struct hooks_pair[]){{"uid", s->uid}, {"state", stream_record_word(s)}}, 2);
    }
    if (reconnects > s->told_reconnects) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)reconnects);
        hooks_say(m, "stream:reconnect", (const struct hooks_pair[]){{"uid", s->uid}, {"total", number}}, 2);
    }
    s->told_reconnects = reconnects;
}

/* --- footage that has been deleted --- */

struct deleted {
    uint64_t segments, bytes; /* 0: told */
    usec_t from_us, to_us;
    usec_t next_us; /* CLOCK_MONOTONIC: not told before */
};

void hooks_edited(struct master *m, const char *uid, uint64_t revision)
{
    struct buf data;

    buf_init(&data, HOOKS_DATA_MAX);
    if (buf_text(&data, "{\"uid\":") && json_put_text(&data, span_of(uid)) &&
        buf_fmt(&data, ",\"revision\":%llu}", (unsigned long long)revision))
        say_here(m, "stream:edit", buf_span(&data));
    buf_done(&data);
}

void hooks_deleted(struct master *m, const struct packed *body)
{
    struct span uid = packed_str(body, "uid");
    usec_t from_us = packed_i64(body, "from_us", 0), to_us = packed_i64(body, "to_us", 0);
    struct deleted *d = map_get(&m->hooks.deleted, uid);

    if (uid.n == 0) return;
    if (!d) {
        d = NEW(struct deleted);
        map_set(&m->hooks.deleted, uid, d);
    }
    d->from_us = d->segments > 0 ? MIN(d->from_us, from_us) : from_us;
    d->to_us = d->segments > 0 ? MAX(d->to_us, to_us) : to_us;
    d->segments += packed_u64(body, "segments", 0);
    d->bytes += packed_u64(body, "bytes", 0);
}

static void tell_deleted(struct master *m, const char *uid, const struct deleted *d)
{
    struct buf data;

    buf_init(&data, HOOKS_DATA_MAX);
    if (buf_text(&data, "{\"uid\":") && json_put_text(&data, span_of(uid)) &&
        buf_fmt(&data, ",\"from\":%.3f,\"to\":%.3f,\"segments\":%llu,\"bytes\":%llu}",
            (double)d->from_us / 1e6, (double)d->to_us / 1e6, (unsigned long long)d->segments,
            (unsigned long long)d->bytes))
        hooks_say_json(m, "stream:dvr:delete", buf_span(&data));
    buf_done(&data);
}

/* Entries go once none of them holds anything back. */
static void look_at_deleted(struct master *m, usec_t now_us)
{
    struct map_slot slot;
    bool waits = false;

    for (size_t i = 0; map_next(&m->hooks.deleted, &i, &slot);) {
        struct deleted *d = slot.value;

        if (now_us >= d->next_us && d->segments > 0) {
            tell_deleted(m, slot.key, d);
            *d = (struct deleted){.next_us = now_us + HOOKS_DELETED_US};
        }
        waits |= now_us < d->next_us;
    }
    if (!waits) map_drop(&m->hooks.deleted, mem_free);
}

void hooks_tick(struct master *m, usec_t now_us)
{
    struct map_slot slot;

    look_at_deleted(m, now_us);
    if (!wanted(m)) return;
    for (size_t i = 0; map_next(&m->fleet.by_uid, &i, &slot);) look_at_stream(m, slot.value);
    if (++m->hooks.seconds % HOOKS_PULSE_S == 0) pulse(m);
    if (now_us >= m->hooks.next_us) send_batch(m);
}
