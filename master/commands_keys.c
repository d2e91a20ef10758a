/* Keys by which access tokens are signed, for the API: the commands "api signing..." of common/ipc/ctl.h.
 * Never a secret goes out. Who may is httpd's to say (httpd/people_calls.h). */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/hex.h"
#include "master/edits.h"
#include "master/master.h"

#define SECTION   "server/stream/keys"
#define SECRET_N  32
#define VALUE_MAX 1100
#define OVER_S    3600 /* a key that has been over for so long goes at the next turn */
#define SETS_MAX  (TOKEN_KEYS_MAX + 1)

static int say(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

static bool is_good(const struct token_key *k, int64_t now_s)
{
    return k->not_before_s <= now_s && (k->not_after_s == 0 || now_s < k->not_after_s);
}

/* --- api signing keys --- */

struct listed {
    struct token_keys keys;
    int64_t now_s;
};

static void listed_free(void *p)
{
    struct listed *l = p;

    token_keys_done(&l->keys);
    mem_free(l);
}

static int run_list(struct session *s)
{
    struct listed *l = NEW(struct listed);

    l->now_s = clock_wall_us() / US_PER_S;
    tokens_keys(s->m->conf, &l->keys);
    s->data = l;
    s->data_free = listed_free;
    return CTL_OK;
}

static const char *state_of(const struct listed *l, size_t at)
{
    const struct token_key *k = &l->keys.v[at];

    if (k->not_after_s > 0 && l->now_s >= k->not_after_s) return "over";
    if (k->not_before_s > l->now_s) return "later";
    for (size_t i = at + 1; i < l->keys.n; i++)
        if (is_good(&l->keys.v[i], l->now_s)) return "good";
    return "signs";
}

static bool row_list(struct session *s, struct packer *p)
{
    const struct listed *l = s->data;
    const struct token_key *k;

    if (s->at >= l->keys.n) return false;
    k = &l->keys.v[s->at];
    pack_map(p, 4);
    pack_kv_text(p, "id", k->kid);
    pack_kv_i64(p, "not_before", k->not_before_s);
    pack_kv_i64(p, "not_after", k->not_after_s);
    pack_kv_text(p, "state", state_of(l, s->at++));
    return true;
}

/* --- what is written --- */

struct change {
    struct conf_set sets[SETS_MAX];
    char values[SETS_MAX][VALUE_MAX];
    char kid[TOKEN_KID_MAX + 1];
    size_t n;
};

static void add(struct change *c, const char *section, const char *key, const char *value)
{
    c->sets[c->n++] = (struct conf_set){key, value, section};
}

static int apply(struct session *s, struct change *c)
{
    const struct stream_edit edit = {
        .kind = EDIT_SITE, .quiet = true, .uid = EDIT_SITE_UID, .set = c->sets, .n = c->n};
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {.v = &edit, .n = 1, .by = control_by(s, by), .why = "keys"};
    struct conf_report report = {0};
    struct edits_result result;
    int code = edits_apply(s->m, &order, &report, &result);

    if (code != CTL_OK) span_copy(span_of(result.text), s->text, sizeof(s->text));
    edits_result_done(&result);
    conf_report_done(&report);
    return code;
}

static void change_free(struct change *c)
{
    explicit_bzero(c, sizeof(*c));
    mem_free(c);
}

/* --- api signing rotate SECONDS: another key signs, those before are good for so long --- */

/* Of one that has no end yet. false: its secret holds both kinds of quotes, and it stays as it is. */
static bool end_key(struct change *c, const struct conf_auth_key *k, int64_t end_s)
{
    struct span secret = secret_reveal(&k->secret);
    const char *quote = span_find(secret, '"') < 0 ? "\"" : span_find(secret, '\'') < 0 ? "'" : NULL;
    struct wr w = wr_of(c->values[c->n], VALUE_MAX);

    if (!quote) return false;
    wr_text(&w, quote);
    wr_bytes(&w, secret);
    wr_fmt(&w, "%s, ", quote);
    if (k->not_before_s > 0) wr_fmt(&w, "%lld", (long long)k->not_before_s);
    wr_fmt(&w, ", %lld", (long long)MAX(end_s, k->not_before_s + 1));
    if (!wr_cstr(&w)[0]) return false;
    add(c, SECTION, k->kid, c->values[c->n]);
    return true;
}

static void new_key(struct change *c, const struct conf *conf, int64_t now_s)
{
    uint8_t secret[SECRET_N];
    struct wr w = wr_of(c->values[c->n], VALUE_MAX);

    for (int64_t number = now_s;; number++) {
        bool taken = false;

        snprintf(c->kid, sizeof(c->kid), "k%lld", (long long)number);
        for (size_t i = 0; i < conf->delivery.n_keys; i++)
            taken = taken || strcmp(conf->delivery.keys[i].kid, c->kid) == 0;
        if (!taken) break;
    }
    rng_bytes(secret, sizeof(secret));
    hex_write(&w, span(secret, sizeof(secret)));
    explicit_bzero(secret, sizeof(secret));
    wr_cstr(&w);
    add(c, SECTION, c->kid, c->values[c->n]);
}

static int run_rotate(struct session *s)
{
    const struct conf *conf = s->m->conf;
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct change *c;
    uint64_t overlap_s;
    int code;

    if (!span_u64(span_of(s->args[0]), 366u * 86400, &overlap_s)) return say(s, CTL_USAGE, "overlap");
    if (conf->n_nodes > 0)
        return say(
            s, CTL_FAILED, "the nodes of a cluster share their keys: put the new one into each one's file");
    c = NEW(struct change);
    for (size_t i = 0; i < conf->delivery.n_keys && i < SETS_MAX - 1; i++) {
        const struct conf_auth_key *k = &conf->delivery.keys[i];

        if (k->not_after_s > 0 && k->not_after_s + OVER_S < now_s)
            add(c, SECTION, k->kid, NULL);
        else if (k->not_after_s == 0)
            (void)end_key(c, k, now_s + (int64_t)MAX(overlap_s, 1u));
    }
    new_key(c, conf, now_s);
    code = apply(s, c);
    if (code == CTL_OK) span_copy(span_of(c->kid), s->text, sizeof(s->text));
    change_free(c);
    return code;
}

/* --- api signing remove ID --- */

static int run_remove(struct session *s)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    bool found = false, others = false;
    struct token_keys keys;
    struct change *c;
    int code;

    tokens_keys(s->m->conf, &keys);
    for (size_t i = 0; i < keys.n; i++) {
        bool is = strcmp(keys.v[i].kid, s->args[0]) == 0;

        found = found || is;
        others = others || (!is && is_good(&keys.v[i], now_s));
    }
    token_keys_done(&keys);
    if (!found) return say(s, CTL_NOT_FOUND, "there is no such key");
    if (!others) return say(s, CTL_FAILED, "this is the last key: make another one first");
    c = NEW(struct change);
    if (strcmp(s->args[0], "0") == 0)
        add(c, "server/stream", "auth-secret", NULL);
    else
        add(c, SECTION, s->args[0], NULL);
    code = apply(s, c);
    change_free(c);
    return code;
}

const struct command commands_keys[] = {
    {"api signing keys", 0, 0, run_list, row_list},
    {"api signing rotate", 1, 1, run_rotate, NULL},
    {"api signing remove", 1, 1, run_remove, NULL},
};
const size_t n_commands_keys = ARRAY_N(commands_keys);
