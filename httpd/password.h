/* Is this an account's password? One that is kept as scrypt takes a thread some 50 ms (accounts.h); nothing
 * of a hub waits for it, and one that was right a while ago is known (proven.h). Tests:
 * tests/e2e/test_signin.py. */
#ifndef HTTPD_PASSWORD_H
#define HTTPD_PASSWORD_H

#include "httpd/accounts.h"
#include "httpd/http.h"

enum password { PASSWORD_WRONG, PASSWORD_RIGHT, PASSWORD_LATER, PASSWORD_BUSY };

/* RIGHT: *ret. LATER: done comes in a later turn of the loop, with RIGHT or WRONG, unless the connection goes
 * before; ask->work and ask->abort are used until then. An unknown name takes as long as a wrong password. */
enum password password_check(struct http *h, struct span user, struct span password,
    void (*done)(struct http *h, enum password result, const struct account *a), const struct account **ret);

#endif
