#include "httpd/panel.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/proxied.h"

bool panel_address(const struct http *h, struct addr *ret)
{
    const struct sockaddr *peer = (const struct sockaddr *)conn_peer(h->conn);
    struct access_ask a = {.secure = false};

    if (!addr_of(peer, &a.address)) return false;
    proxied_viewer(&h->hub->auth->proxies, peer, &h->ask->req.head, &a);
    *ret = a.address;
    return true;
}

bool panel_open(struct http *h)
{
    const struct auth *auth = h->hub->auth;
    struct addr who;

    if (auth->api_whitelist.n == 0 && !auth->closed) return true;
    if (!auth->closed && panel_address(h, &who) && cidrs_has(&auth->api_whitelist, &who)) return true;
    answer_error(h, 403, "this is open to listed addresses only");
    return false;
}
