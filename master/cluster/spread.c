#include "master/cluster/spread.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>

#define VERSION  1
#define WORD_MAX (60u << 10)

void spread_init(struct spread *s, const struct spread_ops *ops, void *arg, uint16_t self, uint64_t boot)
{
    *s = (struct spread){.ops = ops, .arg = arg, .self = self, .boot = boot};
}

void spread_done(struct spread *s)
{
    map_drop(&s->files, mem_free);
    s->ops = NULL;
}

void spread_nodes(struct spread *s, const uint16_t *others, size_t n)
{
    struct map_slot slot;
    size_t at = 0;

    s->n_nodes = MIN(n, SPREAD_NODES_MAX);
    memcpy(s->nodes, others, s->n_nodes * sizeof(*others));
    memset(s->told_us, 0, sizeof(s->told_us));
    while (map_next(&s->files, &at, &slot)) {
        struct spread_file *f = slot.value;

        f->has = f->refused = 0;
    }
}

uint64_t spread_bit(const struct spread *s, uint16_t node)
{
    for (size_t i = 0; i < s->n_nodes; i++)
        if (s->nodes[i] == node) return UINT64_C(1) << i;
    return 0;
}

const struct spread_file *spread_file(const struct spread *s, const char *uid)
{
    return map_get(&s->files, span_of(uid));
}

static struct spread_file *file_of(struct spread *s, const char *uid)
{
    struct spread_file *f = map_get(&s->files, span_of(uid));

    if (f) return f;
    f = NEW(struct spread_file);
    snprintf(f->uid, sizeof(f->uid), "%s", uid);
    (void)map_set(&s->files, span_of(uid), f);
    return f;
}

static void settle(struct spread *s, struct spread_file *f)
{
    if (f->wanted.term > 0 && f->wanted_us > 0 && s->fetching > 0) s->fetching--;
    f->wanted = (struct stamp){.term = 0};
    f->wanted_us = 0;
    f->wrong = false;
}

static void set_version(struct spread *s, struct spread_file *f, const struct stamp *stamp, const char *etag)
{
    settle(s, f);
    f->stamp = *stamp;
    f->gone = etag[0] == 0;
    snprintf(f->etag, sizeof(f->etag), "%s", etag);
    f->has = f->refused = 0;
    f->why[0] = 0;
    s->ops->changed(s->arg);
}

/* --- words --- */

/* One that is being filled with rows. */
struct rows {
    struct spread *s;
    uint16_t to;
    enum spread_word_kind kind;
    struct buf b;
    uint32_t n;
};

static void begin(struct packer *p, enum spread_word_kind kind, uint32_t more)
{
    pack_map(p, 2 + more);
    pack_kv_u64(p, "v", VERSION);
    pack_kv_u64(p, "kind", kind);
}

static void flush(struct rows *r)
{
    struct packer p;
    struct buf word;

    if (r->n == 0) return;
    buf_init(&word, WORD_MAX);
    p = packer_of(&word);
    begin(&p, r->kind, 1);
    pack_key(&p, "rows");
    pack_array(&p, r->n);
    if (!p.bad && buf_put(&word, buf_span(&r->b))) r->s->ops->tell(r->s->arg, r->to, buf_span(&word));
    buf_done(&word);
    buf_clear(&r->b);
    r->n = 0;
}

static struct rows rows_to(struct spread *s, uint16_t to, enum spread_word_kind kind)
{
    struct rows r = {.s = s, .to = to, .kind = kind};

    buf_init(&r.b, WORD_MAX);
    return r;
}

static void rows_end(struct rows *r)
{
    flush(r);
    buf_done(&r->b);
}

static void row(struct rows *r, const struct spread_file *f)
{
    struct packer p = packer_of(&r->b);

    pack_array(&p, 4);
    pack_str(&p, span_of(f->uid));
    stamp_pack(&p, &f->stamp);
    pack_str(&p, span_of(f->etag));
    pack_bool(&p, f->gone);
    if (++r->n == SPREAD_ROWS_MAX) flush(r);
}

static void tell_refused(
    struct spread *s, uint16_t node, const struct spread_file *f, const struct stamp *stamp, const char *why)
{
    struct packer p;
    struct buf word;

