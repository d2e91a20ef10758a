#include "scripts/msctl/place.h"
#include "common/base/err.h"
#include "common/ipc/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define INDEX_FOLDER ".index"

static void settle(struct place *p)
{
    p->ix = NULL;
    storage_init(&p->storage, p->path, (struct retention_floor){0});
}

bool place_of(const struct packed *row, struct place *ret)
{
    bool ok = packed_text(row, "name", ret->name, sizeof(ret->name)) &&
        packed_text(row, "path", ret->path, sizeof(ret->path));

    if (!packed_text(row, "index", ret->index, sizeof(ret->index))) ret->index[0] = 0;
    settle(ret);
    return ok;
}

void place_at(const char *path, const char *index, struct place *ret)
{
    snprintf(ret->name, sizeof(ret->name), "%s", path);
    snprintf(ret->path, sizeof(ret->path), "%s", path);
    if (index)
        snprintf(ret->index, sizeof(ret->index), "%s", index);
    else
        snprintf(ret->index, sizeof(ret->index), "%.4000s/" INDEX_FOLDER, path);
    settle(ret);
}

int place_fail(const struct place *p, FILE *to, const char *what, int err)
{
    fprintf(to, "msctl: %s: %s: %s\n", p->name, what, err < 0 ? err_text(err) : "damaged");
    return CTL_FAILED;
}

int place_open(struct place *p, FILE *to)
{
    char lock[PLACE_PATH_MAX + 16];
    int err;

    if (!p->index[0]) {
        fprintf(to, "msctl: %s: its index is not open\n", p->name);
        return CTL_FAILED;
    }
    p->storage.fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->storage.fd < 0) return place_fail(p, to, p->path, -errno);
    snprintf(lock, sizeof(lock), "%s/lock.mdb", p->index);
    err = access(lock, F_OK) < 0 ? -errno : index_open_ro(p->index, &p->ix);
    return err ? place_fail(p, to, p->index, err) : CTL_OK;
}

void place_close(struct place *p)
{
    index_close(p->ix);
    p->ix = NULL;
    storage_close(&p->storage);
}
