#include "httpd/row_pages.h"
#include "common/base/mem.h"

void row_pages_init(struct row_pages *p)
{
    *p = (struct row_pages){.answer = {.code = CTL_OK}};
    buf_init(&p->answer.rows, MASTER_ROWS_MAX);
    buf_init(&p->page, MASTER_ROWS_MAX);
}

void row_pages_done(struct row_pages *p)
{
    master_answer_done(&p->answer);
    buf_done(&p->page);
}

#define PAGE_HEAD 5 /* bytes before the rows of a page, at most */

static bool has_room(const struct row_pages *p, size_t n)
{
    return buf_n(&p->answer.rows) + PAGE_HEAD + buf_n(&p->page) + n <= ROW_PAGES_MOST;
}

static void put(struct row_pages *p, struct span row)
{
    if (buf_put(&p->page, row)) p->n++;
    if (p->n == CTL_ROWS_MAX) row_pages_end(p);
}

bool row_pages_put(struct row_pages *p, struct span row)
{
    if (!has_room(p, row.n)) return false;
    put(p, row);
    return true;
}

void row_pages_number(struct row_pages *p, const char *key, uint64_t v)
{
    struct packer pk;
    struct buf b;

    buf_init(&b, 64);
    pk = packer_of(&b);
    pack_map(&pk, 1);
    pack_kv_u64(&pk, key, v);
    if (!pk.bad) put(p, buf_span(&b));
    buf_done(&b);
}

/* A page ends where the rows end now. */
static void note_end(struct row_pages *p)
{
    struct master_answer *a = &p->answer;

    if (a->n_pages == p->cap)
        a->ends = mem_renew(a->ends, (p->cap = p->cap ? 2 * p->cap : 16) * sizeof(*a->ends));
    a->ends[a->n_pages++] = buf_n(&a->rows);
}

void row_pages_end(struct row_pages *p)
{
    struct buf *rows = &p->answer.rows;
    struct packer pk = packer_of(rows);
    size_t from = buf_n(rows);

    if (p->n == 0) return;
    pack_array(&pk, p->n);
    if (buf_put(rows, buf_span(&p->page)) && !pk.bad)
        note_end(p);
    else
        rows->to = rows->from + from;
    buf_clear(&p->page);
    p->n = 0;
}

bool row_pages_join(struct row_pages *p, const struct row_pages *other)
{
    size_t at = 0;

    row_pages_end(p);
    for (size_t i = 0; i < other->answer.n_pages; i++) {
        size_t end = other->answer.ends[i];

        if (!has_room(p, end - at)) return false;
        if (!buf_put(&p->answer.rows, span_sub(buf_span(&other->answer.rows), at, end - at))) return false;
        note_end(p);
        at = end;
    }
    return true;
}
