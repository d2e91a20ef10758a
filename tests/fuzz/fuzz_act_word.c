/* What another master says of singular acts: any bytes are read within their bounds, and what is read is
 * packed and read again as it was; a node that hears it goes on. */
#include "common/ipc/ctl.h"
#include "common/base/mem.h"
#include "master/cluster/act.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void say(void *arg, uint16_t node, const struct act_word *w)
{
    (void)arg;
    (void)node;
    (void)w;
}

static bool keep(void *arg, uint64_t ref, enum act_keep what, const struct act *a, usec_t until_us)
{
    (void)arg;
    (void)what;
    (void)a;
    return until_us == 0 && ref % 2 == 0;
}

static void answer(void *arg, uint64_t who, int code, const char *text, struct span rows)
{
    (void)arg;
    (void)who;
    (void)code;
    (void)text;
    (void)rows;
}

static uint16_t holder(void *arg, const char *uid)
{
    (void)arg;
    return uid[0] & 1 ? 1 : 2;
}

static bool there(void *arg, uint16_t node)
{
    (void)arg;
    return node != 3;
}

static bool twice(void *arg)
{
    (void)arg;
    return false;
}

static uint64_t next_term(void *arg, uint64_t above)
{
    (void)arg;
    return above + 1;
}

static void changed(void *arg)
{
    (void)arg;
}

static const struct act_ops ops = {say, keep, answer, holder, there, twice, next_term, changed};

static void round_trip(const struct act_word *w)
{
    struct act_word *again = NEW(struct act_word);
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;

    buf_init(&b, 65536);
    p = packer_of(&b);
    act_word_pack(&p, w);
    if (p.bad || unpack_new(buf_span(&b), &u) != 0 || !act_word_read(unpack_root(u), again)) __builtin_trap();
    if (again->kind != w->kind || again->act.id != w->act.id || again->ref != w->ref ||
        stamp_cmp(&again->act.stamp, &w->act.stamp) != 0 || strcmp(again->text, w->text) != 0)
        __builtin_trap();
    unpack_done(u);
    buf_done(&b);
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint16_t nodes[] = {1, 2, 3};
    struct act_word *w = NEW(struct act_word);
    struct unpack *u = NULL;
    struct acts a;

    if (n < 60000 && unpack_new(span(data, n), &u) == 0 && act_word_read(unpack_root(u), w)) {
        round_trip(w);
        acts_init(&a, &ops, NULL, 1, 7, 0);
        acts_nodes(&a, nodes, ARRAY_N(nodes));
        acts_heard(&a, 2, w, 20 * US_PER_S);
        acts_kept(&a, &(struct act_kept){1, CTL_OK, "", w->held, SPAN_NONE}, 20 * US_PER_S);
        acts_tick(&a, 21 * US_PER_S);
        acts_done(&a);
    }
    unpack_done(u);
    mem_free(w);
    return 0;
}
