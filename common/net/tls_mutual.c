#include "common/net/tls_mutual.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/tls_impl.h"
#include "common/net/tls_pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#define GROUP_MAX    64
#define IDENTITY_MAX 96
#define SUITE        "TLS_AES_256_GCM_SHA384"

struct tls_mutual {
    _Atomic uint32_t refs;
    SSL_CTX *ctx;
    char group[GROUP_MAX];
    struct tls_mutual_key keys[TLS_MUTUAL_KEYS];
    size_t n_keys;
};

static const unsigned char suite[] = {0x13, 0x02}; /* SUITE, RFC 8446 B.4 */
static const unsigned char context[] = {
    'm', 's'}; /* of sessions: OpenSSL wants one where both are verified */

/* --- keys --- */

static size_t identity_of(const struct tls_mutual *m, const struct tls_mutual_key *k, char dst[IDENTITY_MAX])
{
    struct wr w = wr_of(dst, IDENTITY_MAX);

    wr_fmt(&w, "ms %s %08x", m->group, (unsigned)k->id);
    return w.n;
}

static SSL_SESSION *session_of(SSL *ssl, const struct tls_mutual_key *k)
{
    const SSL_CIPHER *c = SSL_CIPHER_find(ssl, suite);
    SSL_SESSION *s = SSL_SESSION_new();

    if (s && c && SSL_SESSION_set1_master_key(s, k->secret, sizeof(k->secret)) &&
        SSL_SESSION_set1_id_context(s, context, sizeof(context)) && SSL_SESSION_set_cipher(s, c) &&
        SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))
        return s;
    SSL_SESSION_free(s);
    return NULL;
}

