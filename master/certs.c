#include "master/certs.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/report.h"

#include <fcntl.h>
#include <sys/stat.h>

#define DATE_MAX 32

static const struct {
    const char *cert, *key; /* names of the keys */
    size_t tls;             /* struct conf_tls in struct conf */
} kinds[CERTS] = {
    [CERT_STREAM] = {"server/stream/ssl-cert", "server/stream/ssl-key", offsetof(struct conf, delivery.tls)},
    [CERT_MODULE] = {"server/module/ssl-cert", "server/module/ssl-key", offsetof(struct conf, module.tls)},
    [CERT_CLUSTER] = {"server/cluster-cert", "server/cluster-cert-key",
        offsetof(struct conf, server.cluster_tls)},
    [CERT_STORE] = {"server/cluster-store-cert", "server/cluster-store-cert-key",
        offsetof(struct conf, server.cluster_store_tls)},
};

/* An authority that stands beside a certificate. */
struct authority {
    const char *name; /* of the key */
    const char *file;
    unsigned line;
    const struct cert *own;
};

/* --- reading --- */

struct reading {
    const struct conf *c;
    const struct conf_tls *tls;
    const char *cert, *key;
    struct conf_report *r;
};

PRINTF_LIKE(5, 6)
static void say(
    const struct reading *rd, enum conf_level level, bool key, unsigned line, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    report_add(rd->r, level, rd->c->file, line, key ? rd->key : rd->cert, "%s", text);
}

static bool read_file(const struct reading *rd, bool key, struct secret *ret)
{
    const char *path = key ? rd->tls->key : rd->tls->cert;
    unsigned line = key ? rd->tls->key_line : rd->tls->cert_line;
    struct stat st;
    uint8_t *p;
    size_t n;
    int err = fd_read_file(AT_FDCWD, path, key ? TLS_KEY_MAX : TLS_CERT_MAX, &p, &n);

    if (err < 0) {
        say(rd, CONF_MISTAKE, key, line, "%s cannot be read: %s", path, err_text(err));
        return false;
    }
    *ret = secret_of(span(p, n));
    explicit_bzero(p, n);
    mem_free(p);
    if (key && stat(path, &st) == 0 && (st.st_mode & S_IROTH))
        say(rd, CONF_WARNING, key, line, "%s may be read by everybody: chmod 600", path);
    return true;
}

