/* A metadata document, in pieces whose size its first byte says, and what its messages mean. */
#include "common/base/mem.h"
#include "worker/onvif_events.h"

#define PIECES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct taken {
    struct onvif_events ev;
    struct event e;
    usec_t now_us;
};

static void on_message(void *arg, const struct onvif_message *m)
{
    struct taken *t = arg;

    if (!m->topic[0] || strnlen(m->topic, sizeof(m->topic)) == sizeof(m->topic)) __builtin_trap();
    t->now_us += US_PER_S;
    if (onvif_events_take(&t->ev, m, t->now_us, &t->e) == ONVIF_TELL_NOT) return;
    if (t->e.id == 0 || !event_kind_ok(span_of(t->e.kind)) || t->e.start_us > t->now_us) __builtin_trap();
    if (t->e.end_us != 0 && t->e.end_us < t->e.start_us) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct piece pieces[PIECES_MAX];
    struct taken *t;
    size_t k = 0, size = n > 0 ? data[0] + 1u : 1;
    struct span rest = n > 0 ? span(data + 1, n - 1) : SPAN_NONE;

    for (; rest.n > 0 && k < PIECES_MAX; k++) {
        pieces[k] = (struct piece){.s = span_sub(rest, 0, size)};
        rest = span_from(rest, pieces[k].s.n);
    }
    t = NEW(struct taken);
    t->now_us = US_PER_S;
    (void)onvif_xml_read(pieces, k, on_message, t);
    while (onvif_events_end(&t->ev, t->now_us, &t->e))
        if (t->e.end_us < t->e.start_us) __builtin_trap();
    mem_free(t);
    return 0;
}
