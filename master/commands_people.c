/* Accounts, as the API changes them: the commands "api account..." of common/ipc/ctl.h. They stand in
 * [[[users]]], [[[accounts]]] and [[[cameras]]] of media-server.ini. Who may is httpd's to say
 * (httpd/people_calls.h). */
#include "common/base/mem.h"
#include "common/wire/scrypt.h"
#include "master/edits.h"
#include "master/master.h"

#define USERS     "server/module/users"
#define ACCOUNTS  "server/module/accounts"
#define CAMERAS   "server/module/cameras"
#define VALUE_MAX 1024
#define SETS_MAX  4

/* An account of either kind. */
struct found {
    const char *name;
    enum conf_role role;
    const struct secret *password;
    bool of_role; /* of [[[users]]] */
};

static size_t accounts_n(const struct conf_module *m)
{
    return CONF_ROLES + m->own.n;
}

/* false: this role has none. */
static bool account_at(const struct conf_module *m, size_t i, struct found *ret)
{
    if (i >= CONF_ROLES) {
        const struct conf_account *a = &m->own.v[i - CONF_ROLES];

        *ret = (struct found){a->login, a->role, &a->password, false};
        return true;
    }
    *ret = (struct found){m->users[i].login, (enum conf_role)i, &m->users[i].password, true};
    return ret->name && ret->name[0] != '\0';
}

static bool account_named(const struct conf_module *m, const char *name, struct found *ret)
{
    for (size_t i = 0; i < accounts_n(m); i++)
        if (account_at(m, i, ret) && strcmp(ret->name, name) == 0) return true;
    return false;
}

/* One who may do everything, everywhere. */
static bool is_root(const struct conf_module *m, const struct found *a)
{
    return a->role == CONF_ROLE_ROOT && conf_cameras_of(&m->own, a->name)[0] == '\0';
}

static bool others_are_root(const struct conf_module *m, const char *name)
{
    struct found a;

    for (size_t i = 0; i < accounts_n(m); i++)
        if (account_at(m, i, &a) && is_root(m, &a) && strcmp(a.name, name) != 0) return true;
    return false;
}

static int refuse(struct session *s, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct session *s, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->text, sizeof(s->text), fmt, ap);
    va_end(ap);
    return code;
}

/* --- api accounts --- */