static const struct tls_mutual *of(SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Which one it was counts once the handshake has come to its end: its binder has been checked then. */
static int find_key(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **ret)
{
    const struct tls_mutual *m = of(ssl);
    char text[IDENTITY_MAX];

    *ret = NULL;
    for (size_t i = 0; i < m->n_keys; i++) {
        size_t len = identity_of(m, &m->keys[i], text);

        if (!span_eq(span(text, len), span(identity, n))) continue;
        tls_note_key(SSL_get_app_data(ssl), m->keys[i].id);
        *ret = session_of(ssl, &m->keys[i]);
        return *ret != NULL;
    }
    return 1; /* the handshake fails for want of a certificate */
}

/* The identity has to live as long as the call's caller reads it: in the connection. */
static int offer_key(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n, SSL_SESSION **ret)
{
    const struct tls_mutual *m = of(ssl);
    struct tls *t = SSL_get_app_data(ssl);
    char text[IDENTITY_MAX];

    *ret = NULL;
    if (m->n_keys == 0 || (md && md != SSL_CIPHER_get_handshake_digest(SSL_CIPHER_find(ssl, suite))))
        return 1;
    *n = identity_of(m, &m->keys[0], text);
    *id = tls_note_identity(t, span(text, *n));
    tls_note_key(t, m->keys[0].id);
    *ret = session_of(ssl, &m->keys[0]);
    return *ret != NULL;
}

/* --- certificates --- */

static int take_authority(SSL_CTX *ctx, struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509 *x;
    int n = 0;

    must(bio != NULL);
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return n > 0 ? 0 : TLS_E_CHAIN;
}

static int take_certificates(SSL_CTX *ctx, const struct tls_mutual_setup *s)
{
    struct tls_pair pair;
    int err = tls_pair_read(s->cert, s->key, &pair);

    if (err != 0) return err;
    if (!SSL_CTX_use_cert_and_key(ctx, pair.cert, pair.key, pair.chain, 1)) err = TLS_E_WEAK;
    tls_pair_done(&pair);
    ERR_clear_error();
    return err != 0 ? err : take_authority(ctx, s->authority);
}

/* --- both --- */

static bool set_up(SSL_CTX *ctx)
{
    char groups[] = "X25519:P-256"; /* their call's text is not const */

    SSL_CTX_set_options(ctx,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(
        ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* Who offers no key that is known has to show a certificate, on both sides: with keys none is believed.
     */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_set_session_id_context(ctx, context, sizeof(context)) && SSL_CTX_set_num_tickets(ctx, 0) &&
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) && SSL_CTX_set_ciphersuites(ctx, SUITE) &&
        SSL_CTX_set1_groups_list(ctx, groups);
}

int tls_mutual_new(const struct tls_mutual_setup *s, struct tls_mutual **ret)
{
    struct tls_mutual *m = NEW(struct tls_mutual);
    int err = 0;

    atomic_init(&m->refs, 1);
    span_copy(s->group, m->group, sizeof(m->group));
    m->ctx = SSL_CTX_new(TLS_method());
    must(m->ctx != NULL && set_up(m->ctx));
    SSL_CTX_set_app_data(m->ctx, m);
    if (s->authority.n > 0) {
        err = take_certificates(m->ctx, s);
    } else {
        m->n_keys = MIN(s->n_keys, TLS_MUTUAL_KEYS);
        memcpy(m->keys, s->keys, sizeof(m->keys));
        SSL_CTX_set_psk_find_session_callback(m->ctx, find_key);
        SSL_CTX_set_psk_use_session_callback(m->ctx, offer_key);
    }
    if (err == 0)
        *ret = m;
    else
        tls_mutual_unref(m);
    return err;
}

struct tls_mutual *tls_mutual_ref(struct tls_mutual *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void tls_mutual_unref(struct tls_mutual *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1) return;
    SSL_CTX_free(m->ctx);
    explicit_bzero(m->keys, sizeof(m->keys));
    mem_free(m);
}

bool tls_mutual_believes(const struct tls_mutual *m, uint32_t key_id)
{
    if (key_id == 0) return m->n_keys == 0;
    for (size_t i = 0; i < m->n_keys; i++)
        if (m->keys[i].id == key_id) return true;
    return false;
}

/* --- the handshake --- */

struct tls_meeting {
    struct loop_io io;
    struct loop_timer timer;
    struct tls_mutual *mutual;
    tls_met_fn *done;
    void *arg;
    struct tls *t;
};

void tls_meeting_stop(struct tls_meeting *m)
{
    loop_io_stop(&m->io);
    loop_timer_stop(&m->timer);
    tls_free(m->t);
    tls_mutual_unref(m->mutual);
    mem_free(m);
}

static void ended(struct tls_meeting *m, const char *why)
{
    tls_met_fn *done = m->done;
    void *arg = m->arg;
    struct tls *t = why ? NULL : m->t;

    if (!why) m->t = NULL;
    tls_meeting_stop(m);
    done(arg, t, why);
}

static void go_on(struct tls_meeting *m)
{
    const char *why = NULL;
    bool write = false;
    int err = tls_shake(m->t, &write, &why);

    if (err == -EAGAIN)
        loop_io_events(&m->io, write ? LOOP_WRITE : LOOP_READ);
    else
        ended(m, err == 0 ? NULL : why);
}

static void ready(struct loop_io *io, unsigned events)
{
    (void)events;
    go_on(io->arg);
}

static void late(struct loop_timer *t)
{
    ended(t->arg, "the handshake did not come to its end");
}

struct tls_meeting *tls_meet(
    struct loop *l, int fd, struct tls_mutual *m, bool dials, tls_met_fn *done, void *arg)
{
    struct tls_meeting *meeting = NEW(struct tls_meeting);

    *meeting = (struct tls_meeting){.mutual = tls_mutual_ref(m), .done = done, .arg = arg};
    meeting->t = tls_over(m->ctx, fd, dials);
    must(meeting->t != NULL);
    fd_nonblock(fd);
    loop_io_start(l, &meeting->io, fd, dials ? LOOP_WRITE : LOOP_READ, ready, meeting);
    loop_timer_set(l, &meeting->timer, TLS_HANDSHAKE_US, late, meeting);
    return meeting;
}
