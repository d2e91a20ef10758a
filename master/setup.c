#include "master/setup.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/crypto.h"
#include "master/edits.h"
#include "master/master.h"

#define GROUP      5 /* letters between two '-' */
#define VALUE_MAX  512
#define NAME_MAX_N 49 /* of a key of the file */

static bool has_account(const struct conf_module *m)
{
    for (size_t i = 0; i < CONF_ROLES; i++)
        if (m->users[i].login && m->users[i].login[0] != '\0') return true;
    return m->own.n > 0;
}

static void forget(struct setup *s)
{
    explicit_bzero(s, sizeof(*s));
}

/* Letters that nobody takes for another one; 5 bits each, 100 in all. */
static void make(struct setup *s, usec_t now_us)
{
    static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    uint8_t random[SETUP_TEXT];

    rng_bytes(random, sizeof(random));
    for (size_t i = 0; i < SETUP_TEXT - 1; i++)
        s->secret[i] = (char)(i % (GROUP + 1) == GROUP ? '-' : letters[random[i] % 32]);
    s->secret[SETUP_TEXT - 1] = '\0';
    s->until_us = now_us + SETUP_US;
    s->wrong = 0;
    explicit_bzero(random, sizeof(random));
}

void setup_offer(struct master *m)
{
    const struct conf_module *c = &m->conf->module;
    struct setup *s = &m->setup;
    usec_t now_us = clock_mono_us();

    if (has_account(c) || !(c->cpanel_enable || c->api_enable)) {
        forget(s);
        return;
    }
    if (s->secret[0] != '\0' && now_us < s->until_us) return;
    make(s, now_us);
    log_note("setup-secret",
        "secret=%s minutes=%d why=\"there is no account yet: by it the control panel makes the first one\"",
        s->secret, (int)(SETUP_US / US_PER_S / 60));
}

/* --- api setup NAME, behind CTL_BODY: a map of secret, and password as it is to be kept --- */

static int say(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.", c)))
            return false;
    }
    return n > 0 && n <= NAME_MAX_N && strcmp(name, ".") != 0;
}

static bool is_right(struct setup *s, struct span secret)
{
    if (crypto_equal(span_trim(secret), span_of(s->secret))) return true;
    if (++s->wrong < SETUP_WRONG_MAX) return false;
    log_warn("setup-secret-dead", "why=\"it was guessed at %d times\" effect=\"a reload makes another\"",
        SETUP_WRONG_MAX);
    forget(s);
    return false;
}

static int store(struct session *s, struct span password)
{
    char value[VALUE_MAX], by[CONTROL_BY_MAX];
    struct wr w = wr_of(value, sizeof(value));
    const struct conf_set set = {s->args[0], value, "server/module/accounts"};
    const struct stream_edit edit = {
        .kind = EDIT_SITE, .quiet = true, .uid = EDIT_SITE_UID, .set = &set, .n = 1};
    const struct edits_order order = {.v = &edit, .n = 1, .by = control_by(s, by), .why = "set-up"};
    struct conf_report report = {0};
    struct edits_result result;
    int code;

    wr_text(&w, "root:");
    wr_bytes(&w, password);
    wr_cstr(&w);
    code = edits_apply(s->m, &order, &report, &result); /* which makes the secret void: setup_offer */
    if (code != CTL_OK) span_copy(span_of(result.text), s->text, sizeof(s->text));
    edits_result_done(&result);
    conf_report_done(&report);
    explicit_bzero(value, sizeof(value));
    return code;
}

static int take(struct session *s, const struct packed *body)
{
    struct setup *x = &s->m->setup;
    struct span password = packed_str(body, "password");

    if (x->secret[0] == '\0' || clock_mono_us() >= x->until_us || has_account(&s->m->conf->module))
        return say(s, CTL_NOT_FOUND, "over");
    if (!is_right(x, packed_str(body, "secret"))) return say(s, CTL_USAGE, "secret");
    if (!name_ok(s->args[0])) return say(s, CTL_USAGE, "name");
    return password.n > 0 ? store(s, password) : say(s, CTL_USAGE, "password");
}

static int run_setup(struct session *s)
{
    struct unpack *u = NULL;
    int code = unpack_new(buf_span(&s->body), &u) == 0 ? take(s, unpack_root(u)) : CTL_USAGE;

    unpack_done(u);
    if (s->body.mem) explicit_bzero(s->body.mem, s->body.cap);
    return code;
}

const struct command commands_setup[] = {{"api setup", 1, 1, run_setup, NULL}};
const size_t n_commands_setup = ARRAY_N(commands_setup);
