#include "scripts/msctl/local.h"
#include "archive/check.h"
#include "archive/rebuild.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/idle.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/ask.h"
#include "scripts/msctl/place.h"
#include "scripts/msctl/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REBUILD_FOLDER "rebuild"
#define DIFFS_MAX      100000 /* that are mended; the next run finds the others */

/* A storage that is looked at. */
struct look {
    const struct local *l;
    struct place at;
    struct progress progress;
    bool first; /* of a JSON array: nothing has been printed yet */
    uint64_t faults;
    /* rebuild: what is to be mended */
    struct diff {
        char uid[40];
        uint64_t id;
        bool sum;
    } * diffs;
    size_t n_diffs;
    size_t n_copied; /* events and locks: not as their copies, */
    bool recopy;     /* or without one */
};

/* --- one line, or one object, for each thing that is found --- */

static void print_text(FILE *out, const char *s)
{
    for (; *s; s++) fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

static void object_begin(struct look *p)
{
    fputs(p->first ? "[{" : ",\n {", p->l->out);
    p->first = false;
}

static void object_text(struct look *p, const char *key, const char *value, const char *behind)
{
    fprintf(p->l->out, "\"%s\": ", key);
    show_json_text(span_of(value), p->l->out);
    fputs(behind, p->l->out);
}

static void on_fault(void *arg, enum check_fault f, const struct seg_info *info, uint64_t bytes, int err)
{
    struct look *p = arg;
    unsigned long long is = bytes, was = info->bytes;
    FILE *out = p->l->out;

    p->faults++;
    progress_clear(&p->progress);
    if (p->l->json) {
        object_begin(p);
        object_text(p, "storage", p->at.name, ", ");
        object_text(p, "uid", info->uid, ", ");
        object_text(p, "path", info->path, ", ");
        object_text(p, "fault", check_fault_name(f), ", ");
        fprintf(out, "\"bytes\": %llu, \"expected\": %llu, \"errno\": %d}", is, was, err);
        return;
    }
    fprintf(out, "%-8s %s ", check_fault_name(f), p->at.name);
    print_text(out, info->uid);
    fprintf(out, "/records/%s", info->path);
    if (f == CHECK_SIZE) fprintf(out, ": %llu bytes instead of %llu", is, was);
    if (f == CHECK_UNREAD) fprintf(out, ": %s", err_text(-err));
    fputc('\n', out);
}

static void on_checked(void *arg, uint64_t done, uint64_t all)
{
    struct look *p = arg;

    progress_tell(&p->progress, done, all, p->faults);
}

static int check_place(struct look *p)
{
    struct check c = {.storage = &p->at.storage,
        .ix = p->at.ix,
        .sum = p->l->sum,
        .found = on_fault,
        .alive = on_checked,
        .arg = p};
    int err;

    progress_begin(&p->progress, p->l->err, p->at.name);
    err = check_run(&c);
    progress_clear(&p->progress);
    if (err) (void)place_fail(&p->at, p->l->err, "its index cannot be read to its end", err);
    if (!p->l->json)
        fprintf(p->l->out, "%s: %llu segments checked, %llu not as they should be\n", p->at.name,
            (unsigned long long)c.done, (unsigned long long)c.faults);
    return err || c.faults ? CTL_FAILED : CTL_OK;
}

/* --- rebuild --- */

static void on_diff(void *arg, enum rebuild_fault f, const char *uid, uint64_t id)
{
    struct look *p = arg;
    bool segment = rebuild_fault_of_segment(f);
    char path[SEG_PATH_MAX] = "";

    p->faults++;
    progress_clear(&p->progress);
    if (id && segment) seg_path_of(id, path);
    if (p->l->json) {
        object_begin(p);
        object_text(p, "storage", p->at.name, ", ");
        object_text(p, "uid", uid, ", ");
        object_text(p, "path", path, ", ");
        if (id && !segment) fprintf(p->l->out, "\"id\": %llu, ", (unsigned long long)id);
        object_text(p, "fault", rebuild_fault_name(f), "}");
    } else {
        fprintf(p->l->out, "%s: %s ", rebuild_fault_name(f), p->at.name);
        print_text(p->l->out, uid);
        if (id && !segment) fprintf(p->l->out, " %llu", (unsigned long long)id);
        fprintf(p->l->out, "%s%s\n", path[0] ? "/records/" : "", path);
    }
    p->n_copied += id && !segment;
    p->recopy |= f == REBUILD_UNCOPIED;
    if ((id && !segment) || p->n_diffs == DIFFS_MAX) return;
    if ((p->n_diffs & (p->n_diffs - 1)) == 0)
        p->diffs = mem_renew(p->diffs, MAX(p->n_diffs * 2, 16) * sizeof(*p->diffs));
    span_copy(span_of(uid), p->diffs[p->n_diffs].uid, sizeof(p->diffs[0].uid));
    p->diffs[p->n_diffs].sum = f == REBUILD_SUM;
    p->diffs[p->n_diffs++].id = id;
}

static int say(struct look *p, const char *cmd, char **args, size_t n)
{
    struct show rows = {0};
    char text[512];
    int code = ask(p->l->socket, cmd, args, n, &rows, text);

    show_done(&rows);
    if (code != CTL_OK) fprintf(p->l->err, "msctl: %s: %s\n", n > 1 ? args[1] : p->at.name, text);
    return code;
}

/* The keeper writes the record anew from the file, or takes it out. */
static int mend(struct look *p, const struct diff *d)
{
    char id[20], uid[40], sum[] = "sum";
    char *args[] = {p->at.name, uid, id, sum};

    snprintf(id, sizeof(id), "%llx", (unsigned long long)d->id);
    snprintf(uid, sizeof(uid), "%s", d->uid);
    return say(p, "archive reread", args, d->sum ? 4 : 3);
}

static int restore(struct look *p)
{
    char copies[] = "copies";
    char *args[] = {p->at.name, copies};

    return p->n_copied > 0 ? say(p, "archive restore", args, p->recopy ? 2 : 1) : CTL_OK;
}

static int mend_all(struct look *p)
{
    int code = CTL_OK;

    if (p->l->verify || !p->l->socket || p->faults == 0) return p->faults ? CTL_FAILED : CTL_OK;
    progress_begin(&p->progress, p->l->err, "mended");
    for (size_t i = 0; i < p->n_diffs && code == CTL_OK; i++) {
        code = mend(p, &p->diffs[i]);
        progress_tell(&p->progress, i + 1, p->n_diffs, p->n_diffs);
    }
    if (code == CTL_OK) code = restore(p);
    progress_clear(&p->progress);
    if (code == CTL_OK && !p->l->json)
        fprintf(
            p->l->out, "%s: %zu differences mended from the files\n", p->at.name, p->n_diffs + p->n_copied);
    return code;
}

static void remove_made(const char *dir)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", INDEX_CRASHED};
    char path[2 * PLACE_PATH_MAX];

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static int rebuild_place(struct look *p)
{
    char dir[PLACE_PATH_MAX + 16];
    struct rebuild r = {.storage = &p->at.storage,
        .ix = p->at.ix,
        .dir = dir,
        .sum = p->l->sum,
        .found = on_diff,
        .alive = on_checked,
        .arg = p};
    int err;

    snprintf(dir, sizeof(dir), "%s/" REBUILD_FOLDER, p->at.index);
    remove_made(dir); /* of one that was interrupted */
    if (mkdir(dir, 0700) < 0) return place_fail(&p->at, p->l->err, dir, -errno);
    progress_begin(&p->progress, p->l->err, p->at.name);
    err = rebuild_run(&r);
    progress_clear(&p->progress);
    remove_made(dir);
    if (err < 0 || index_broken(p->at.ix)) return place_fail(&p->at, p->l->err, "not to its end", err);
    if (err) (void)place_fail(&p->at, p->l->err, "some of its index cannot be read", err);
    if (!p->l->json)
        fprintf(p->l->out, "%s: %llu segments, %s\n", p->at.name, (unsigned long long)r.segments,
            r.faults ? "the index differs from what its files say" : "the index is what its files say");
    return err && !r.faults ? CTL_FAILED : mend_all(p);
}

/* --- which storages --- */

static int each_place(struct look *p, const struct local *l, int (*fn)(struct look *p), bool *first)
{
    int code;

    p->l = l;
    p->first = *first;
    code = place_open(&p->at, l->err);
    if (code == CTL_OK) code = fn(p);
    *first = p->first;
    progress_clear(&p->progress);
    place_close(&p->at);
    mem_free(p->diffs);
    return code;
}

static int one_place(const struct local *l, int (*fn)(struct look *p), bool *first)
{
    struct look *p = NEW(struct look);
    int code;

    place_at(l->path, l->index, &p->at);
    code = each_place(p, l, fn, first);
    mem_free(p);
    return code;
}

static int ask_places(const struct local *l, int (*fn)(struct look *p), bool *first)
{
    struct show rows = {0};
    char text[512];
    int code = ask(l->socket, "storage list", NULL, 0, &rows, text), worst = CTL_OK;
    const char *storage = l->n_args > 0 ? l->args[0] : NULL;
    bool some = false;

    if (code != CTL_OK) fprintf(l->err, "msctl: %s\n", text);
    for (size_t i = 0; code == CTL_OK && i < rows.n; i++) {
        struct look *p = NEW(struct look);

        if (place_of(rows.rows[i], &p->at) && (!storage || strcmp(storage, p->at.name) == 0)) {
            int found = each_place(p, l, fn, first);

            some = true;
            worst = MAX(worst, found);
        }
        mem_free(p);
    }
    show_done(&rows);
    if (code == CTL_OK && storage && !some) {
        fprintf(l->err, "msctl: no such storage: %s\n", storage);
        return CTL_NOT_FOUND;
    }
    return code == CTL_OK ? worst : code;
}

static int run(const struct local *l, int (*fn)(struct look *p))
{
    bool first = true;
    int code;

    idle_become();
    code = l->path ? one_place(l, fn, &first) : ask_places(l, fn, &first);
    if (l->json) fputs(first ? "[]\n" : "]\n", l->out);
    return code;
}

int local_check(const struct local *l)
{
    return run(l, check_place);
}

int local_rebuild(const struct local *l)
{
    return run(l, rebuild_place);
}
