#include "master/layouts.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/wire/base64.h"
#include "common/wire/json.h"
#include "master/state_file.h"

#include <errno.h>

#define FILE_NAME                                                                                            \
    "layouts" /* in state-dir; a line: own or shared, seconds, owner, name, layout as base64url */
#define FILE_MAX (4u << 20)

/* --- one --- */

static bool name_ok(struct span s)
{
    if (s.n == 0 || s.n > LAYOUT_NAME_MAX) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '/') return false;
    return true;
}

static bool json_ok(struct span text)
{
    struct json j = json_of(text);
    struct json_item first, item;

    if (text.n > LAYOUT_JSON_MAX || !json_next(&j, &first) || first.type != JSON_OBJECT) return false;
    while (json_next(&j, &item)) continue;
    return !j.bad;
}

static bool is(const struct layout *v, const char *owner, bool shared, const char *name)
{
    return v->shared == shared && (shared || strcmp(v->owner, owner) == 0) && strcmp(v->name, name) == 0;
}

static void drop(struct layouts *l, size_t at)
{
    l->bytes -= strlen(l->v[at].json);
    mem_free(l->v[at].json);
    memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(*l->v));
    l->n--;
}

static void add(struct layouts *l, const struct layout *v, struct span json)
{
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n] = *v;
    l->v[l->n++].json = span_dup(json);
    l->bytes += json.n;
}

/* --- state-dir --- */

static void put_coded(struct buf *b, struct span s, const char *behind)
{
    size_t most = BASE64_N(s.n);
    uint8_t *room = buf_room(b, most);
    struct wr w = wr_of(room, room ? most : 0);

    base64url_write(&w, s);
    buf_added(b, wr_span(&w).n);
    buf_text(b, behind);
}

static void save(struct layouts *l)
{
    struct buf b;

    buf_init(&b, FILE_MAX);
    for (size_t i = 0; i < l->n; i++) {
        const struct layout *v = &l->v[i];

        buf_fmt(&b, "%s %lld ", v->shared ? "shared" : "own", (long long)v->at_s);
        put_coded(&b, span_of(v->owner), " ");
        put_coded(&b, span_of(v->name), " ");
        put_coded(&b, span_of(v->json), "\n");
    }
    state_file_write(l->file, buf_span(&b));
    buf_done(&b);
}

static bool take_coded(struct span piece, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap - 1);

    if (!base64_read(piece, &w) || memchr(dst, 0, w.n)) return false;
    dst[w.n] = '\0';
    return true;
}

static bool take_line(struct layouts *l, struct span line, char json[LAYOUT_JSON_MAX + 1])
{
    struct span kind, at, owner, name;
    struct layout v = {.json = NULL};

    if (!span_split(&line, ' ', &kind) || !span_split(&line, ' ', &at) || !span_split(&line, ' ', &owner) ||
        !span_split(&line, ' ', &name) || !span_i64(at, &v.at_s))
        return false;
    if (!take_coded(owner, v.owner, sizeof(v.owner)) || !take_coded(name, v.name, sizeof(v.name)) ||
        !take_coded(line, json, LAYOUT_JSON_MAX + 1))
        return false;
    v.shared = span_is(kind, "shared");
    if (!(v.shared || span_is(kind, "own")) || !name_ok(span_of(v.name)) || !json_ok(span_of(json)))
        return false;
    add(l, &v, span_of(json));
    return true;
}

int layouts_open(struct layouts *l, int state_dir)
{
    CLEANUP(mem_freep) char *json = mem_new(LAYOUT_JSON_MAX + 1);
    struct span rest, line;
    size_t n, bad = 0;
    uint8_t *p;
    int err;

    *l = (struct layouts){.file = state_file_new(state_dir, FILE_NAME)};
    if (!l->file) return -EMFILE;
    err = fd_read_file(state_dir, FILE_NAME, FILE_MAX, &p, &n);
    if (err == -ENOENT) return 0;
    if (err < 0) return err;
    rest = span(p, n);
    while (span_split(&rest, '\n', &line)) bad += line.n > 0 && !take_line(l, line, json);
    mem_free(p);
    if (bad > 0) log_warn("layouts-unread", "lines=%zu effect=\"they are left out\"", bad);
    return 0;
}

void layouts_close(struct layouts *l)
{
    state_file_free(l->file);
    while (l->n > 0) drop(l, l->n - 1);
    mem_free(l->v);
    *l = (struct layouts){.n = 0};
}

void layouts_check(struct layouts *l)
{
    int err = state_file_failed(l->file);

    if (err < 0) log_error("layouts-unwritten", "err=%s", log_q(span_of(err_text(err))));
}

/* --- all --- */

static size_t at_of(const struct layouts *l, const char *owner, bool shared, const char *name)
{
    size_t i = 0;

    while (i < l->n && !is(&l->v[i], owner, shared, name)) i++;
    return i;
}

const struct layout *layouts_find(const struct layouts *l, const char *owner, bool shared, const char *name)
{
    size_t at = at_of(l, owner, shared, name);

    return at < l->n ? &l->v[at] : NULL;
}

static size_t count(const struct layouts *l, const char *owner, bool shared)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += l->v[i].shared == shared && (shared || strcmp(l->v[i].owner, owner) == 0);
    return n;
}

const char *layouts_put(struct layouts *l, const struct layout *new, struct span json)
{
    size_t at = at_of(l, new->owner, new->shared, new->name), before = 0;

    if (!name_ok(span_of(new->name))) return "name";
    if (!json_ok(json) || (json.n > 0 && memchr(json.p, 0, json.n))) return "layout";
    if (at < l->n) before = strlen(l->v[at].json);
    if (l->bytes - before + json.n > LAYOUTS_BYTES_MAX) return "full";
    if (at == l->n &&
        count(l, new->owner, new->shared) == (new->shared ? LAYOUTS_SHARED_MAX : LAYOUTS_OWN_MAX))
        return "full";
    if (at < l->n) drop(l, at);
    add(l, new, json);
    save(l);
    return NULL;
}

bool layouts_remove(struct layouts *l, const char *owner, bool shared, const char *name)
{
    size_t at = at_of(l, owner, shared, name);

    if (at == l->n) return false;
    drop(l, at);
    save(l);
    return true;
}

void layouts_forget(struct layouts *l, const char *owner)
{
    size_t before = l->n;

    for (size_t i = l->n; i-- > 0;)
        if (!l->v[i].shared && strcmp(l->v[i].owner, owner) == 0) drop(l, i);
    if (l->n != before) save(l);
}
