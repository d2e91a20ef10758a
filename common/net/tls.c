#include "common/net/tls_impl.h"
#include "common/net/tls_mutual.h"
#include "common/net/tls_pem.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

/* RFC 9325 4.2: forward secrecy and AEAD; those of TLS 1.3 are all of that kind. */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_server {
    _Atomic uint32_t refs;
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    int fd;
    const char *protocols; /* ours */
    bool kernel, broken;
    uint32_t key_id; /* tls_mutual.h */
    char *identity;
};

void tls_process(void)
{
    must(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1);
}

/* --- what is offered --- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
    unsigned in_n, void *arg)
{
    const struct tls *t = SSL_get_app_data(ssl);
    unsigned char *chosen;

    (void)arg;
    if (!t->protocols) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto(&chosen, out_n, (const unsigned char *)t->protocols,
            (unsigned)strlen(t->protocols), in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *ctx, bool kernel)
{
    char groups[] = "X25519:P-256:P-384"; /* their call's text is not const */
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
        SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF;

    if (kernel) options |= SSL_OP_ENABLE_KTLS;
    SSL_CTX_set_options(ctx, options);
    SSL_CTX_set_mode(
        ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* Tickets only: the server keeps nothing of a session. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) && SSL_CTX_set_cipher_list(ctx, CIPHERS_12) &&
        SSL_CTX_set1_groups_list(ctx, groups) &&
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ms", 2);
}

int tls_server_new(const struct tls_setup *setup, struct tls_server **ret)
{
    struct tls_server *s;
    struct tls_pair pair;
    int err = tls_pair_read(setup->cert, setup->key, &pair);

    if (err != 0) return err;
    s = NEW(struct tls_server);
    atomic_init(&s->refs, 1);
    s->ctx = SSL_CTX_new(TLS_server_method());
    must(s->ctx != NULL && set_up(s->ctx, setup->kernel));
    if (!SSL_CTX_use_cert_and_key(s->ctx, pair.cert, pair.key, pair.chain, 1)) err = TLS_E_WEAK;
    tls_pair_done(&pair);
    ERR_clear_error();
    if (err == 0)
        *ret = s;
    else
        tls_server_unref(s);
    return err;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void tls_server_unref(struct tls_server *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    SSL_CTX_free(s->ctx);
    mem_free(s);
}

/* --- a connection --- */

struct tls *tls_over(struct ssl_ctx_st *ctx, int fd, bool dials)
{
    struct tls *t = NEW(struct tls);

    t->ssl = SSL_new(ctx);
    t->fd = fd;
    if (!t->ssl || !SSL_set_fd(t->ssl, fd) || !SSL_set_app_data(t->ssl, t)) {
        SSL_free(t->ssl);
        mem_free(t);
        return NULL;
    }
    if (dials)
        SSL_set_connect_state(t->ssl);
    else
        SSL_set_accept_state(t->ssl);
    return t;
}

struct tls *tls_new(struct tls_server *s, int fd, const char *protocols)
{
    struct tls *t = tls_over(s->ctx, fd, false);

    if (t) t->protocols = protocols;
    return t;
}

void tls_note_key(struct tls *t, uint32_t id)
{
    t->key_id = id;
}

uint32_t tls_key_id(const struct tls *t)
{
    return t->key_id;
}

bool tls_common_name(const struct tls *t, char *dst, size_t max)
{
    const X509 *x = SSL_get0_peer_certificate(t->ssl);
    const X509_NAME *names = x ? X509_get_subject_name(x) : NULL;
    int at = names ? X509_NAME_get_index_by_NID(names, NID_commonName, -1) : -1, n;
    unsigned char *text;
    bool ok;

    if (at < 0 || X509_NAME_get_index_by_NID(names, NID_commonName, at) >= 0) return false;
    n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(names, at)));
    if (n < 0) return false;
    ok = !memchr(text, 0, (size_t)n) && span_copy(span(text, (size_t)n), dst, max);
    OPENSSL_free(text);
    return ok;
}

const uint8_t *tls_note_identity(struct tls *t, struct span identity)
{
    mem_free(t->identity);
    t->identity = span_dup(identity);
    return (const uint8_t *)t->identity;
}

static void begin(void)
{
    ERR_clear_error();
    errno = 0;
}

/* What a call that returned `ret` (not positive) means. */
static int outcome(struct tls *t, int ret)
{
    int saved = errno;

    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: t->broken = true; return saved != 0 ? -saved : -ECONNRESET;
    default: t->broken = true; return -EPROTO;
    }
}

int tls_shake(struct tls *t, bool *ret_write, const char **ret_why)
{
    int ret, err;

    begin();
    ret = SSL_do_handshake(t->ssl);
    if (ret == 1) {
        t->kernel = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
        return 0;
    }
    err = outcome(t, ret);
    *ret_write = SSL_want_write(t->ssl);
    *ret_why = err == -EPROTO ? ERR_reason_error_string(ERR_peek_last_error()) : NULL;
    if (!*ret_why) *ret_why = err == 0 ? "the other has gone" : err_text(err);
    return err == 0 ? -ECONNRESET : err;
}

ssize_t tls_read(struct tls *t, uint8_t *p, size_t cap)
{
    int ret;

    begin();
    ret = SSL_read(t->ssl, p, (int)MIN(cap, (size_t)INT_MAX));
    return ret > 0 ? ret : outcome(t, ret);
}

ssize_t tls_write(struct tls *t, struct span bytes)
{
    int ret;

    begin();
    ret = SSL_write(t->ssl, bytes.p, (int)MIN(bytes.n, (size_t)INT_MAX));
    if (ret > 0) return ret;
    ret = outcome(t, ret);
    return ret == 0 ? -EPIPE : ret;
}

ssize_t tls_sendfile(struct tls *t, int fd, uint64_t at, size_t n)
{
    ossl_ssize_t ret;

    begin();
    ret = SSL_sendfile(t->ssl, fd, (off_t)at, n, 0);
    return ret >= 0 ? (ssize_t)ret : outcome(t, -1);
}

bool tls_pending(const struct tls *t)
{
    return SSL_pending(t->ssl) > 0;
}

bool tls_kernel(const struct tls *t)
{
    return t->kernel;
}

bool tls_is_h2(const struct tls *t)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(t->ssl, &name, &n);
    return span_eq(span(name, n), SPAN_LIT("h2"));
}

int tls_fd(const struct tls *t)
{
    return t->fd;
}

void tls_end(struct tls *t)
{
    if (t->broken) return;
    begin();
    if (SSL_shutdown(t->ssl) < 0) t->broken = true;
    ERR_clear_error();
}

void tls_free(struct tls *t)
{
    if (!t) return;
    SSL_free(t->ssl);
    ERR_clear_error();
    fd_close(&t->fd);
    mem_free(t->identity);
    mem_free(t);
}
