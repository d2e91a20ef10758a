#include "scripts/msctl/plan.h"
#include "archive/lock_file.h"
#include "archive/plan.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/idle.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/ipc/ctl.h"
#include "scripts/msctl/ask.h"
#include "scripts/msctl/place.h"

#include <errno.h>
#include <sys/statvfs.h>

#define ROW_MAX 4096
#define PAGE    64 /* locks read at once */

struct planning {
    const struct local *l;
    const struct conf *conf;
    struct map policies; /* uid -> struct keep_policy */
    struct locks locks;  /* of all storages: one that does not stand on all holds everywhere */
    struct place *places;
    struct known {
        uint64_t rate;   /* bytes a second */
        usec_t ahead_us; /* of the wall clock, that ages are not counted by (archive/age_clock.h) */
    } * known;           /* of each, by its keeper */
    size_t n;
    struct buf *row; /* that is being made */
    struct packer packer;
    struct show *rows;
};

static int fail(const struct planning *p, const char *what, const char *why)
{
    fprintf(p->l->err, "msctl: %s: %s\n", what, why);
    return CTL_FAILED;
}

/* --- what the configuration says --- */

/* As the master tells the keeper (KEEP_STREAM). */
static void take_policies(struct planning *p)
{
    bool enforce = p->conf->dvr.capacity_enforce;

    for (size_t i = 0; i < p->conf->n_streams; i++) {
        const struct conf_stream *s = p->conf->streams[i];
        struct keep_policy *k = NEW(struct keep_policy);

        *k = (struct keep_policy){.duration_us = s->dvr_duration_us,
            .event_duration_us = s->dvr_event_duration_us,
            .capacity_bytes = enforce ? s->dvr_capacity.bytes : 0,
            .capacity_percent = enforce ? s->dvr_capacity.percent : 0};
        mem_free(map_set(&p->policies, span_of(s->uid), k));
    }
}

/* Of that configuration, at the same path; NULL: it would be left as it is. */
static const struct conf_storage *storage_of(const struct planning *p, const struct place *at)
{
    for (size_t i = 0; i < p->conf->n_storages; i++)
        if (strcmp(p->conf->storages[i].path, at->path) == 0) return &p->conf->storages[i];
    return NULL;
}

/* --- what is there --- */

static void put_lock(void *arg, const struct index_lock *lock)
{
    (void)locks_put(arg, lock);
}

static int take_locks(struct planning *p, struct place *at)
{
    struct index_lock *page = mem_new_n(PAGE, sizeof(*page)), last;
    size_t n = 0, records;
    int err = lock_file_read(at->storage.fd, put_lock, &p->locks, &records);

    if (err == 0) err = index_locks(at->ix, NULL, page, PAGE, &n);
    while (err >= 0 && n > 0) {
        for (size_t i = 0; i < n; i++) (void)locks_put(&p->locks, &page[i]);
        last = page[n - 1];
        err = index_locks(at->ix, &last, page, PAGE, &n);
    }
    mem_free(page);
    return err < 0 ? place_fail(at, p->l->err, "its locks cannot be read", err) : CTL_OK;
}

/* All must be readable: a lock on one holds on all. */
static int open_places(struct planning *p)
{
    struct show rows = {0};
    char text[512];
    int code = ask(p->l->socket, "storage list", NULL, 0, &rows, text);

    if (code != CTL_OK) (void)fail(p, "storage list", text);
    p->places = mem_new_n(MAX(rows.n, 1), sizeof(*p->places));
    p->known = mem_new_n(MAX(rows.n, 1), sizeof(*p->known));
    for (size_t i = 0; code == CTL_OK && i < rows.n; i++) {
        struct place *at = &p->places[p->n];

        if (!place_of(rows.rows[i], at)) continue;
        p->known[p->n].ahead_us = packed_i64(rows.rows[i], "clock_ahead_s", 0) * US_PER_S;
        p->known[p->n++].rate = packed_u64(rows.rows[i], "rate_bps", 0) / 8;
        code = place_open(at, p->l->err);
        if (code == CTL_OK) code = take_locks(p, at);
    }
    show_done(&rows);
    return code;
}