static const char *date_of(int64_t s, char dst[DATE_MAX])
{
    struct tm tm = clock_utc(s * US_PER_S);

    snprintf(dst, DATE_MAX, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    return dst;
}

static void check_dates(const struct reading *rd, const struct tls_facts *f, int64_t now_s)
{
    unsigned line = rd->tls->cert_line;
    char date[DATE_MAX];

    if (now_s > f->to_s)
        say(rd, CONF_WARNING, false, line, "%s is over since %s", rd->tls->cert, date_of(f->to_s, date));
    else if (now_s < f->from_s)
        say(rd, CONF_WARNING, false, line, "%s is valid from %s on, not yet", rd->tls->cert,
            date_of(f->from_s, date));
    else if (now_s > f->to_s - CERTS_SOON_S)
        say(rd, CONF_WARNING, false, line, "%s is valid until %s only", rd->tls->cert,
            date_of(f->to_s, date));
}

static bool read_pair(const struct reading *rd, int64_t now_s, struct cert *ret)
{
    const char *file;
    bool of_key;
    int why;

    ret->kernel = rd->tls->kernel;
    if (!read_file(rd, false, &ret->cert) || !read_file(rd, true, &ret->key)) return false;
    why = tls_pair_check(secret_reveal(&ret->cert), secret_reveal(&ret->key), &ret->facts);
    of_key = why == TLS_E_KEY || why == TLS_E_PAIR || why == TLS_E_WEAK;
    file = of_key ? rd->tls->key : rd->tls->cert;
    if (why != 0)
        say(rd, CONF_MISTAKE, of_key, of_key ? rd->tls->key_line : rd->tls->cert_line, "%s: %s", file,
            tls_why(why));
    else
        check_dates(rd, &ret->facts, now_s);
    return why == 0;
}

/* Does the kernel know TLS? Its module may be loaded later, by need. */
static bool kernel_knows(void)
{
    uint8_t *p;
    size_t n;
    bool knows = false;
    struct span text, word;

    if (fd_read_file(AT_FDCWD, "/proc/sys/net/ipv4/tcp_available_ulp", 4096, &p, &n) < 0) return false;
    text = span_trim(span(p, n));
    while (span_split(&text, ' ', &word)) knows |= span_is(word, "tls");
    mem_free(p);
    return knows;
}

static void check_kernel(const struct conf *c, struct conf_report *r)
{
    const struct conf_tls *tls = &c->delivery.tls;

    if (tls->used && tls->kernel && !kernel_knows())
        report_add(r, CONF_WARNING, c->file, tls->kernel_line, "server/stream/tls-kernel",
            "this kernel shows no TLS of its own (module tls): untested, and without effect until it does");
}

static void authority_wrong(
    const struct conf *c, struct conf_report *r, const struct authority *a, const char *why)
{
    report_add(r, CONF_MISTAKE, c->file, a->line, a->name, "%s: %s", a->file, why);
}

static bool read_authority(
    const struct conf *c, struct conf_report *r, const struct authority *a, struct secret *ret)
{
    size_t n = 0, all = secret_reveal(&a->own->cert).n + secret_reveal(&a->own->key).n;
    uint8_t *p;
    int err = fd_read_file(AT_FDCWD, a->file, TLS_CERT_MAX, &p, &n), why;

    if (err < 0) {
        authority_wrong(c, r, a, err_text(err));
        return false;
    }
    why = tls_authority_check(span(p, n));
    *ret = secret_of(span(p, n));
    mem_free(p);
    if (why != 0)
        authority_wrong(c, r, a, "it is no authority's certificate");
    else if (all + n > CERTS_COURIER_MAX)
        authority_wrong(c, r, a, "this node's certificate, key and authority are longer than 40 KiB");
    return why == 0 && all + n <= CERTS_COURIER_MAX;
}

static bool read_authorities(const struct conf *c, struct conf_report *r, struct certs *made)
{
    const struct conf_server *s = &c->server;
    const struct authority nodes = {"server/cluster-ca", s->cluster_ca, s->cluster_ca_line,
                               &made->v[CERT_CLUSTER]},
                           store = {"server/cluster-store-ca", s->cluster_store_ca, s->cluster_store_ca_line,
                               &made->v[CERT_STORE]};
    bool ok = true;

    if (s->cluster_tls.used) ok = read_authority(c, r, &nodes, &made->authority);
    if (s->cluster_store_ca[0]) ok &= read_authority(c, r, &store, &made->store_authority);
    return ok;
}

bool certs_read(const struct conf *c, usec_t wall_us, struct conf_report *r, struct certs *ret)
{
    struct certs made = {.told_us = 0};
    bool ok = true;

    for (size_t i = 0; i < CERTS; i++) {
        const struct conf_tls *tls = (const void *)((const char *)c + kinds[i].tls);
        struct reading rd = {c, tls, kinds[i].cert, kinds[i].key, r};

        if (tls->used) ok &= read_pair(&rd, wall_us / US_PER_S, &made.v[i]);
    }
    ok &= read_authorities(c, r, &made);
    check_kernel(c, r);
    if (!ok) certs_done(&made);
    *ret = made;
    return ok;
}

void certs_done(struct certs *c)
{
    for (size_t i = 0; i < CERTS; i++) {
        secret_done(&c->v[i].cert);
        secret_done(&c->v[i].key);
    }
    secret_done(&c->authority);
    secret_done(&c->store_authority);
    *c = (struct certs){.told_us = 0};
}

bool certs_same(const struct certs *a, const struct certs *b)
{
    for (size_t i = 0; i < CERTS; i++)
        if (!span_eq(secret_reveal(&a->v[i].cert), secret_reveal(&b->v[i].cert)) ||
            !span_eq(secret_reveal(&a->v[i].key), secret_reveal(&b->v[i].key)) ||
            a->v[i].kernel != b->v[i].kernel)
            return false;
    return span_eq(secret_reveal(&a->authority), secret_reveal(&b->authority)) &&
        span_eq(secret_reveal(&a->store_authority), secret_reveal(&b->store_authority));
}

/* --- telling --- */

void certs_send(struct certs *c, struct channel *httpd)
{
    c->told_us = clock_mono_us();
    for (size_t i = 0; i < CERT_CLUSTER; i++) {
        struct packer *p;

        if (!secret_set(&c->v[i].key)) continue;
        p = channel_begin(httpd, MSG_TLS, 4);
        pack_kv_bool(p, "module", i == CERT_MODULE);
        pack_kv_str(p, "cert", secret_reveal(&c->v[i].cert));
        pack_kv_str(p, "key", secret_reveal(&c->v[i].key));
        pack_kv_bool(p, "kernel", c->v[i].kernel);
        channel_end(httpd, NULL, 0);
    }
}

void certs_check(struct certs *c, struct channel *httpd, usec_t mono_us, usec_t wall_us)
{
    char date[DATE_MAX];

    if (!httpd || c->told_us == 0 || mono_us - c->told_us < CERTS_DAY_US) return;
    certs_send(c, httpd);
    for (size_t i = 0; i < CERTS; i++)
        if (secret_set(&c->v[i].key) && wall_us / US_PER_S > c->v[i].facts.to_s - CERTS_SOON_S)
            log_warn("certificate-ends", "key=%s subject=%s until=%s", kinds[i].cert,
                log_q(span_of(c->v[i].facts.subject)), date_of(c->v[i].facts.to_s, date));
}