    buf_init(&word, WORD_MAX);
    p = packer_of(&word);
    begin(&p, SPREAD_REFUSED, 3);
    pack_kv_text(&p, "uid", f->uid);
    stamp_kv(&p, "stamp", stamp);
    pack_kv_text(&p, "text", why);
    if (!p.bad) s->ops->tell(s->arg, node, buf_span(&word));
    buf_done(&word);
}

static void tell_file(struct spread *s, uint16_t node, const struct spread_file *f)
{
    struct packer p;
    struct buf word, text;

    buf_init(&word, WORD_MAX);
    buf_init(&text, SPREAD_TEXT_MAX);
    p = packer_of(&word);
    begin(&p, SPREAD_FILE, 4);
    pack_kv_text(&p, "uid", f->uid);
    stamp_kv(&p, "stamp", &f->stamp);
    pack_kv_text(&p, "etag", f->etag);
    if (s->ops->read(s->arg, f->uid, &text)) {
        pack_kv_str(&p, "text", buf_span(&text));
        if (!p.bad) s->ops->tell(s->arg, node, buf_span(&word));
    }
    buf_done(&text);
    buf_done(&word);
}

/* What this node may lack. */
static void tell_have(struct spread *s, size_t i, usec_t now_us)
{
    struct rows r = rows_to(s, s->nodes[i], SPREAD_HAVE);
    uint64_t bit = UINT64_C(1) << i;
    bool again = ++s->rounds[i] % SPREAD_ROUNDS == 0;
    struct map_slot slot;
    size_t at = 0;

    s->told_us[i] = now_us;
    while (map_next(&s->files, &at, &slot)) {
        const struct spread_file *f = slot.value;

        if (f->stamp.term > 0 && !((f->has | (again ? 0 : f->refused)) & bit)) row(&r, f);
    }
    rows_end(&r);
}

/* --- this node --- */

bool spread_push(struct spread *s, const char *uid, bool gone, usec_t now_us)
{
    char etag[SPREAD_ETAG_MAX] = "";
    struct spread_file *f;
    struct stamp stamp;

    if (!gone && (!s->ops->look(s->arg, uid, etag) || !etag[0])) return false;
    f = file_of(s, uid);
    stamp = (struct stamp){s->ops->next_term(s->arg, MAX(f->stamp.term, f->wanted.term)), s->self, s->boot};
    set_version(s, f, &stamp, etag);
    for (size_t i = 0; i < s->n_nodes; i++) s->told_us[i] = now_us - SPREAD_AGAIN_US; /* with the next tick */
    return true;
}

void spread_stored(
    struct spread *s, const char *uid, const struct stamp *stamp, const char *etag, const char *why)
{
    struct spread_file *f = map_get(&s->files, span_of(uid));

    if (!f || stamp_cmp(&f->wanted, stamp) != 0) return; /* a newer one came meanwhile */
    if (!why) {
        s->taken++;
        set_version(s, f, stamp, etag);
        for (size_t i = 0; i < s->n_nodes; i++)
            if (s->ops->there(s->arg, s->nodes[i])) {
                struct rows r = rows_to(s, s->nodes[i], SPREAD_HAS);

                row(&r, f);
                rows_end(&r);
            }
        return;
    }
    s->refused++;
    if (f->wanted_us > 0 && s->fetching > 0) s->fetching--;
    f->wrong = true;
    f->wanted_us = 0;
    f->why_node = s->self;
    snprintf(f->why, sizeof(f->why), "%s", why);
    for (size_t i = 0; i < s->n_nodes; i++)
        if (s->ops->there(s->arg, s->nodes[i])) tell_refused(s, s->nodes[i], f, stamp, why);
}

/* --- the others --- */

static bool uid_of(struct span text, char dst[static SPREAD_UID_MAX])
{
    return text.n > 0 && !memchr(text.p, 0, text.n) && span_copy(text, dst, SPREAD_UID_MAX);
}

struct heard {
    struct spread *s;
    uint16_t from;
    uint64_t bit;
    usec_t now_us;
    struct rows has, have, want;
};

