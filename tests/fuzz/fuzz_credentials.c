/* What a request brings to be let in by: token, login, secure link, X-Forwarded-For. Nothing of it is right
 * by chance, and an address is never that of nobody. */
#include "common/base/mem.h"
#include "httpd/accounts.h"
#include "httpd/credentials.h"
#include "httpd/proxied.h"
#include "httpd/secure_link.h"
#include "httpd/stream.h"
#include "httpd/who.h"

#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct accounts accounts;
static struct nonces *nonces;
static struct cidrs proxies;

static void prepare(void)
{
    nonces = nonces_new();
    accounts_add(&accounts, SPAN_LIT("anna"), SPAN_LIT("nobody can know this"), SPAN_LIT("user"), SPAN_NONE);
    cidrs_parse(SPAN_LIT("127.0.0.0/8, ::1"), 8, &proxies);
}

static void sign_in(const struct http_request *req, struct span login)
{
    const struct account_try t = {&accounts, nonces, true, 1700000000};
    struct access_ask a = {.method = "GET", .uri = req->head.target, .authorization = login, .secure = true};
    const struct account *who = NULL;

    if (account_check(&t, &a, &who) == ACCOUNT_RIGHT) __builtin_trap();
}

static void show(struct span token)
{
    struct stream s = {.v = {.uid = "cam-1"}};
    struct access_ask a = {.stream = &s, .token = token};
    int64_t until_s;

    if (secure_link_is(token) &&
        secure_link_ok(SPAN_LIT("nobody can know this"), &a, 1700000000, &until_s) == KNOWN_YES)
        __builtin_trap();
}

/* A cookie's value is a piece of its field: no blank, no other cookie of the line. */
static void look_at_cookies(const struct head *head)
{
    static const char *const names[] = {WHO_COOKIE, WHO_COOKIE_SECURE, CREDENTIALS_COOKIE};

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        struct span value = cookie_get(head, names[i]);

        if (span_find(value, ';') >= 0 || !span_eq(value, span_trim(value))) __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct access_ask viewer = {.secure = false};
    char address[ADDR_TEXT_MAX];
    struct head_find find = {0};
    struct credentials c;
    struct http_request req;
    size_t used;

    if (!nonces) prepare();
    if (http_request_parse(&find, span(data, n), 65536, &req, &used) != 0) return 0;
    look_at_cookies(&req.head);
    credentials_of(&req, &c);
    if (c.token && strlen(c.token) > ACCESS_TOKEN_MAX) __builtin_trap();
    if (c.token) show(span_of(c.token));
    if (c.login.n > 0) sign_in(&req, c.login);
    credentials_done(&c);
    proxied_viewer(&proxies, (const struct sockaddr *)&peer, &req.head, &viewer);
    if (addr_text(&viewer.address, address)[0] == '\0') __builtin_trap();
    return 0;
}
