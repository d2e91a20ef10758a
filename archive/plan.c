#include "archive/plan.h"
#include "common/base/mem.h"

struct plan_found {
    struct {
        uint64_t segments, bytes;
        usec_t from_us, to_us;
    } by[RETENTION_REASONS];
};

void plan_begin(struct plan *p, const struct reap_setup *s)
{
    *p = (struct plan){.begun = true};
    reap_begin(&p->pass, s);
}

static void note(struct plan *p, const struct reap_item *item)
{
    struct plan_found *f = map_get(&p->found, span_of(item->ref.uid));

    if (!f) {
        f = NEW(struct plan_found);
        map_set(&p->found, span_of(item->ref.uid), f);
    }
    if (f->by[item->why].segments++ == 0) f->by[item->why].from_us = item->start_us;
    f->by[item->why].bytes += item->bytes;
    f->by[item->why].to_us = item->end_us;
}

int plan_step(struct plan *p)
{
    int got = reap_step(&p->pass);

    if (got < 0 || got == REAP_MORE) return got;
    for (size_t i = 0; i < p->pass.n; i++) note(p, &p->pass.items[i]);
    p->pass.n = 0;
    return got == REAP_DONE ? REAP_DONE : REAP_MORE;
}

void plan_end(struct plan *p)
{
    map_drop(&p->found, mem_free);
    reap_end(&p->pass);
    *p = (struct plan){0};
}

void plan_rows(const struct plan *p, const char *storage, const char *only,
    struct packer *(*row)(void *arg, uint32_t pairs), void *arg)
{
    bool all = !only || strcmp(only, storage) == 0;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&p->found, &at, &slot)) {
        const struct plan_found *f = slot.value;

        for (enum retention_why why = RETENTION_AGE; why < RETENTION_REASONS; why++) {
            struct packer *k;

            if (f->by[why].segments == 0 || (!all && strcmp(only, slot.key) != 0)) continue;
            k = row(arg, 7);
            pack_kv_text(k, "uid", slot.key);
            pack_kv_text(k, "storage", storage);
            pack_kv_text(k, "why", retention_word(why));
            pack_kv_u64(k, "segments", f->by[why].segments);
            pack_kv_u64(k, "bytes", f->by[why].bytes);
            pack_kv_i64(k, "from_s", f->by[why].from_us / US_PER_S);
            pack_kv_i64(k, "to_s", f->by[why].to_us / US_PER_S);
        }
    }
}
