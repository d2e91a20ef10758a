/* What the records of a storage do not say yet. */
#include "archive/fresh.h"
#include "httpd/archive.h"

struct fresh_for {
    struct archive_visit *v;
    void (*fn)(struct archive_visit *v, const struct seg_info *info);
};

static void closed(void *arg, const struct seg_info *info)
{
    struct fresh_for *a = arg;

    a->fn(a->v, info);
}

/* Another node lists them itself. */
void archive_fresh(struct archive_visit *v, const struct records *r,
    void (*fn)(struct archive_visit *v, const struct seg_info *info))
{
    static const struct fresh_ops ops = {.closed = closed};
    const struct archive_job *j = v->j;
    const struct fresh_ask ask = {.storage = v->st->path,
        .uid = j->uid,
        .newest_us = j->open.id != 0 ? j->open.start_us : j->now_us,
        .open = j->open.id,
        .from_us = j->from_us};
    struct fresh_for a = {v, fn};

    if (r->ix) fresh_find(r->ix, &ask, &ops, &a);
}

struct open_segment archive_open_of(const struct archive_visit *v, const struct records *r)
{
    const struct open_segment *o = &v->j->open;

    if (!r->ix)
        return (struct open_segment){
            .id = r->open_id, .bytes = INT64_MAX, .start_us = r->open_start_us, .end_us = r->open_end_us};
    return strcmp(o->storage, v->st->name) == 0 ? *o : (struct open_segment){0};
}

int archive_read_end(struct archive_visit *v, struct records *r, int err)
{
    v->stale = r->stale;
    v->writes = r->open_id != 0;
    records_close(r);
    return err;
}
