/* Accounts of the site's own names: [[[accounts]]] beside the four of [[[users]]], and [[[cameras]]]: which
 * streams an account is for. */
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/load.h"
#include "common/conf/report.h"
#include "common/conf/value.h"
#include "common/wire/token.h"

#define LOGIN_BYTES_MAX   64
#define CAMERAS_TEXT_MAX  (TOKEN_STREAMS_MAX * (TOKEN_PATTERN_MAX + 2))
#define CAMERAS_KEYS_PATH "server/module/cameras"

static const struct conf_word roles[] = {{"root", CONF_ROLE_ROOT}, {"admin", CONF_ROLE_ADMIN},
    {"user", CONF_ROLE_USER}, {"guest", CONF_ROLE_GUEST}, {NULL, 0}};

const char *conf_role_word(enum conf_role r)
{
    return roles[r].word;
}

static bool role_of(const char *word, enum conf_role *ret)
{
    for (const struct conf_word *w = roles; w->word; w++)
        if (strcmp(w->word, word) == 0) {
            *ret = (enum conf_role)w->value;
            return true;
        }
    return false;
}

void load_accounts(struct load *l, const struct source *s, const struct source_section *sec)
{
    /* "role:password" is read as "login:password" is. */
    const struct conf_row *row = conf_row_find(SCOPE_CONF, "server/module/users", "root");
    struct conf_module *m = &l->c->module;

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];
        struct value_from from = {item->value, item->quoted, item->torn, l->c->dir};
        struct conf_account a = {0};
        struct conf_user read = {0};
        struct value_why why = {""};

        if (strlen(item->key) > LOGIN_BYTES_MAX)
            load_mistake(
                l, s, item->line, sec->path, item->key, "a login has at most %d bytes", LOGIN_BYTES_MAX);
        else if (m->own.n == LOAD_ACCOUNTS_MAX)
            load_mistake(
                l, s, item->line, sec->path, item->key, "there are more than %d accounts", LOAD_ACCOUNTS_MAX);
        else if (!value_parse(row, &from, &read, &why) || !role_of(read.login, &a.role))
            load_mistake(l, s, item->line, sec->path, item->key,
                "is not role:password, the role root, admin, user or guest");
        else {
            a.login = mem_strdup(item->key);
            a.line = item->line;
            a.password = secret_of(secret_reveal(&read.password));
            m->own.v = mem_renew(m->own.v, (m->own.n + 1) * sizeof(*m->own.v));
            m->own.v[m->own.n++] = a;
        }
        value_done(row, &read);
    }
}

/* "cam-*,yard", as messages carry it. false: one is no pattern, or there are too many. */
static bool patterns(struct span text, char dst[CAMERAS_TEXT_MAX])
{
    struct wr w = wr_of(dst, CAMERAS_TEXT_MAX);
    struct span one;
    size_t n = 0;

    while (span_split(&text, ',', &one)) {
        one = span_trim(one);
        if (one.n == 0) continue;
        if (!token_pattern_ok(one) || n == TOKEN_STREAMS_MAX) return false;
        wr_fmt(&w, "%s%.*s", n++ > 0 ? "," : "", SPAN_FMT(one));
    }
    return n > 0 && wr_cstr(&w)[0] != '\0';
}

void load_cameras(struct load *l, const struct source *s, const struct source_section *sec)
{
    struct conf_module *m = &l->c->module;
    char text[CAMERAS_TEXT_MAX];

    for (size_t i = 0; i < sec->n; i++) {
        const struct source_item *item = &sec->items[i];

        if (item->torn || !patterns(item->value, text)) {
            load_mistake(l, s, item->line, sec->path, item->key,
                "is not a list of 1 to %d streams, each a uid or a beginning and '*'", TOKEN_STREAMS_MAX);
        } else if (m->own.n_cameras == LOAD_ACCOUNTS_MAX + CONF_ROLES) {
            load_mistake(l, s, item->line, sec->path, item->key, "there are more lists than accounts");
        } else {
            m->own.cameras = mem_renew(m->own.cameras, (m->own.n_cameras + 1) * sizeof(*m->own.cameras));
            m->own.cameras[m->own.n_cameras++] =
                (struct conf_cameras){mem_strdup(item->key), mem_strdup(text), item->line};
        }
    }
}

const char *conf_cameras_of(const struct conf_accounts *a, const char *login)
{
    for (size_t i = 0; i < a->n_cameras; i++)
        if (strcmp(a->cameras[i].login, login) == 0) return a->cameras[i].text;
    return "";
}

static size_t count_of(const struct conf_module *m, const char *login)
{
    size_t n = 0;

    for (size_t i = 0; i < CONF_ROLES; i++) n += m->users[i].login && strcmp(m->users[i].login, login) == 0;
    for (size_t i = 0; i < m->own.n; i++) n += strcmp(m->own.v[i].login, login) == 0;
    return n;
}

/* A list under a name that nobody has would leave its account open to every camera. */
void derive_accounts(struct load *l)
{
    const struct conf_module *m = &l->c->module;

    for (size_t i = 0; i < m->own.n; i++)
        if (count_of(m, m->own.v[i].login) > 1)
            report_add(l->r, CONF_MISTAKE, l->c->file, m->own.v[i].line, "server/module/accounts",
                "the login %s is given more than once", m->own.v[i].login);
    for (size_t i = 0; i < m->own.n_cameras; i++) {
        if (count_of(m, m->own.cameras[i].login) == 0)
            report_add(l->r, CONF_MISTAKE, l->c->file, m->own.cameras[i].line, CAMERAS_KEYS_PATH,
                "there is no account %s", m->own.cameras[i].login);
        for (size_t k = 0; k < i; k++)
            if (strcmp(m->own.cameras[i].login, m->own.cameras[k].login) == 0)
                report_add(l->r, CONF_MISTAKE, l->c->file, m->own.cameras[i].line, CAMERAS_KEYS_PATH,
                    "the list of %s is given before", m->own.cameras[i].login);
    }
}

void conf_accounts_done(struct conf_module *m)
{
    for (size_t i = 0; i < m->own.n; i++) {
        mem_free(m->own.v[i].login);
        secret_done(&m->own.v[i].password);
    }
    for (size_t i = 0; i < m->own.n_cameras; i++) {
        mem_free(m->own.cameras[i].login);
        mem_free(m->own.cameras[i].text);
    }
    mem_free(m->own.v);
    mem_free(m->own.cameras);
}

void hash_accounts(const struct conf *c, uint64_t *h)
{
    for (size_t i = 0; i < c->module.own.n; i++) {
        const struct conf_account *a = &c->module.own.v[i];

        value_hash_bytes(h, span_of(a->login));
        value_hash_bytes(h, secret_reveal(&a->password));
        value_hash_bytes(h, span(&a->role, sizeof(a->role)));
    }
    for (size_t i = 0; i < c->module.own.n_cameras; i++) {
        value_hash_bytes(h, span_of(c->module.own.cameras[i].login));
        value_hash_bytes(h, span_of(c->module.own.cameras[i].text));
    }
}
