#include "httpd/api.h"
#include "common/base/mem.h"
#include "common/wire/url.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/handlers.h"
#include "httpd/held.h"
#include "httpd/panel.h"
#include "httpd/plugins.h"
#include "httpd/problem.h"
#include "httpd/rates.h"
#include "httpd/who.h"

/* A request that the script has; its answer may come when the connection has gone. */
struct call {
    struct http *h;
    enum luahost_slot slot;
};

/* --- what the script is told --- */

/* The Host of somebody on this machine who means this machine: no name that others could point here. */
static bool names_loopback(struct span host)
{
    bool bracket = host.n > 0 && host.p[0] == '[';
    struct span rest = bracket ? span_from(host, 1) : host;
    struct addr a;

    span_split(&rest, bracket ? ']' : ':', &host);
    return span_ieq(host, SPAN_LIT("localhost")) || (addr_parse(host, &a) && addr_is_loopback(&a));
}

/* Behind a proxy on this machine every request comes from it: one that was passed on is not local. Nor is
 * what a page of another site makes a browser on this machine send. */
static bool is_local(const struct http *h, const struct addr *peer)
{
    static const char *const passed_on[] = {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"};

    for (size_t i = 0; i < ARRAY_N(passed_on); i++)
        if (head_get(&h->ask->req.head, passed_on[i]).p) return false;
    return !who_is_foreign(h) && names_loopback(h->ask->req.host) && addr_is_loopback(peer);
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
static void pack_token(struct packer *p, const struct http *h)
{
    const struct caller *c = h->ask->caller;
    bool valid = c && strcmp(c->by, "token") == 0;

    pack_key(p, "token");
    pack_map(p, valid ? 3 : 1);
    pack_kv_bool(p, "valid", valid);
    if (!valid) return;
    pack_kv_text(p, "user", c->name);
    pack_key(p, "ops");
    pack_ops(p, TOKEN_API);
}

static void pack_request(struct packer *p, struct http *h)
{
    struct ask *a = h->ask;
    char address[ADDR_TEXT_MAX] = "", path[HTTP_PATH_MAX];
    struct addr peer = {0};

    if (panel_address(h, &peer)) addr_text(&peer, address);
    snprintf(path, sizeof(path), "/%.*s", SPAN_FMT(a->match.capture[0]));
    pack_map(p, 10 + (a->given.token != NULL) + (a->caller != NULL));
    if (a->given.token) pack_token(p, h);
    if (a->caller) {
        pack_key(p, "user");
        caller_pack(p, a->caller);
    }
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

static void go_on(struct http *h, enum luahost_slot after);

/* A plug-in that has nothing to say, or failed: the next one is asked. */
static bool is_passed_on(const struct call *c, const struct lua_answer *answer)
{
    return c->slot >= LUAHOST_PLUGIN && (answer->err != 0 || packed_kind(answer->value) == PACKED_NIL);
}

static void answered(void *arg, const struct lua_answer *answer)
{
    struct call *c = arg;
    struct http *h = c->h;
    struct api_answer said;

    if (h) {
        h->ask->work = NULL;
        h->ask->abort = NULL;
        if (is_passed_on(c, answer))
            go_on(h, c->slot);
        else if (answer->err != 0)
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

/* Whoever has signed in has passed the panel's own list. */
static bool has_signed_in(const struct http *h)
{
    const struct caller *c = h->ask->caller;

    return c && strcmp(c->by, "token") != 0;
}

void api_run(struct http *h, enum luahost_slot slot, struct span request)
{
    struct call *c = NEW(struct call);
    struct lua_asker who = {h->hub->loop, answered, c, h->ask->caller};

    if (slot >= LUAHOST_PLUGIN && !who.caller) who.caller = plugins_caller(slot);

    c->h = h;
    c->slot = slot;
    h->ask->work = c;
    h->ask->abort = forget;
    if (slot < LUAHOST_PLUGIN)
        lua_ask(h->hub->server->lua, slot, request, API_US, &who);
    else
        lua_ask(h->hub->server->plugins, slot, request, PLUGIN_DECIDES_US, &who);
}

/* Passwords go by no plug-in. */
static bool is_private(const struct http *h)
{
    const struct route_match *m = &h->ask->match;

    return m->route->flags & ROUTE_V3 && span_starts(m->capture[0], SPAN_LIT("users"));
}

/* To the next plug-in that wants to see requests; behind the last one to the API's script. */
static void go_on(struct http *h, enum luahost_slot after)
{
    enum luahost_slot plugin = is_private(h) ? LUAHOST_SLOTS : plugins_next(PLUGIN_REQUEST, after);
    enum luahost_slot script = h->ask->match.route->flags & ROUTE_V3 ? LUAHOST_API3 : LUAHOST_API;
    struct packer p;
    struct buf b;

    buf_init(&b, LUAHOST_ARGS_MAX);
    p = packer_of(&b);
    if (plugin < LUAHOST_SLOTS) {
        pack_map(&p, 2);
        pack_kv_text(&p, "hook", "on_request");
        pack_key(&p, "data");
    }
    pack_request(&p, h);
    api_run(h, plugin < LUAHOST_SLOTS ? plugin : script, buf_span(&b));
    buf_done(&b);
}

/* By the account or token, without either by the address. */
static bool is_too_fast(struct http *h)
{
    const struct auth *auth = h->hub->auth;
    const struct caller *c = h->ask->caller;
    char who[ACCESS_USER_MAX + 8] = "", extra[40], text[ADDR_TEXT_MAX];
    struct addr peer = {0}, source;
    long long wait_s;
    usec_t wait_us;

    if (auth->api_rate == 0) return false;
    (void)panel_address(h, &peer);
    if (cidrs_has(&auth->api_exempt, &peer)) return false;
    source = addr_source(&peer);
    if (c) snprintf(who, sizeof(who), "%s %s", strcmp(c->by, "token") == 0 ? "token" : "user", c->name);
    wait_us = rates_take(h->hub->server->rates, span_of(c ? who : addr_text(&source, text)), auth->api_rate,
        loop_now_us(h->hub->loop));
    if (wait_us == 0) return false;
    wait_s = (wait_us + US_PER_S - 1) / US_PER_S;
    snprintf(extra, sizeof(extra), "Retry-After: %lld\r\n", wait_s);
    problem_answer(h, 429, "too-fast", extra,
        "more calls than api-rate allows (%u a second): try again in %lld s", auth->api_rate, wait_s);
    return true;
}

void serve_api(struct http *h)
{
    if (!h->hub->auth->api) {
        answer_error(h, 404, "nothing is here");
        return;
    }
    if (who_asks(h) > WHO_IS) return;
    if ((!has_signed_in(h) && !panel_open(h)) || is_too_fast(h)) return;
    go_on(h, LUAHOST_AUTH);
}
