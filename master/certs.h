/* Certificates of the listeners, and of this node to others and to the site's etcd. The master reads them,
 * since only it may read a private key; it keeps what was good, so that a httpd that is born anew while files
 * are being replaced gets a pair that fits, and hands them down (TLS). Decision 020. Tests:
 * tests/e2e/test_tls.py. */
#ifndef MASTER_CERTS_H
#define MASTER_CERTS_H

#include "common/base/secret.h"
#include "common/conf/conf.h"
#include "common/ipc/channel.h"
#include "common/net/tls_cert.h"

#define CERTS_SOON_S (14 * 86400) /* so long before its end it is warned of */
#define CERTS_DAY_US (86400 * US_PER_S)

/* The last two are not httpd's, but the courier's: they have an authority beside them. */
enum cert_id { CERT_STREAM, CERT_MODULE, CERT_CLUSTER, CERT_STORE, CERTS };
#define CERTS_COURIER_MAX (40u << 10) /* bytes of what the courier is told of each */

struct cert {
    struct secret cert, key; /* PEM; none: TLS is off there */
    struct tls_facts facts;
    bool kernel;
};
struct certs {
    struct cert v[CERTS];
    struct secret authority;       /* PEM, of CERT_CLUSTER; none: the keys */
    struct secret store_authority; /* of CERT_STORE; none: the machine's */
    usec_t told_us;                /* CLOCK_MONOTONIC; 0: never */
};

/* Reads what c asks for. What is wrong with it stands in the report: mistakes, and warnings of one that is
 * over, not valid yet or soon over, or whose key everybody may read. false: there were mistakes, and *ret is
 * empty. */
bool certs_read(const struct conf *c, usec_t wall_us, struct conf_report *r, struct certs *ret);
void certs_done(struct certs *c);
bool certs_same(const struct certs *a, const struct certs *b);
void certs_send(struct certs *c, struct channel *httpd);
/* Once a second: what is soon over is said, and ticket keys are renewed, once a day. */
void certs_check(struct certs *c, struct channel *httpd, usec_t mono_us, usec_t wall_us);

#endif
