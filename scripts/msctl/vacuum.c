#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/ask.h"
#include "scripts/msctl/local.h"
#include "scripts/msctl/progress.h"

/* What each storage says of itself; the sum is shown. */
struct vacuum {
    struct progress progress;
    struct map storages; /* name -> struct said */
};
struct said {
    uint64_t done, all;
};

static void show_sum(struct vacuum *v)
{
    struct said sum = {0, 0};
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&v->storages, &at, &slot)) {
        const struct said *s = slot.value;

        sum.done += s->done;
        sum.all += s->all;
    }
    progress_tell(&v->progress, sum.done, sum.all, PROGRESS_NONE);
}

static bool take(void *arg, const struct packed *rows)
{
    const struct packed *row = packed_at(rows, 0);
    struct vacuum *v = arg;
    struct said *s;
    struct span name;

    if (packed_n(rows) != 1 || !packed_get(row, "all")) return false;
    name = packed_str(row, "storage");
    s = map_get(&v->storages, name);
    if (!s) map_set(&v->storages, name, s = NEW(struct said));
    *s = (struct said){packed_u64(row, "done", 0), packed_u64(row, "all", 0)};
    show_sum(v);
    return true;
}

int local_vacuum(const struct local *l)
{
    char all[] = "", yes[] = "yes", no[] = "no", progress[] = "progress";
    char *args[] = {l->n_args > 0 ? l->args[0] : all, l->yes ? yes : no, progress};
    struct vacuum v = {.storages = {0}};
    int code;

    progress_begin(&v.progress, l->err, "vacuum");
    l->rows->take = take;
    l->rows->take_arg = &v;
    code = ask(l->socket, "archive vacuum", args, ARRAY_N(args), l->rows, l->text);
    l->rows->take = NULL;
    progress_clear(&v.progress);
    map_drop(&v.storages, mem_free);
    return code;
}
