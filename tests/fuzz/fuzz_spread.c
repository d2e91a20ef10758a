/* What another master says of streams' files: any bytes are read within their bounds, change nothing that was
 * not asked for, and what is kept of it is packed and read again as it was. */
#include "common/base/mem.h"
#include "master/cluster/spread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void tell(void *arg, uint16_t node, struct span word)
{
    struct unpack *u = NULL;

    (void)arg;
    (void)node;
    if (unpack_new(word, &u) != 0) __builtin_trap(); /* what is said can be read */
    unpack_done(u);
}

static bool there(void *arg, uint16_t node)
{
    (void)arg;
    return node != 3;
}

static uint64_t next_term(void *arg, uint64_t above)
{
    (void)arg;
    return above + 1;
}

static bool look(void *arg, const char *uid, char ret_etag[static SPREAD_ETAG_MAX])
{
    (void)arg;
    ret_etag[0] = 0;
    if (uid[0] == 'c') memcpy(ret_etag, "0123456789abcdef", SPREAD_ETAG_MAX);
    return uid[0] != 'x';
}

static bool read_text(void *arg, const char *uid, struct buf *ret)
{
    (void)arg;
    return buf_put(ret, span_of(uid));
}

static void store(void *arg, const struct spread_file *f, struct span text)
{
    struct spread *s = *(struct spread **)arg;

    spread_stored(s, f->uid, &f->stamp, text.p ? "0123456789abcdef" : "", text.n % 2 ? "no" : NULL);
}

static void changed(void *arg)
{
    (void)arg;
}

static const char *agreed(void *arg, const struct spread_file *f)
{
    (void)arg;
    return f->uid[1] == 'x' ? "no" : NULL;
}

static void pushed(void *arg, const struct spread_file *f, const char *lost)
{
    (void)arg;
    if (lost ? f->mine.term > 0 : f->decided.term == 0) __builtin_trap(); /* it is over */
}

static const struct spread_ops ops = {
    tell, tell, there, next_term, look, read_text, store, changed, agreed, pushed};

static void round_trip(const struct spread *s)
{
    struct spread again;
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;

    buf_init(&b, 1u << 20);
    p = packer_of(&b);
    spread_pack(s, &p);
    spread_init(&again, &ops, NULL, 1, 7);
    if (p.bad || unpack_new(buf_span(&b), &u) != 0 || !spread_read(&again, unpack_root(u))) __builtin_trap();
    spread_done(&again);
    unpack_done(u);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint16_t others[] = {2, 3};
    struct spread s, *at = &s;

    if (n > 60000) return 0;
    spread_init(&s, &ops, &at, 1, 7);
    spread_nodes(&s, others, ARRAY_N(others));
    (void)spread_push(&s, "cam", &(struct spread_how){.keep = true}, 20 * US_PER_S);
    spread_heard(&s, 1, span(data, n), 20 * US_PER_S); /* by itself, as what it promises is durable */
    spread_heard(&s, 2, span(data, n), 20 * US_PER_S);
    spread_heard(&s, 2, span(data, n), 21 * US_PER_S); /* again: what was asked for may come */
    spread_tick(&s, 40 * US_PER_S);
    round_trip(&s);
    spread_done(&s);
    return 0;
}
