/* HTTP/2 from its first byte: whatever comes, a request that comes out is a head that the strict parser reads
 * to its end or refuses, and never two; answers of any cut go in meanwhile, streams end once, and what is
 * passed on is what was given. Input: first byte seeds how it is cut and answered; the connection's preface
 * is put in front of what does not begin with it. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "httpd/h2.h"
#include "httpd/http.h"

#define PREFACE   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define ROADS_MAX 256
#define GIVEN_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct road {
    struct h2_stream *s; /* NULL: gone */
    size_t given, passed;
    bool ended;
};
struct fuzz {
    struct h2 *h;
    struct road roads[ROADS_MAX];
    size_t n;
    uint32_t state;
    size_t given;
};

static uint32_t next(struct fuzz *f, uint32_t below)
{
    f->state = f->state * 1664525u + 1013904223u;
    return (f->state >> 8) % below;
}

static void look_at(struct span head)
{
    struct head_find find = {0};
    struct http_request req;
    size_t n;

    if (http_request_parse(&find, head, HTTP_BODY_MAX, &req, &n) != 0) return;
    must(n == head.n && !req.keep_alive);
}

static void *request(void *arg, struct h2_stream *s, struct span head)
{
    struct fuzz *f = arg;

    look_at(head);
    if (f->n == ROADS_MAX || next(f, 8) == 0) return NULL;
    f->roads[f->n] = (struct road){.s = s};
    return &f->roads[f->n++];
}

static void body(void *of, struct span bytes)
{
    struct road *r = of;

    must(r->s != NULL);
    if (bytes.n % 2) h2_taken(r->s, bytes.n);
}

static void passed(void *of, size_t n)
{
    struct road *r = of;

    must(r->s != NULL);
    r->passed += n;
    must(r->passed <= r->given);
}

static void gone(void *of)
{
    struct road *r = of;

    must(r->s != NULL);
    r->s = NULL;
}

static bool full(void *arg)
{
    return next(arg, 16) == 0;
}

static void out(void *arg, struct span bytes)
{
    (void)arg;
    must(bytes.n > 0);
}

static void out_chunk(void *arg, struct chunk *c, size_t from, size_t n)
{
    (void)arg;
    must(from <= c->n && n <= c->n - from);
}

static const struct h2_ops ops = {request, body, passed, gone, full, out, out_chunk};

static void answer(struct fuzz *f, struct road *r)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n";
    size_t n = r->given < sizeof(head) - 1 ? next(f, sizeof(head)) + 1 : next(f, 40000) + 1;
    struct chunk *c = chunk_new(n);

    for (size_t i = 0; i < n; i++)
        c->data[i] = r->given + i < sizeof(head) - 1 ? (uint8_t)head[r->given + i] : (uint8_t)i;
    r->given += n;
    f->given += n;
    h2_answer(r->s, c, 0, n);
}

static void answer_some(struct fuzz *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct road *r = &f->roads[i];

        if (!r->s || r->ended || f->given > GIVEN_MAX) continue;
        if (next(f, 4) == 0) {
            r->ended = true;
            h2_answer_end(r->s, next(f, 4) != 0);
        } else if (next(f, 2) == 0) {
            answer(f, r);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span(data, size);
    usec_t now_us = US_PER_S;
    struct fuzz *f;
    bool on = true;

    if (size == 0) return 0;
    f = NEW(struct fuzz);
    f->state = data[0];
    in = span_from(in, 1);
    f->h = h2_new(&ops, f, now_us);
    if (!span_starts(in, SPAN_LIT("PRI"))) on = h2_feed(f->h, SPAN_LIT(PREFACE), now_us);
    while (on && in.n > 0) {
        size_t n = MIN(in.n, next(f, 200) + 1u);

        on = h2_feed(f->h, span_sub(in, 0, n), now_us);
        in = span_from(in, n);
        answer_some(f);
        on &= h2_send(f->h, now_us);
        now_us += next(f, 2) * US_PER_S;
        h2_check(f->h, now_us);
    }
    answer_some(f);
    (void)h2_send(f->h, now_us);
    h2_free(f->h);
    for (size_t i = 0; i < f->n; i++) must(f->roads[i].s == NULL);
    mem_free(f);
    return 0;
}
