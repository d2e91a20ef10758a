/* Where the viewer could go instead, when nothing is recorded in the time that was asked for. */
#include "httpd/archive.h"
#include "httpd/http_access.h"
#include "common/base/mem.h"

#define EXTRA_MAX 64
#define CALM      10000 /* pages of one storage; more is an index that runs in circles */

static void nearer(struct archive_visit *v, const struct seg_info *s)
{
    if (s->start_us >= v->j->to_us) v->after_us = v->after_us ? MIN(v->after_us, s->start_us) : s->start_us;
    if (s->end_us <= v->j->from_us) v->before_us = MAX(v->before_us, s->end_us);
}

/* The end of what was recorded last before the span. */
static void range_before(struct archive_visit *v, struct records *r)
{
    CLEANUP(mem_freep) struct index_range *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .to_us = v->j->from_us};
    size_t n = ARCHIVE_PAGE;

    for (unsigned pages = 0; page && n == ARCHIVE_PAGE && pages < CALM; pages++) {
        if (archive_index_err(v, records_ranges(r, &q, page, ARCHIVE_PAGE, &n)) != 0) return;
        for (size_t i = 0; i < n; i++)
            if (page[i].end_us <= v->j->from_us) v->before_us = MAX(v->before_us, page[i].end_us);
        if (n > 0) q.from_us = page[n - 1].end_us + 1;
    }
}

void archive_nearest(struct archive_visit *v, struct records *r)
{
    CLEANUP(mem_freep) struct seg_info *s = mem_try(sizeof(*s));
    struct index_query later = {.uid = v->j->uid, .from_us = v->j->to_us, .to_us = INT64_MAX};
    size_t n = 0;

    if (!s) return;
    archive_fresh(v, r, nearer);
    if (archive_index_err(v, records_segments(r, &later, s, 1, &n)) == 0 && n == 1) nearer(v, s);
    range_before(v, r);
    if (v->j->open.id == 0) return;
    s->start_us = v->j->open.start_us;
    s->end_us = v->j->open.end_us;
    nearer(v, s);
}

int64_t archive_nearest_s(const struct archive_job *j)
{
    usec_t after_us = 0, before_us = 0;
    int64_t after, before;

    for (size_t i = 0; i < j->n; i++) {
        const struct archive_visit *v = &j->v[i];

        if (!(j->used & 1u << i)) continue;
        if (v->after_us) after_us = after_us ? MIN(after_us, v->after_us) : v->after_us;
        before_us = MAX(before_us, v->before_us);
    }
    after = (after_us + US_PER_S - 1) / US_PER_S;
    before = MAX(before_us - US_PER_S, 0) / US_PER_S;
    if (after == 0 || before == 0) return MAX(after, before);
    return j->from_us - before_us < after_us - j->from_us ? before : after;
}

void archive_answer_nothing(struct archive_job *j)
{
    struct sight sight = http_sight(j->h);
    int64_t nearest = archive_nearest_s(j);
    char extra[EXTRA_MAX];

    if (!sight_at(&sight, nearest * US_PER_S)) nearest = 0; /* nor is the viewer told of it */

    /* It may lie where nobody could look. */
    if (j->missing > 0 || (nearest == 0 && j->damaged)) {
        answer_error_with(j->h, 503, "Retry-After: 5\r\n", "a part of the archive cannot be read now");
        return;
    }
    if (nearest == 0) {
        answer_error(j->h, 404, "nothing is recorded");
        return;
    }
    snprintf(extra, sizeof(extra), "X-Nearest-Recorded: %lld\r\n", (long long)nearest);
    answer_error_with(
        j->h, 404, extra, "nothing is recorded then; the nearest footage is at %lld", (long long)nearest);
}
