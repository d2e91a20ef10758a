#include "courier/shelves.h"
#include "common/base/mem.h"

void shelves_init(
    struct shelves *s, struct loop *l, void (*on_suspect)(void *arg, const char *name), void *arg)
{
    *s = (struct shelves){.loop = l, .on_suspect = on_suspect, .arg = arg};
}

struct shelf *shelf_ref(struct shelf *s)
{
    s->refs++;
    return s;
}

/* Behind the last one there is no read: its thread is idle. */
void shelf_unref(struct shelf *s)
{
    if (!s || --s->refs > 0) return;
    pool_free(s->pool);
    index_close(s->ix);
    mem_free(s);
}

static size_t at_of(const struct shelves *s, struct span name)
{
    size_t i = 0;

    while (i < s->n && !span_is(name, s->v[i]->name)) i++;
    return i;
}

struct shelf *shelves_find(const struct shelves *s, struct span name)
{
    size_t i = at_of(s, name);

    return i < s->n ? s->v[i] : NULL;
}

static void take_out(struct shelves *s, size_t i)
{
    struct shelf *old = s->v[i];

    s->v[i] = s->v[--s->n];
    shelf_unref(old);
}

void shelves_done(struct shelves *s)
{
    while (s->n > 0) take_out(s, 0);
}

void shelves_storage(struct shelves *s, const struct packed *body)
{
    struct span name = packed_str(body, "name"), path = packed_str(body, "path");
    struct shelf *one = shelves_find(s, name);

    if (one && span_is(path, one->path)) return;
    if (one) take_out(s, at_of(s, name));
    if (s->n == SHELVES_MAX || name.n >= SHELF_NAME_MAX || path.n >= SHELF_PATH_MAX) return;
    one = NEW(struct shelf);
    one->all = s;
    one->refs = 1;
    span_copy(name, one->name, sizeof(one->name));
    span_copy(path, one->path, sizeof(one->path));
    one->pool = pool_new(1, SHELF_QUEUE_MAX);
    s->v[s->n++] = one;
}

void shelves_gone(struct shelves *s, const struct packed *body)
{
    size_t i = at_of(s, packed_str(body, "name"));

    if (i < s->n) take_out(s, i);
}

void shelves_index(struct shelves *s, const struct packed *body)
{
    struct shelf *one = shelves_find(s, packed_str(body, "name"));

    if (!one || !span_copy(packed_str(body, "path"), one->index_dir, sizeof(one->index_dir))) return;
    one->index_said++;
}

/* --- reads --- */

static struct index *open_index(struct shelf_read *r)
{
    struct shelf *s = r->shelf;

    if (r->said == 0) return NULL;
    if (s->ix_said < r->said) {
        index_close(s->ix);
        s->ix = NULL;
        s->ix_said = r->said;
        s->broken = false;
        if (index_open_ro(r->dir, &s->ix) != INDEX_OK) s->ix = NULL;
    }
    return s->ix;
}

static void work(struct job *j)
{
    struct shelf_read *r = CONTAINER(j, struct shelf_read, job);
    struct index *ix = open_index(r);

    r->work(r, ix);
    r->broken = ix && !r->shelf->broken && index_broken(ix);
    r->shelf->broken |= r->broken;
}

static void done(struct job *j)
{
    struct shelf_read *r = CONTAINER(j, struct shelf_read, job);
    struct shelf *s = r->shelf;

    if (r->broken) s->all->on_suspect(s->all->arg, s->name);
    r->done(r);
    shelf_unref(s);
}

bool shelf_read(struct shelf *s, struct shelf_read *r)
{
    r->job = (struct job){.work = work, .done = done, .loop = s->all->loop};
    r->shelf = s;
    r->said = s->index_said;
    r->broken = false;
    memcpy(r->dir, s->index_dir, sizeof(r->dir));
    if (!pool_put(s->pool, &r->job)) return false;
    (void)shelf_ref(s);
    return true;
}
