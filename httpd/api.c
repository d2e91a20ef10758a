#include "httpd/api.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/url.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/guess.h"
#include "httpd/handlers.h"
#include "httpd/held.h"
#include "httpd/panel.h"

/* A request that the script has; its answer may come when the connection has gone. */
struct call {
    struct http *h;
};

/* --- what the script is told --- */

/* Behind a proxy on this machine every request comes from it: one that was passed on is not local. */
static bool is_local(const struct http *h, const struct addr *peer)
{
    static const char *const passed_on[] = {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"};

    for (size_t i = 0; i < ARRAY_N(passed_on); i++)
        if (head_get(&h->ask->req.head, passed_on[i]).p) return false;
    return addr_is_loopback(peer);
}

static void pack_query(struct packer *p, struct span query)
{
    char key[API_VALUE_MAX], text[API_VALUE_MAX];
    struct packer own;
    struct span rest = query, name, value;
    struct buf b;
    uint32_t n = 0;

    buf_init(&b, HTTP_LINE_MAX * 2);
    own = packer_of(&b);
    while (n < API_QUERY_MAX && url_query_next(&rest, &name, &value)) {
        struct wr k = wr_of(key, sizeof(key)), v = wr_of(text, sizeof(text));

        if (name.n == 0 || !url_decode(name, true, &k) || !url_decode(value, true, &v)) continue;
        if (span_is(wr_span(&k), "token")) continue; /* whoever has it has it; a script need not */
        pack_str(&own, wr_span(&k));
        pack_str(&own, wr_span(&v));
        n++;
    }
    pack_map(p, n);
    pack_ready(p, buf_span(&b));
    buf_done(&b);
}

/* false: it is no token, or counts no more, or whoever asks has guessed too often (guess.h). */
static bool verify(const struct http *h, struct span text, const struct addr *peer, struct token *ret)
{
    const struct auth *auth = h->hub->auth;
    const struct token_check check = {&auth->keys, auth->audience, clock_wall_us() / US_PER_S};
    int64_t until_s;
    int err;

    if (!cidrs_has(&auth->exempt, peer) &&
        guess_blocked(h->hub->server->guesses, peer, loop_now_us(h->hub->loop)))
        return false;
    err = token_verify(&check, text, ret, &until_s);
    if (err == TOKEN_E_FORGED) access_guessed(h->hub, peer);
    return err == 0 && !revoked_token(&h->hub->revoked, ret, SPAN_NONE) &&
        (!ret->bound || addr_has_prefix(peer, ret->address, ret->address_bits));
}

static void pack_ops(struct packer *p, unsigned ops)
{
    static const struct {
        const char *name;
        enum token_op op;
    } names[] = {{"live", TOKEN_LIVE}, {"dvr", TOKEN_DVR}, {"copy", TOKEN_COPY}, {"publish", TOKEN_PUBLISH},
        {"api", TOKEN_API}};

    pack_map(p, ARRAY_N(names));
    for (size_t i = 0; i < ARRAY_N(names); i++) pack_kv_bool(p, names[i].name, ops & names[i].op);
}

/* Nothing where none was shown. */
static void pack_token(struct packer *p, const struct http *h, struct span text, const struct addr *peer)
{
    struct token t;

    pack_key(p, "token");
    if (!verify(h, text, peer, &t)) {
        pack_map(p, 1);
        pack_kv_bool(p, "valid", false);
        return;
    }
    pack_map(p, 3);
    pack_kv_bool(p, "valid", true);
    pack_kv_text(p, "user", t.user);
    pack_key(p, "ops");
    pack_ops(p, t.ops);
}

/* A cookie goes along with requests that other sites make: what changes things takes none. */
static bool shows_token(const struct http *h)
{
    struct span rest = h->ask->req.query, name, value;

    if (head_get(&h->ask->req.head, "Authorization").p) return true;
    while (url_query_next(&rest, &name, &value))
        if (span_is(name, "token")) return true;
    return false;
}

static void pack_request(struct packer *p, struct http *h)
{
    struct ask *a = h->ask;
    char address[ADDR_TEXT_MAX] = "", path[HTTP_PATH_MAX];
    struct addr peer = {0};

    if (panel_address(h, &peer)) addr_text(&peer, address);
    snprintf(path, sizeof(path), "/%.*s", SPAN_FMT(a->match.capture[0]));
    if (shows_token(h)) credentials_of(&a->req, &a->given);
    pack_map(p, a->given.token ? 11 : 10);
    if (a->given.token) pack_token(p, h, span_of(a->given.token), &peer);
    pack_kv_text(p, "method", http_method_name(a->req.method));
    pack_kv_text(p, "path", path);
    pack_key(p, "query");
    pack_query(p, a->req.query);
    pack_kv_str(p, "body", buf_span(&a->body));
    pack_kv_text(p, "address", address);
    pack_kv_bool(p, "is_local", is_local(h, &peer));
    pack_kv_str(p, "type", head_get(&a->req.head, "Content-Type"));
    pack_kv_str(p, "host", a->req.host);
    pack_kv_str(p, "if_match", head_get(&a->req.head, "If-Match"));
    pack_kv_str(p, "if_none_match", head_get(&a->req.head, "If-None-Match"));
}

/* --- what it says --- */

static bool field_ok(struct span name, struct span value)
{
    if (name.n == 0 || !value.p) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < ' ' || value.p[i] == 0x7f) return false;
    return true;
}

