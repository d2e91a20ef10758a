/* A certificate that signs itself: enough for a first start and for a closed network, where its fingerprint
 * is compared by hand. */
#include "common/net/tls_cert.h"
#include "common/base/wr.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define NAMES_MAX   2048
#define SERIAL_BITS 120         /* RFC 5280 4.1.2.2: at most 20 octets, positive */
#define SLACK_S     (24 * 3600) /* valid from so long ago: clocks differ */

static bool is_address(const char *name)
{
    uint8_t to[16];

    return inet_pton(AF_INET, name, to) == 1 || inet_pton(AF_INET6, name, to) == 1;
}

/* A name goes into a text that OpenSSL parses: only what a host name or an address is made of. */
static bool name_ok(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-*:");

    return n > 0 && n < 254 && name[n] == '\0' && (is_address(name) || !strchr(name, ':'));
}

static bool put_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static bool put_names(X509 *x, const char *const *names, size_t n)
{
    char text[NAMES_MAX];
    struct wr w = wr_of(text, sizeof(text));
    X509_NAME *subject = X509_get_subject_name(x);

    for (size_t i = 0; i < n; i++) {
        if (!name_ok(names[i])) return false;
        wr_fmt(&w, "%s%s:%s", i > 0 ? "," : "", is_address(names[i]) ? "IP" : "DNS", names[i]);
    }
    return wr_ok(&w) && n > 0 && strlen(names[0]) <= 64 &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)names[0], -1, -1, 0) &&
        X509_set_issuer_name(x, subject) && put_extension(x, NID_subject_alt_name, wr_cstr(&w)) &&
        put_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
        put_extension(x, NID_key_usage, "critical,digitalSignature") &&
        put_extension(x, NID_ext_key_usage, "serverAuth");
}

static bool put_serial(X509 *x)
{
    BIGNUM *b = BN_new();
    bool ok = b && BN_rand(b, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
        BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x));

    BN_free(b);
    return ok;
}

static bool fill(X509 *x, EVP_PKEY *key, const char *const *names, size_t n, unsigned days)
{
    return X509_set_version(x, X509_VERSION_3) && put_serial(x) &&
        X509_gmtime_adj(X509_getm_notBefore(x), -SLACK_S) &&
        X509_gmtime_adj(X509_getm_notAfter(x), (long)days * 24 * 3600) && X509_set_pubkey(x, key) &&
        put_names(x, names, n) && X509_sign(x, key, EVP_sha256());
}

static bool take(BIO *bio, struct buf *to)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);

    return n > 0 && buf_put(to, span(p, (size_t)n));
}

static bool write_cert(X509 *x, struct buf *to)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && PEM_write_bio_X509(bio, x) && take(bio, to);

    BIO_free(bio);
    return ok;
}

static bool write_key(EVP_PKEY *key, struct buf *to)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    bool ok = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) && take(bio, to);

    BIO_free(bio);
    return ok;
}

bool tls_self_signed(const char *const *names, size_t n, unsigned days, struct buf *cert, struct buf *key)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    bool ok = k && x && fill(x, k, names, n, days) && write_cert(x, cert) && write_key(k, key);

    X509_free(x);
    EVP_PKEY_free(k);
    ERR_clear_error();
    return ok;
}
