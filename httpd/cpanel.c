#include "httpd/cpanel.h"
#include "httpd/answer.h"
#include "httpd/api.h"
#include "httpd/auth.h"
#include "httpd/handlers.h"
#include "httpd/who.h"

#define REQUEST_MAX   8192
#define LANGUAGES_MAX 256 /* of Accept-Language */

bool cpanel_open(struct http *h)
{
    const struct auth *auth = h->hub->auth;
    struct addr peer;

    if (!auth->cpanel) {
        answer_error(h, 404, "nothing is here");
        return false;
    }
    if (auth->closed ||
        (auth->cpanel_whitelist.n > 0 &&
            !(addr_of((const struct sockaddr *)conn_peer(h->conn), &peer) &&
                cidrs_has(&auth->cpanel_whitelist, &peer)))) {
        answer_error(h, 403, "the control panel is open to listed addresses only");
        return false;
    }
    return true;
}

void serve_cpanel(struct http *h)
{
    const struct ask *a = h->ask;
    struct span below = a->match.n > 0 ? a->match.capture[0] : SPAN_NONE;
    const struct auth *auth = h->hub->auth;
    char path[HTTP_PATH_MAX], api[AUTH_BASE_MAX + 4];
    struct packer p;
    struct buf b;

    if (!cpanel_open(h) || who_page(h) > WHO_IS) return;
    snprintf(path, sizeof(path), "/%.*s", SPAN_FMT(below));
    buf_init(&b, REQUEST_MAX);
    p = packer_of(&b);
    snprintf(api, sizeof(api), "%s/v3", auth->api_base);
    pack_map(&p, 5 + (a->caller != NULL));
    if (a->caller) {
        pack_key(&p, "user");
        caller_pack(&p, a->caller);
    }
    pack_kv_text(&p, "path", path);
    pack_kv_str(&p, "languages", span_sub(head_get(&a->req.head, "Accept-Language"), 0, LANGUAGES_MAX));
    pack_kv_text(&p, "base", auth->cpanel_base);
    pack_kv_text(&p, "api", api);
    pack_kv_bool(&p, "secure", conn_is_tls(h->conn));
    api_run(h, LUAHOST_CPANEL, buf_span(&b));
    buf_done(&b);
}
