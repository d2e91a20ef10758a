#include "master/past.h"
#include "common/base/mem.h"

/* An attempt: from the first step to what ended it. */
struct attempt {
    usec_t at_us, over_us; /* wall clock; over_us 0: it goes on */
    char cause[24];        /* a word of ring_end_word */
    char text[PAST_TEXT_MAX];
};
struct step {
    char name[16];
    bool ok;
    usec_t took_us;
    char text[PAST_TEXT_MAX];
};
struct past {
    struct attempt attempts[PAST_ATTEMPTS]; /* a ring: the newest is n - 1 */
    size_t n;
    struct step steps[PAST_STEPS];
    size_t n_steps;
    uint8_t *sdp;
    size_t sdp_n;
};

void past_free(struct past *x)
{
    if (x) mem_free(x->sdp);
    mem_free(x);
}

static struct attempt *newest(struct past *x)
{
    return &x->attempts[(x->n - 1) % PAST_ATTEMPTS];
}

static void begin(struct past *x, usec_t wall_us)
{
    x->n++;
    x->n_steps = 0;
    *newest(x) = (struct attempt){.at_us = wall_us};
}

static void cut(struct span s, char *dst, size_t cap)
{
    span_copy(span_sub(s, 0, cap - 1), dst, cap);
}

/* name: "begin" and "over" of an attempt, or one of its steps. A camera that answers again and again (401, a
 * redirect) fills the table, and no more. */
void past_step(struct past **x, const struct packed *body, usec_t wall_us)
{
    struct span name = packed_str(body, "name"), text = packed_str(body, "text");
    struct step *s;

    if (!*x) *x = NEW(struct past);
    if (span_is(name, "begin") || (*x)->n == 0) begin(*x, wall_us);
    if (span_is(name, "begin")) return;
    if (span_is(name, "over")) {
        newest(*x)->over_us = wall_us;
        cut(packed_str(body, "cause"), newest(*x)->cause, sizeof(newest(*x)->cause));
        cut(text, newest(*x)->text, sizeof(newest(*x)->text));
        return;
    }
    if ((*x)->n_steps == PAST_STEPS) return;
    s = &(*x)->steps[(*x)->n_steps++];
    *s = (struct step){.ok = packed_bool(body, "ok", false), .took_us = packed_i64(body, "took_us", 0)};
    cut(name, s->name, sizeof(s->name));
    cut(text, s->text, sizeof(s->text));
}

void past_sdp(struct past **x, const struct packed *body)
{
    struct span text = span_sub(packed_str(body, "text"), 0, PAST_SDP_MAX);

    if (!*x) *x = NEW(struct past);
    mem_free((*x)->sdp);
    (*x)->sdp = mem_dup(text.p, text.n);
    (*x)->sdp_n = text.n;
}

usec_t past_ping_us(const struct past *x)
{
    for (size_t i = 0; x && i < x->n_steps; i++) {
        const struct step *s = &x->steps[i];

        if (s->ok && (strcmp(s->name, "OPTIONS") == 0 || strcmp(s->name, "DESCRIBE") == 0)) return s->took_us;
    }
    return 0;
}

usec_t past_over_us(const struct past *x)
{
    return x && x->n > 0 ? x->attempts[(x->n - 1) % PAST_ATTEMPTS].over_us : 0;
}

/* --- rows --- */

static void attempt_row(const struct attempt *a, struct packer *p)
{
    pack_map(p, a->over_us ? 5 : 2);
    pack_kv_text(p, "kind", "attempt");
    pack_kv_f64(p, "at", (double)a->at_us / US_PER_S);
    if (a->over_us == 0) return;
    pack_kv_f64(p, "ended", (double)a->over_us / US_PER_S);
    pack_kv_text(p, "cause", a->cause);
    pack_kv_text(p, "text", a->text);
}

static void step_row(const struct step *s, struct packer *p)
{
    pack_map(p, 5);
    pack_kv_text(p, "kind", "step");
    pack_kv_text(p, "name", s->name);
    pack_kv_bool(p, "ok", s->ok);
    pack_kv_f64(p, "seconds", (double)s->took_us / US_PER_S);
    pack_kv_text(p, "text", s->text);
}

bool past_row(const struct past *x, size_t at, struct packer *p)
{
    size_t n = x ? MIN(x->n, (size_t)PAST_ATTEMPTS) : 0;

    if (at < n) {
        attempt_row(&x->attempts[(x->n - 1 - at) % PAST_ATTEMPTS], p);
        return true;
    }
    at -= n;
    if (x && at < x->n_steps) {
        step_row(&x->steps[at], p);
        return true;
    }
    if (!x || at > x->n_steps || x->sdp_n == 0) return false;
    pack_map(p, 2);
    pack_kv_text(p, "kind", "sdp");
    pack_kv_str(p, "text", span(x->sdp, x->sdp_n));
    return true;
}