static int room_of(const struct planning *p, const struct place *at, const struct conf_storage *c,
    struct retention_room *ret)
{
    struct retention_floor floor;
    struct statvfs v;

    if (fstatvfs(at->storage.fd, &v) < 0) return place_fail(at, p->l->err, "its space", -errno);
    if (!storage_floor_parse(span_of(c->free_text), &floor)) return fail(p, at->name, "no such floor");
    *ret = (struct retention_room){.total = (uint64_t)v.f_blocks * v.f_frsize,
        .free = (uint64_t)v.f_bavail * v.f_frsize,
        .rate = p->known[at - p->places].rate};
    ret->floor = retention_floor_bytes(&floor, ret->total, ret->rate);
    return CTL_OK;
}

/* --- the plan --- */

static struct packer *row_begin(void *arg, uint32_t pairs);

/* A message of one row, as the server sends them. */
static void row_end(struct planning *p)
{
    struct unpack *u;

    if (!p->row) return;
    must(!p->packer.bad && unpack_new(buf_span(p->row), &u) == 0);
    show_add(p->rows, p->row, u, unpack_root(u));
    p->row = NULL;
}

static struct packer *row_begin(void *arg, uint32_t pairs)
{
    struct planning *p = arg;

    row_end(p);
    p->row = NEW(struct buf);
    buf_init(p->row, ROW_MAX);
    p->packer = packer_of(p->row);
    pack_array(&p->packer, 1);
    pack_map(&p->packer, pairs);
    return &p->packer;
}

static bool protects(
    void *arg, const char *uid, const struct keep_policy *k, const struct seg_info *s, usec_t now_us)
{
    return reap_event_keeps(arg, uid, k, s, now_us);
}

static int plan_place(struct planning *p, struct place *at)
{
    const struct conf_storage *c = storage_of(p, at);
    struct reap_setup setup = {.ix = at->ix,
        .policies = &p->policies,
        .locks = &p->locks,
        .now_us = clock_wall_us() - p->known[at - p->places].ahead_us,
        .protects = protects,
        .protects_arg = at->ix};
    struct plan plan;
    int got = REAP_MORE, code;

    if (!c) {
        fprintf(
            p->l->err, "msctl: %s: no storage of that configuration: nothing of it is deleted\n", at->name);
        return CTL_OK;
    }
    code = room_of(p, at, c, &setup.room);
    if (code != CTL_OK) return code;
    plan_begin(&plan, &setup);
    while (got == REAP_MORE) got = plan_step(&plan);
    if (got < 0) {
        code = place_fail(at, p->l->err, "its index cannot be read", got);
    } else {
        plan_rows(&plan, at->name, p->l->n_args > 0 ? p->l->args[0] : NULL, row_begin, p);
        row_end(p);
        if (plan.pass.needed > 0)
            fprintf(p->l->err, "msctl: %s: %llu bytes more are needed, and locks and events keep the rest\n",
                at->name, (unsigned long long)plan.pass.needed);
    }
    plan_end(&plan);
    return code;
}

static int load(struct planning *p, struct conf **ret)
{
    struct conf_report report = {0};
    int err = conf_load(p->l->config, ret, &report);

    if (err) conf_report_print(&report, p->l->err);
    conf_report_done(&report);
    return err ? fail(p, p->l->config, "cannot be loaded") : CTL_OK;
}

int local_plan(const struct local *l)
{
    struct planning p = {.l = l, .rows = l->rows};
    struct conf *conf = NULL;
    int code = load(&p, &conf);

    idle_become();
    p.conf = conf;
    if (code == CTL_OK) take_policies(&p);
    if (code == CTL_OK) code = open_places(&p);
    for (size_t i = 0; code == CTL_OK && i < p.n; i++) code = plan_place(&p, &p.places[i]);
    for (size_t i = 0; i < p.n; i++) place_close(&p.places[i]);
    map_drop(&p.policies, mem_free);
    locks_done(&p.locks);
    mem_free(p.places);
    mem_free(p.known);
    conf_free(conf);
    return code;
}
