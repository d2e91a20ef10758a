/* A certificate that signs itself, for a first start. Needs no server. Tests: tests/e2e/test_tls.py. */
#ifndef MSCTL_TLS_H
#define MSCTL_TLS_H

#include "scripts/msctl/local.h"

/* [NAME...], --out FOLDER: server.crt and server.key there, which are not replaced without --force. CTL_*. */
int local_self_signed(const struct local *l);

#endif
