/* common/net/tls_mutual over a socket pair: who shares a key, or an authority, meets; everybody else does
 * not, on either side. */
#include "common/net/tls_mutual.h"
#include "common/base/mem.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct end {
    struct tls *t;
    bool called;
    char why[128];
};

static void done(void *arg, struct tls *t, const char *why)
{
    struct end *e = arg;

    e->called = true;
    e->t = t;
    span_copy(span_of(why), e->why, sizeof(e->why));
}

static struct tls_mutual *mutual(const char *group, const uint32_t *keys, size_t n)
{
    struct tls_mutual_setup s = {.group = span_of(group), .n_keys = n};
    struct tls_mutual *m;

    for (size_t i = 0; i < n; i++) {
        s.keys[i].id = keys[i];
        memset(s.keys[i].secret, (int)keys[i], sizeof(s.keys[i].secret));
    }
    assert_int_equal(tls_mutual_new(&s, &m), 0);
    return m;
}

struct meeting {
    struct loop *loop;
    struct end *ends[2];
};

static void look(struct loop_timer *t)
{
    const struct meeting *m = t->arg;

    if (m->ends[0]->called && m->ends[1]->called) loop_break(m->loop);
}

/* Until each has said how it went: a handshake that hangs ends by its own timer. */
static void meet(struct tls_mutual *a, struct tls_mutual *b, struct end *dials, struct end *accepts)
{
    struct meeting m = {loop_new(), {dials, accepts}};
    struct loop_timer t = {0};
    int sv[2];

    *dials = *accepts = (struct end){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    (void)tls_meet(m.loop, sv[0], a, true, done, dials);
    (void)tls_meet(m.loop, sv[1], b, false, done, accepts);
    loop_timer_every(m.loop, &t, US_PER_MS, look, &m);
    loop_run(m.loop);
    loop_timer_stop(&t);
    loop_free(m.loop);
    tls_mutual_unref(a);
    tls_mutual_unref(b);
}

static void met(const struct end *a, const struct end *b, uint32_t key)
{
    assert_non_null(a->t);
    assert_non_null(b->t);
    assert_int_equal(tls_key_id(a->t), key);
    assert_int_equal(tls_key_id(b->t), key);
}

static void not_met(const struct end *a, const struct end *b)
{
    assert_null(a->t);
    assert_null(b->t);
    assert_true(a->why[0] && b->why[0]);
}

static void the_same_key(void **state)
{
    struct end a, b;
    uint8_t got[8];

    (void)state;
    meet(mutual("1", (uint32_t[]){7}, 1), mutual("1", (uint32_t[]){7}, 1), &a, &b);
    met(&a, &b, 7);
    assert_int_equal(tls_write(a.t, SPAN_LIT("hello")), 5);
    assert_int_equal(tls_read(b.t, got, sizeof(got)), 5);
    assert_memory_equal(got, "hello", 5);
    tls_free(a.t);
    tls_free(b.t);
}

/* A change of keys: who has the new one second is met by it, and by the old one. */
static void two_keys(void **state)
{
    struct end a, b;

    (void)state;
    meet(mutual("1", (uint32_t[]){7, 8}, 2), mutual("1", (uint32_t[]){8, 7}, 2), &a, &b);
    met(&a, &b, 7);
    tls_free(a.t);
    tls_free(b.t);
    meet(mutual("1", (uint32_t[]){8, 7}, 2), mutual("1", (uint32_t[]){7, 8}, 2), &a, &b);
    met(&a, &b, 8);
    tls_free(a.t);
    tls_free(b.t);
}

static void strangers(void **state)
{
    struct end a, b;

    (void)state;
    meet(mutual("1", (uint32_t[]){7}, 1), mutual("1", (uint32_t[]){8}, 1), &a, &b);
    not_met(&a, &b);
    meet(mutual("1", (uint32_t[]){7}, 1), mutual("2", (uint32_t[]){7}, 1), &a, &b);
    not_met(&a, &b);
    meet(mutual("1", NULL, 0), mutual("1", (uint32_t[]){7}, 1), &a, &b);
    not_met(&a, &b);
    meet(mutual("1", (uint32_t[]){7}, 1), mutual("1", NULL, 0), &a, &b);
    not_met(&a, &b);
}

/* The same name of a key, and another secret behind it. */
static void a_forged_key(void **state)
{
    struct tls_mutual_setup s = {.group = SPAN_LIT("1"), .n_keys = 1, .keys = {{.id = 7}}};
    struct tls_mutual *forger;
    struct end a, b;

    (void)state;
    memset(s.keys[0].secret, 99, sizeof(s.keys[0].secret));
    assert_int_equal(tls_mutual_new(&s, &forger), 0);
    meet(tls_mutual_ref(forger), mutual("1", (uint32_t[]){7}, 1), &a, &b);
    not_met(&a, &b);
    meet(mutual("1", (uint32_t[]){7}, 1), forger, &a, &b);
    not_met(&a, &b);
}

/* --- certificates --- */

struct paper {
    struct buf cert, key;
    EVP_PKEY *pkey;
    X509 *x;
};

static void add(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(e);
    assert_true(X509_add_ext(x, e, -1));
    X509_EXTENSION_free(e);
}

static void take(BIO *bio, struct buf *to)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);

    buf_init(to, TLS_CERT_MAX);
    assert_true(buf_put(to, span(p, (size_t)n)));
    BIO_free(bio);
}

