/* Accounts of the configuration: one each of the four roles, more of the site's own names, and the streams
 * that an account is for. Part of conf.h. Tests: tests/unit/conf/test_accounts.c. */
#ifndef CONF_ACCOUNTS_H
#define CONF_ACCOUNTS_H

#include "common/base/secret.h"

enum conf_role { CONF_ROLE_ROOT, CONF_ROLE_ADMIN, CONF_ROLE_USER, CONF_ROLE_GUEST, CONF_ROLES };
struct conf_user {
    char *login; /* "": this role is off */
    struct secret password;
};

struct conf_account { /* of [[[accounts]]] */
    char *login;
    enum conf_role role;
    struct secret password;
    unsigned line;
};
struct conf_cameras { /* of [[[cameras]]]: what an account is for */
    char *login;
    char *text; /* "cam-*,yard" */
    unsigned line;
};

struct conf_accounts {
    struct conf_account *v;
    size_t n;
    struct conf_cameras *cameras;
    size_t n_cameras;
};
enum conf_sign_in { CONF_SIGN_IN_SESSION, CONF_SIGN_IN_BASIC };

const char *conf_role_word(enum conf_role r);
/* The streams that an account is for, as patterns with commas; "": all. */
const char *conf_cameras_of(const struct conf_accounts *a, const char *login);

#endif
