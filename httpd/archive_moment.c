#include "httpd/archive_moment.h"
#include "common/base/mem.h"

#include <errno.h>

#define PAGE_N    8 /* segments that overlap two seconds */
#define WITHIN_US US_PER_S

static struct moment_job *job_of(const struct archive_visit *v)
{
    return CONTAINER(v->j, struct moment_job, j);
}

/* Does a segment that starts at a_us stand for at_us rather than one that starts at b_us? */
static bool better(usec_t a_us, usec_t b_us, usec_t at_us)
{
    if ((a_us <= at_us) != (b_us <= at_us)) return a_us <= at_us;
    return a_us <= at_us ? a_us > b_us : a_us < b_us;
}

static void consider(struct archive_visit *v, const struct moment *s, usec_t end_us)
{
    struct moment *m = &job_of(v)->m[v->n];
    usec_t at_us = job_of(v)->at_us;

    if (s->start_us >= v->j->to_us || end_us <= v->j->from_us) return;
    if (m->id == 0 || better(s->start_us, m->start_us, at_us)) *m = *s;
}

static void consider_info(struct archive_visit *v, const struct seg_info *info)
{
    consider(v, &(struct moment){info->id, info->start_us, info->bytes}, info->end_us);
}

static int read_records(struct archive_visit *v, struct records *r)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(PAGE_N * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .from_us = v->j->from_us, .to_us = v->j->to_us};
    struct open_segment o;
    size_t n = 0;
    int err = page ? archive_index_err(v, records_segments(r, &q, page, PAGE_N, &n)) : -ENOMEM;

    if (err != 0) return err;
    for (size_t i = 0; i < n; i++) consider_info(v, &page[i]);
    archive_fresh(v, r, consider_info);
    o = archive_open_of(v, r);
    if (o.id != 0) consider(v, &(struct moment){o.id, o.start_us, o.bytes}, o.end_us);
    if (job_of(v)->m[v->n].id == 0) archive_nearest(v, r);
    return 0;
}

static int find(struct archive_visit *v)
{
    struct records r;
    int err = records_open(v->st, &r);

    return err == 0 ? archive_read_end(v, &r, read_records(v, &r)) : err;
}

void moment_init(struct moment_job *mj, usec_t at_us)
{
    mj->at_us = at_us;
    mj->j.from_us = at_us - INDEX_JOIN_US;
    mj->j.to_us = at_us + WITHIN_US;
    mj->j.read = find;
}

struct archive_visit *moment_best(struct moment_job *mj)
{
    struct archive_visit *best = NULL;

    for (size_t i = 0; i < mj->j.n; i++) {
        if (!(mj->j.used & 1u << i) || mj->m[i].id == 0) continue;
        if (!best || better(mj->m[i].start_us, mj->m[best->n].start_us, mj->at_us)) best = &mj->j.v[i];
    }
    return best;
}