static int run_list(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static bool row_list(struct session *s, struct packer *p)
{
    const struct conf_module *m = &s->m->conf->module;
    struct found a;

    while (s->at < accounts_n(m))
        if (account_at(m, s->at++, &a)) {
            pack_map(p, 4);
            pack_kv_text(p, "name", a.name);
            pack_kv_text(p, "role", conf_role_word(a.role));
            pack_kv_text(p, "cameras", conf_cameras_of(&m->own, a.name));
            pack_kv_text(p, "kept", scrypt_is(secret_reveal(a.password)) ? "scrypt" : "plain");
            return true;
        }
    return false;
}

/* --- what is written --- */

struct change {
    struct conf_set sets[SETS_MAX];
    size_t n;
    char value[VALUE_MAX], cameras[VALUE_MAX * 2];
};

static void add(struct change *c, const char *section, const char *key, const char *value)
{
    c->sets[c->n++] = (struct conf_set){key, value, section};
}

/* What cannot stand in the file is found by reading it as a configuration. */
static int apply(struct session *s, const struct change *c, const char *why)
{
    struct stream_edit edit = {
        .kind = EDIT_SITE, .uid = EDIT_SITE_UID, .set = c->sets, .n = c->n, .quiet = true};
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {.v = &edit, .n = 1, .by = control_by(s, by), .why = why};
    struct conf_report report = {0};
    struct edits_result result;
    int code = edits_apply(s->m, &order, &report, &result);

    if (code != CTL_OK) span_copy(span_of(result.text), s->text, sizeof(s->text));
    edits_result_done(&result);
    conf_report_done(&report);
    return code;
}

/* As [[[cameras]]] has it: with a blank behind each comma. */
static const char *cameras_text(struct span list, struct change *c)
{
    struct wr w = wr_of(c->cameras, sizeof(c->cameras));
    struct span one;
    size_t n = 0;

    while (span_split(&list, ',', &one)) wr_fmt(&w, "%s%.*s", n++ > 0 ? ", " : "", SPAN_FMT(one));
    return wr_cstr(&w);
}

static void account_value(struct change *c, const char *before, struct span password)
{
    struct wr w = wr_of(c->value, sizeof(c->value));

    wr_fmt(&w, "%s:", before);
    wr_bytes(&w, password);
    wr_cstr(&w);
}

/* --- api account set NAME [WORD...] --- */

static bool role_of(struct span word, enum conf_role *ret)
{
    for (unsigned r = 0; r < CONF_ROLES; r++)
        if (span_is(word, conf_role_word((enum conf_role)r))) {
            *ret = (enum conf_role)r;
            return true;
        }
    return false;
}

/* The place in the file that it has, or gets: one of [[[users]]] keeps it as long as its role stays. */
static void place(
    struct change *c, const struct found *before, const char *name, enum conf_role role, struct span password)
{
    if (before && before->of_role && before->role == role) {
        account_value(c, name, password);
        add(c, USERS, conf_role_word(role), c->value);
        return;
    }
    if (before && before->of_role) add(c, USERS, conf_role_word(before->role), NULL);
    account_value(c, conf_role_word(role), password);
    add(c, ACCOUNTS, name, c->value);
}

/* cameras.p NULL: they stay. */
static int change_account(struct session *s, const struct packed *body)
{
    const struct conf_module *m = &s->m->conf->module;
    struct span role_word = packed_str(body, "role"), cameras = packed_str(body, "cameras"),
                password = packed_str(body, "password");
    struct found old, *before = account_named(m, s->args[0], &old) ? &old : NULL;
    CLEANUP(mem_freep) struct change *c = NEW(struct change);
    enum conf_role role = before ? before->role : CONF_ROLE_GUEST;
    bool everywhere = cameras.p ? cameras.n == 0 : conf_cameras_of(&m->own, s->args[0])[0] == '\0';
    int code;

    if (role_word.p && !role_of(role_word, &role))
        return refuse(s, CTL_USAGE, "role: root, admin, user or guest");
    if (!before && !(role_word.p && password.n > 0))
        return refuse(s, CTL_NOT_FOUND, "no such account: a new one needs a role and a password");
    if (before && is_root(m, before) && !(role == CONF_ROLE_ROOT && everywhere) &&
        !others_are_root(m, s->args[0]))
        return refuse(s, CTL_FAILED, "this is the last root account");
    if (role_word.p || password.n > 0)
        place(c, before, s->args[0], role, password.n > 0 ? password : secret_reveal(before->password));
    if (cameras.p) add(c, CAMERAS, s->args[0], cameras.n > 0 ? cameras_text(cameras, c) : NULL);
    code = apply(s, c, "account");
    explicit_bzero(c, sizeof(*c));
    if (code == CTL_OK && !before) span_copy(SPAN_LIT("created"), s->text, sizeof(s->text));
    return code;
}

static int run_set(struct session *s)
{
    struct unpack *u = NULL;
    int code = unpack_new(buf_span(&s->body), &u) == 0 ? change_account(s, unpack_root(u))
                                                       : refuse(s, CTL_USAGE, "the account cannot be read");

    unpack_done(u);
    if (s->body.mem) explicit_bzero(s->body.mem, s->body.cap);
    return code;
}

/* --- api account remove NAME --- */

static int run_remove(struct session *s)
{
    const struct conf_module *m = &s->m->conf->module;
    struct change c = {.n = 0};
    struct found a;
    int code;

    if (!account_named(m, s->args[0], &a)) return refuse(s, CTL_NOT_FOUND, "no such account");
    if (is_root(m, &a) && !others_are_root(m, a.name))
        return refuse(s, CTL_FAILED, "this is the last root account");
    add(&c, a.of_role ? USERS : ACCOUNTS, a.of_role ? conf_role_word(a.role) : a.name, NULL);
    add(&c, CAMERAS, s->args[0], NULL);
    code = apply(s, &c, "account");
    if (code == CTL_OK) layouts_forget(&s->m->layouts, s->args[0]);
    return code;
}

const struct command commands_people[] = {
    {"api accounts", 0, 0, run_list, row_list},
    {"api account set", 1, 4, run_set, NULL},
    {"api account remove", 1, 1, run_remove, NULL},
};
const size_t n_commands_people = ARRAY_N(commands_people);