static bool row_read(const struct packed *v, struct spread_file *ret)
{
    *ret = (struct spread_file){.gone = packed_as_bool(packed_at(v, 3), false)};
    return uid_of(packed_as_str(packed_at(v, 0)), ret->uid) && stamp_read(packed_at(v, 1), &ret->stamp) &&
        span_copy(packed_as_str(packed_at(v, 2)), ret->etag, sizeof(ret->etag)) &&
        ret->gone == (ret->etag[0] == 0);
}

static void want(struct heard *h, const struct spread_file *f)
{
    struct packer p = packer_of(&h->want.b);

    pack_str(&p, span_of(f->uid));
    if (++h->want.n == SPREAD_ROWS_MAX) flush(&h->want);
}

/* Somebody has a newer one. */
static void newer(struct heard *h, struct spread_file *f, const struct spread_file *theirs)
{
    struct spread *s = h->s;
    char etag[SPREAD_ETAG_MAX] = "";
    int way = stamp_cmp(&theirs->stamp, &f->wanted);

    if (way < 0) return;
    if (way == 0 && f->wanted_us > 0 && h->now_us - f->wanted_us < SPREAD_AGAIN_US) return;
    if (way > 0) settle(s, f);
    if (s->ops->look(s->arg, f->uid, etag) && strcmp(etag, theirs->etag) == 0) { /* it lies here already */
        set_version(s, f, &theirs->stamp, theirs->etag);
        f->has |= h->bit;
        row(&h->has, f);
        return;
    }
    if (!theirs->gone && s->fetching >= SPREAD_FILES_MAX) return; /* he says it again */
    f->wanted = theirs->stamp;
    f->wrong = false;
    if (theirs->gone) {
        s->ops->store(s->arg, theirs, SPAN_NONE);
        return;
    }
    f->wanted_us = h->now_us;
    s->fetching++;
    want(h, f);
}

static void on_have(struct heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_ROWS_MAX); i++) {
        struct spread_file theirs, *f;
        int way;

        if (!row_read(packed_at(rows, i), &theirs)) continue;
        f = file_of(h->s, theirs.uid);
        way = stamp_cmp(&theirs.stamp, &f->stamp);
        if (way > 0) {
            newer(h, f, &theirs);
            continue;
        }
        if (way == 0) f->has |= h->bit;
        row(way == 0 ? &h->has : &h->have, f);
    }
}

static void on_has(struct heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_ROWS_MAX); i++) {
        struct spread_file theirs, *f;

        f = row_read(packed_at(rows, i), &theirs) ? map_get(&h->s->files, span_of(theirs.uid)) : NULL;
        if (!f || stamp_cmp(&theirs.stamp, &f->stamp) != 0) continue;
        f->has |= h->bit;
        f->refused &= ~h->bit;
    }
}

static void on_want(struct heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");
    char uid[SPREAD_UID_MAX];

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_FILES_MAX); i++) {
        const struct spread_file *f =
            uid_of(packed_as_str(packed_at(rows, i)), uid) ? spread_file(h->s, uid) : NULL;

        if (f && f->stamp.term > 0 && !f->gone) tell_file(h->s, h->from, f);
    }
}

static void on_file(struct heard *h, const struct packed *word)
{
    struct span text = packed_str(word, "text");
    struct spread_file v = {.gone = false}, *f = NULL;

    if (uid_of(packed_str(word, "uid"), v.uid)) f = map_get(&h->s->files, span_of(v.uid));
    /* only what was asked for */
    if (!f || !stamp_get(word, "stamp", &v.stamp) || stamp_cmp(&v.stamp, &f->wanted) != 0 ||
        f->wanted_us == 0 || f->wrong || !text.p || text.n > SPREAD_TEXT_MAX ||
        !span_copy(packed_str(word, "etag"), v.etag, sizeof(v.etag)) || !v.etag[0])
        return;
    h->s->ops->store(h->s->arg, &v, text);
}