/* by NULL: it signs itself, and is an authority. */
static struct paper paper(const char *name, const struct paper *by)
{
    struct paper p = {.pkey = EVP_EC_gen("P-256"), .x = X509_new()};
    X509_NAME *subject = X509_get_subject_name(p.x);
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

    X509_set_version(p.x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(p.x), by ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(p.x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(p.x), 3600);
    X509_set_pubkey(p.x, p.pkey);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(p.x, by ? X509_get_subject_name(by->x) : subject);
    if (!by) add(p.x, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(p.x, by ? by->pkey : p.pkey, EVP_sha256()));
    assert_true(PEM_write_bio_X509(cert, p.x));
    assert_true(PEM_write_bio_PrivateKey(key, p.pkey, NULL, NULL, 0, NULL, NULL));
    take(cert, &p.cert);
    take(key, &p.key);
    return p;
}

static void paper_done(struct paper *p)
{
    buf_done(&p->cert);
    buf_done(&p->key);
    EVP_PKEY_free(p->pkey);
    X509_free(p->x);
}

static struct tls_mutual *with_paper(const struct paper *own, const struct paper *authority)
{
    const struct tls_mutual_setup s = {.group = SPAN_LIT("1"),
        .cert = buf_span(&own->cert),
        .key = buf_span(&own->key),
        .authority = buf_span(&authority->cert)};
    struct tls_mutual *m;

    assert_int_equal(tls_mutual_new(&s, &m), 0);
    return m;
}

/* Those of one authority meet; those of another one, and who has a key only, do not. */
static void certificates(void **state)
{
    struct paper ours = paper("ours", NULL), theirs = paper("theirs", NULL);
    struct paper one = paper("one", &ours), other = paper("other", &ours),
                 foreign = paper("foreign", &theirs);
    struct paper *all[] = {&ours, &theirs, &one, &other, &foreign};
    struct end a, b;
    char name[16];

    (void)state;
    meet(with_paper(&one, &ours), with_paper(&other, &ours), &a, &b);
    met(&a, &b, 0);
    assert_true(tls_common_name(a.t, name, sizeof(name)));
    assert_string_equal(name, "other");
    assert_true(tls_common_name(b.t, name, sizeof("one")));
    assert_string_equal(name, "one");
    assert_false(tls_common_name(b.t, name, sizeof("one") - 1)); /* too long for us */
    tls_free(a.t);
    tls_free(b.t);
    meet(with_paper(&one, &ours), with_paper(&foreign, &theirs), &a, &b);
    not_met(&a, &b);
    meet(with_paper(&foreign, &ours), with_paper(&one, &ours), &a, &b);
    assert_null(b.t); /* who dials may believe for a moment that he has met somebody (RFC 8446 4.4.2.4) */
    tls_free(a.t);
    meet(with_paper(&one, &ours), mutual("1", (uint32_t[]){7}, 1), &a, &b);
    not_met(&a, &b);
    meet(mutual("1", (uint32_t[]){7}, 1), with_paper(&one, &ours), &a, &b);
    not_met(&a, &b);
    for (size_t i = 0; i < ARRAY_N(all); i++) paper_done(all[i]);
}

static void authorities(void **state)
{
    struct paper ours = paper("ours", NULL), one = paper("one", &ours);

    (void)state;
    assert_int_equal(tls_authority_check(buf_span(&ours.cert)), 0);
    assert_int_equal(tls_authority_check(SPAN_LIT("nobody")), TLS_E_CERT);
    assert_int_equal(tls_authority_check(SPAN_NONE), TLS_E_CERT);
    assert_int_not_equal(tls_authority_check(buf_span(&ours.key)), 0);
    paper_done(&one);
    paper_done(&ours);
}

static void broken_papers(void **state)
{
    struct paper one = paper("one", NULL);
    struct tls_mutual_setup s = {
        .cert = buf_span(&one.cert), .key = buf_span(&one.key), .authority = SPAN_LIT("nobody")};
    struct tls_mutual *m;

    (void)state;
    assert_int_equal(tls_mutual_new(&s, &m), TLS_E_CHAIN);
    s.key = SPAN_LIT("no key");
    assert_int_equal(tls_mutual_new(&s, &m), TLS_E_KEY);
    paper_done(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_key),
        cmocka_unit_test(two_keys),
        cmocka_unit_test(strangers),
        cmocka_unit_test(a_forged_key),
        cmocka_unit_test(certificates),
        cmocka_unit_test(authorities),
        cmocka_unit_test(broken_papers),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
