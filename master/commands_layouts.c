/* Layouts of walls, for the API: the commands "api layout..." of common/ipc/ctl.h. Own ones are those of
 * whoever asks; shared ones are put and taken away by root and admin. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/layouts.h"
#include "master/master.h"

#define PIECE 4096 /* bytes of a layout in a row */

static int say(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

/* KIND NAME of the words; NULL: they are none. */
static const char *take_words(struct session *s, bool *ret_shared)
{
    *ret_shared = strcmp(s->args[0], "shared") == 0;
    return *ret_shared || strcmp(s->args[0], "own") == 0 ? s->args[1] : NULL;
}

static bool may_share(const struct session *s)
{
    return strcmp(s->audit.role, "root") == 0 || strcmp(s->audit.role, "admin") == 0;
}

/* --- api layouts --- */

static int run_list(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static void pack_head(struct packer *p, const struct layout *v)
{
    pack_map(p, 4);
    pack_kv_text(p, "name", v->name);
    pack_kv_bool(p, "shared", v->shared);
    pack_kv_text(p, "by", v->owner);
    pack_kv_i64(p, "at", v->at_s);
}

static bool row_list(struct session *s, struct packer *p)
{
    const struct layouts *l = &s->m->layouts;

    while (s->at < l->n) {
        const struct layout *v = &l->v[s->at++];

        if (!v->shared && strcmp(v->owner, s->audit.who) != 0) continue;
        pack_head(p, v);
        return true;
    }
    return false;
}

/* --- api layout get KIND NAME: its head, then the layout in pieces --- */

struct shown {
    struct layout head;
    char *json;
    size_t n;
};

static void shown_free(void *p)
{
    struct shown *x = p;

    mem_free(x->json);
    mem_free(x);
}

static int run_get(struct session *s)
{
    bool shared;
    const char *name = take_words(s, &shared);
    const struct layout *v = name ? layouts_find(&s->m->layouts, s->audit.who, shared, name) : NULL;
    struct shown *x;

    if (!v) return say(s, CTL_NOT_FOUND, "there is no such layout");
    s->data = x = NEW(struct shown);
    s->data_free = shown_free;
    *x = (struct shown){*v, mem_strdup(v->json), strlen(v->json)};
    return CTL_OK;
}

static bool row_get(struct session *s, struct packer *p)
{
    const struct shown *x = s->data;
    size_t from = s->at > 0 ? (s->at - 1) * PIECE : 0;

    if (!x || (s->at > 0 && from >= x->n)) return false;
    if (s->at++ == 0) {
        pack_head(p, &x->head);
        return true;
    }
    pack_map(p, 1);
    pack_kv_str(p, "piece", span(x->json + from, MIN(x->n - from, PIECE)));
    return true;
}

/* --- api layout put KIND NAME, behind CTL_BODY: the JSON; api layout remove KIND NAME --- */

static int run_put(struct session *s)
{
    struct layout v = {.at_s = clock_wall_us() / US_PER_S};
    const char *name = take_words(s, &v.shared), *wrong = "name";
    struct unpack *u = NULL;

    if (v.shared && !may_share(s)) return say(s, CTL_USAGE, "role");
    span_copy(span_of(s->audit.who), v.owner, sizeof(v.owner));
    if (name && span_copy(span_of(name), v.name, sizeof(v.name)))
        wrong = unpack_new(buf_span(&s->body), &u) == 0
            ? layouts_put(&s->m->layouts, &v, packed_as_str(unpack_root(u)))
            : "layout";
    unpack_done(u);
    return wrong ? say(s, CTL_USAGE, wrong) : CTL_OK;
}

static int run_remove(struct session *s)
{
    bool shared;
    const char *name = take_words(s, &shared);

    if (shared && !may_share(s)) return say(s, CTL_USAGE, "role");
    if (!name || !layouts_remove(&s->m->layouts, s->audit.who, shared, name))
        return say(s, CTL_NOT_FOUND, "there is no such layout");
    return CTL_OK;
}

const struct command commands_layouts[] = {
    {"api layouts", 0, 0, run_list, row_list},
    {"api layout get", 2, 2, run_get, row_get},
    {"api layout put", 2, 2, run_put, NULL},
    {"api layout remove", 2, 2, run_remove, NULL},
};
const size_t n_commands_layouts = ARRAY_N(commands_layouts);