static void on_refused(struct heard *h, const struct packed *word)
{
    struct stamp stamp;
    char uid[SPREAD_UID_MAX];
    struct spread_file *f = uid_of(packed_str(word, "uid"), uid) ? map_get(&h->s->files, span_of(uid)) : NULL;

    if (!f || !stamp_get(word, "stamp", &stamp) || stamp_cmp(&stamp, &f->stamp) != 0) return;
    f->refused |= h->bit;
    f->why_node = h->from;
    span_copy(span_sub(packed_str(word, "text"), 0, sizeof(f->why) - 1), f->why, sizeof(f->why));
}

void spread_heard(struct spread *s, uint16_t from, struct span word, usec_t now_us)
{
    static void (*const on[SPREAD_WORDS])(struct heard * h, const struct packed *word) = {
        [SPREAD_HAVE] = on_have,
        [SPREAD_HAS] = on_has,
        [SPREAD_WANT] = on_want,
        [SPREAD_FILE] = on_file,
        [SPREAD_REFUSED] = on_refused};
    struct heard h = {.s = s, .from = from, .bit = spread_bit(s, from), .now_us = now_us};
    struct unpack *u = NULL;
    const struct packed *v;
    uint64_t kind;

    if (h.bit == 0 || unpack_new(word, &u) != 0) return;
    v = unpack_root(u);
    kind = packed_u64(v, "kind", 0);
    h.has = rows_to(s, from, SPREAD_HAS);
    h.have = rows_to(s, from, SPREAD_HAVE);
    h.want = rows_to(s, from, SPREAD_WANT);
    if (packed_u64(v, "v", 0) == VERSION && kind < SPREAD_WORDS && on[kind]) on[kind](&h, v);
    rows_end(&h.has);
    rows_end(&h.have);
    rows_end(&h.want);
    unpack_done(u);
}

/* --- time --- */

static void forget_fetches(struct spread *s, usec_t now_us)
{
    struct map_slot slot;
    size_t at = 0;

    if (s->fetching == 0) return;
    while (map_next(&s->files, &at, &slot)) {
        struct spread_file *f = slot.value;

        if (f->wanted_us == 0 || now_us - f->wanted_us < SPREAD_AGAIN_US || f->wrong) continue;
        f->wanted_us = 0;
        s->fetching--;
    }
}

void spread_tick(struct spread *s, usec_t now_us)
{
    forget_fetches(s, now_us);
    for (size_t i = 0; i < s->n_nodes; i++) {
        if (!s->ops->there(s->arg, s->nodes[i]))
            s->told_us[i] = 0; /* when it is back: at once */
        else if (s->told_us[i] == 0 || now_us - s->told_us[i] >= SPREAD_AGAIN_US)
            tell_have(s, i, now_us);
    }
}

bool spread_settled(const struct spread *s, const char *uid)
{
    const struct spread_file *f = spread_file(s, uid);

    for (size_t i = 0; f && i < s->n_nodes; i++)
        if (s->ops->there(s->arg, s->nodes[i]) && !((f->has | f->refused) >> i & 1)) return false;
    return true;
}

/* --- as they are kept --- */

void spread_pack(const struct spread *s, struct packer *p)
{
    struct map_slot slot;
    uint32_t n = 0;
    size_t at = 0;

    while (map_next(&s->files, &at, &slot)) n += ((struct spread_file *)slot.value)->stamp.term > 0;
    pack_array(p, n);
    for (at = 0; map_next(&s->files, &at, &slot);) {
        const struct spread_file *f = slot.value;

        if (f->stamp.term == 0) continue;
        pack_array(p, 4);
        pack_str(p, span_of(f->uid));
        stamp_pack(p, &f->stamp);
        pack_str(p, span_of(f->etag));
        pack_bool(p, f->gone);
    }
}

bool spread_read(struct spread *s, const struct packed *v)
{
    struct spread_file one, *f;

    if (packed_kind(v) != PACKED_ARRAY) return false;
    for (size_t i = 0; i < packed_n(v); i++) {
        if (!row_read(packed_at(v, i), &one)) return false;
        f = file_of(s, one.uid);
        f->stamp = one.stamp;
        f->gone = one.gone;
        memcpy(f->etag, one.etag, sizeof(f->etag));
    }
    return true;
}
