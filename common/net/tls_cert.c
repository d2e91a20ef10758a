#include "common/net/tls_pem.h"
#include "common/base/wr.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define SECURITY_BITS 112 /* RSA of 2048 bits, NIST SP 800-57 */
#define CHAIN_MAX     16

const char *tls_why(int condition)
{
    static const char *const texts[] = {
        [TLS_E_CERT] = "holds no certificate in PEM",
        [TLS_E_CHAIN] = "the chain behind the certificate is broken",
        [TLS_E_KEY] = "holds no private key in PEM that can be read without a pass phrase",
        [TLS_E_PAIR] = "the private key is not the certificate's",
        [TLS_E_WEAK] = "the key is too weak: RSA of 2048 bits or P-256 is the least",
    };

    return condition > 0 && (size_t)condition < ARRAY_N(texts) ? texts[condition] : "";
}

/* --- reading --- */

static BIO *bio_of(struct span s)
{
    return BIO_new_mem_buf(s.p ? s.p : (const uint8_t *)"", (int)MIN(s.n, (size_t)INT_MAX));
}

/* Nobody is there who could be asked. */
static int no_phrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static int read_chain(BIO *bio, STACK_OF(X509) * chain)
{
    X509 *x;

    while (sk_X509_num(chain) < CHAIN_MAX && (x = PEM_read_bio_X509(bio, NULL, no_phrase, NULL))) {
        if (sk_X509_push(chain, x) > 0) continue;
        X509_free(x);
        return TLS_E_CHAIN;
    }
    /* The end of the file is an error of this kind. */
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? 0 : TLS_E_CHAIN;
}

static int read_certs(struct span text, struct tls_pair *p)
{
    BIO *bio = bio_of(text);
    int err = 0;

    p->chain = sk_X509_new_null();
    p->cert = bio ? PEM_read_bio_X509(bio, NULL, no_phrase, NULL) : NULL;
    if (!p->cert || !p->chain)
        err = TLS_E_CERT;
    else
        err = read_chain(bio, p->chain);
    BIO_free(bio);
    return err;
}

static int read_key(struct span text, struct tls_pair *p)
{
    BIO *bio = bio_of(text);

    p->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL) : NULL;
    BIO_free(bio);
    if (!p->key) return TLS_E_KEY;
    if (EVP_PKEY_get_security_bits(p->key) < SECURITY_BITS) return TLS_E_WEAK;
    return X509_check_private_key(p->cert, p->key) ? 0 : TLS_E_PAIR;
}

int tls_pair_read(struct span cert, struct span key, struct tls_pair *ret)
{
    struct tls_pair p = {.key = NULL};
    int err;

    ERR_clear_error();
    err = read_certs(cert, &p);
    if (err == 0) err = read_key(key, &p);
    ERR_clear_error();
    if (err == 0)
        *ret = p;
    else
        tls_pair_done(&p);
    return err;
}

void tls_pair_done(struct tls_pair *p)
{
    X509_free(p->cert);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    *p = (struct tls_pair){.key = NULL};
}

int tls_authority_check(struct span pem)
{
    struct tls_pair p = {.key = NULL};
    int err;

    ERR_clear_error();
    err = read_certs(pem, &p);
    if (err == 0 && X509_check_ca(p.cert) == 0) err = TLS_E_CERT;
    ERR_clear_error();
    tls_pair_done(&p);
    return err;
}

/* --- what a certificate says --- */

static int64_t unix_s(const ASN1_TIME *t)
{
    struct tm tm;

    return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

static void subject_of(const X509 *x, char *dst, size_t cap)
{
    GENERAL_NAMES *names;
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, dst, (int)cap);

    if (n > 0) return;
    dst[0] = '\0';
    names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && dst[0] == '\0'; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_DNS) continue;
        span_copy(span(ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)),
            dst, cap);
    }
    GENERAL_NAMES_free(names);
}

static void print_of(const X509 *x, char *dst, size_t cap)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct wr w = wr_of(dst, cap);
    unsigned n = 0;

    if (!X509_digest(x, EVP_sha256(), sum, &n)) n = 0;
    for (unsigned i = 0; i < n; i++) wr_fmt(&w, "%s%02X", i > 0 ? ":" : "", sum[i]);
    wr_cstr(&w);
}

int tls_pair_check(struct span cert, struct span key, struct tls_facts *ret)
{
    struct tls_pair p;
    int err = tls_pair_read(cert, key, &p);

    if (err != 0) return err;
    *ret = (struct tls_facts){
        .from_s = unix_s(X509_get0_notBefore(p.cert)), .to_s = unix_s(X509_get0_notAfter(p.cert))};
    subject_of(p.cert, ret->subject, sizeof(ret->subject));
    print_of(p.cert, ret->print, sizeof(ret->print));
    ERR_clear_error();
    tls_pair_done(&p);
    return 0;
}