bool api_answer_read(const struct packed *map, struct api_answer *ret)
{
    const struct packed *headers = packed_get(map, "headers"), *v;
    uint64_t status = packed_u64(map, "status", 0);
    struct span type = packed_str(map, "type"), name;
    struct wr extra = wr_of(ret->extra, sizeof(ret->extra) - 1);

    if (status < 200 || status > 599 || packed_n(headers) > API_HEADERS_MAX) return false;
    for (size_t i = 0; packed_pair(headers, i, &name, &v); i++) {
        if (!field_ok(name, packed_as_str(v))) return false;
        wr_fmt(&extra, "%.*s: %.*s\r\n", SPAN_FMT(name), SPAN_FMT(packed_as_str(v)));
    }
    if (!type.p) type = SPAN_LIT("application/json");
    if (!wr_ok(&extra) || !field_ok(SPAN_LIT("Content-Type"), type) ||
        !span_copy(type, ret->type, sizeof(ret->type)))
        return false;
    wr_cstr(&extra);
    ret->extra[extra.n] = '\0';
    ret->status = (unsigned)status;
    ret->body = packed_str(map, "body");
    ret->held = packed_u64(map, "held", 0);
    return true;
}

static void send_answer(struct http *h, const struct api_answer *said)
{
    struct answer a = {
        .status = said->status, .type = said->type, .cache = CACHE_NEVER, .extra = said->extra};
    struct buf text;

    if (said->status == 204 || said->status == 304) {
        answer_empty(h, &a);
    } else if (said->held == 0) {
        answer_bytes(h, &a, said->body);
    } else if (held_take(said->held, &text)) {
        answer_bytes(h, &a, buf_span(&text));
        buf_done(&text);
    } else {
        answer_error_with(h, 503, "Retry-After: 1\r\n", "too many ask for such lists: try again in a moment");
    }
}

static void send_failure(struct http *h, const struct lua_answer *answer)
{
    unsigned status = lua_status(answer->err);

    if (answer->incident != 0)
        answer_incident(h, status, answer->incident, lua_why(answer->err));
    else if (status == 503)
        answer_error_with(h, 503, "Retry-After: 2\r\n", "%s", lua_why(answer->err));
    else
        answer_error(h, status, "%s", lua_why(answer->err));
}

static void answered(void *arg, const struct lua_answer *answer)
{
    struct call *c = arg;
    struct http *h = c->h;
    struct api_answer said;

    if (h) {
        h->ask->work = NULL;
        h->ask->abort = NULL;
        if (answer->err != 0)
            send_failure(h, answer);
        else if (api_answer_read(answer->value, &said))
            send_answer(h, &said);
        else
            answer_error(h, 500, "the script's answer is none of HTTP");
    }
    mem_free(c);
}

static void forget(struct http *h)
{
    struct call *c = h->ask->work;

    c->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

void api_run(struct http *h, enum luahost_slot slot, struct span request)
{
    struct call *c = NEW(struct call);
    struct lua_asker who = {h->hub->loop, answered, c};

    c->h = h;
    h->ask->work = c;
    h->ask->abort = forget;
    lua_ask(h->hub->server->lua, slot, request, API_US, &who);
}

void serve_api(struct http *h)
{
    struct packer p;
    struct buf b;

    if (!h->hub->auth->api) {
        answer_error(h, 404, "nothing is here");
        return;
    }
    if (!panel_open(h)) return;
    buf_init(&b, LUAHOST_ARGS_MAX);
    p = packer_of(&b);
    pack_request(&p, h);
    api_run(h, h->ask->match.route->flags & ROUTE_V3 ? LUAHOST_API3 : LUAHOST_API, buf_span(&b));
    buf_done(&b);
}
