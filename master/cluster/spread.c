#include "common/base/mem.h"
#include "master/cluster/spread_impl.h"

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

        f->has = f->refused = f->agreed = 0;
        f->asked_us = 0;
    }
}

void spread_mute(struct spread *s, bool muted)
{
    s->muted = muted;
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

struct spread_file *spread_file_of(struct spread *s, const char *uid)
{
    struct spread_file *f = map_get(&s->files, span_of(uid));

    if (f) return f;
    f = NEW(struct spread_file);
    snprintf(f->uid, sizeof(f->uid), "%s", uid);
    (void)map_set(&s->files, span_of(uid), f);
    return f;
}

struct spread_file *spread_named(struct spread *s, const char *uid)
{
    struct spread_file *f = map_get(&s->files, span_of(uid));

    if (f || s->files.n < SPREAD_UIDS_MAX) return f ? f : spread_file_of(s, uid);
    s->left_out++;
    return NULL;
}

static void settle(struct spread *s, struct spread_file *f)
{
    if (f->wanted.term > 0 && f->wanted_us > 0 && s->fetching > 0) s->fetching--;
    f->wanted = (struct stamp){.term = 0};
    f->wanted_us = 0;
    f->wrong = false;
}

void spread_set_version(struct spread *s, struct spread_file *f, const struct stamp *stamp, const char *etag)
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

static void begin(struct packer *p, enum spread_word_kind kind, uint32_t more)
{
    pack_map(p, 2 + more);
    pack_kv_u64(p, "v", VERSION);
    pack_kv_u64(p, "kind", kind);
}

void spread_rows_flush(struct spread_rows *r)
{
    struct packer p;
    struct buf word;

    if (r->n == 0) return;
    buf_init(&word, WORD_MAX);
    p = packer_of(&word);
    begin(&p, r->kind, 1);
    pack_key(&p, "rows");
    pack_array(&p, r->n);
    if (!p.bad && buf_put(&word, buf_span(&r->b)))
        (r->kept ? r->s->ops->tell_kept : r->s->ops->tell)(r->s->arg, r->to, buf_span(&word));
    buf_done(&word);
    buf_clear(&r->b);
    r->n = 0;
}

struct spread_rows spread_rows_to(struct spread *s, uint16_t to, enum spread_word_kind kind, bool kept)
{
    struct spread_rows r = {.s = s, .to = to, .kind = kind, .kept = kept};

    buf_init(&r.b, WORD_MAX);
    return r;
}

void spread_rows_end(struct spread_rows *r)
{
    spread_rows_flush(r);
    buf_done(&r->b);
}

static void row(struct spread_rows *r, const struct spread_file *f)
{
    struct packer p = packer_of(&r->b);

    pack_array(&p, 4);
    pack_str(&p, span_of(f->uid));
    stamp_pack(&p, &f->stamp);
    pack_str(&p, span_of(f->etag));
    pack_bool(&p, f->gone);
    if (++r->n == SPREAD_ROWS_MAX) spread_rows_flush(r);
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
    struct spread_rows r = spread_rows_to(s, s->nodes[i], SPREAD_HAVE, false);
    uint64_t bit = UINT64_C(1) << i;
    bool again = ++s->rounds[i] % SPREAD_ROUNDS == 0;
    struct map_slot slot;
    size_t at = 0;

    s->told_us[i] = now_us;
    while (map_next(&s->files, &at, &slot)) {
        const struct spread_file *f = slot.value;

        if (f->stamp.term > 0 && !((f->has | (again ? 0 : f->refused)) & bit)) row(&r, f);
    }
    spread_rows_end(&r);
}

/* --- this node --- */

void spread_stored(
    struct spread *s, const char *uid, const struct stamp *stamp, const char *etag, const char *why)
{
    struct spread_file *f = map_get(&s->files, span_of(uid));

    if (!f || stamp_cmp(&f->wanted, stamp) != 0) return; /* a newer one came meanwhile */
    if (!why) {
        s->taken++;
        spread_set_version(s, f, stamp, etag);
        for (size_t i = 0; i < s->n_nodes; i++)
            if (s->ops->there(s->arg, s->nodes[i])) {
                struct spread_rows r = spread_rows_to(s, s->nodes[i], SPREAD_HAS, false);

                row(&r, f);
                spread_rows_end(&r);
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

bool spread_uid_of(struct span text, char dst[static SPREAD_UID_MAX])
{
    return text.n > 0 && !memchr(text.p, 0, text.n) && span_copy(text, dst, SPREAD_UID_MAX);
}

static bool row_read(const struct packed *v, struct spread_file *ret)
{
    *ret = (struct spread_file){.gone = packed_as_bool(packed_at(v, 3), false)};
    return spread_uid_of(packed_as_str(packed_at(v, 0)), ret->uid) &&
        stamp_read(packed_at(v, 1), &ret->stamp) &&
        span_copy(packed_as_str(packed_at(v, 2)), ret->etag, sizeof(ret->etag)) &&
        ret->gone == (ret->etag[0] == 0);
}

static void want(struct spread_heard *h, const struct spread_file *f)
{
    struct packer p = packer_of(&h->want.b);

    pack_str(&p, span_of(f->uid));
    if (++h->want.n == SPREAD_ROWS_MAX) spread_rows_flush(&h->want);
}

/* Somebody has a newer one. */
static void newer(struct spread_heard *h, struct spread_file *f, const struct spread_file *theirs)
{
    struct spread *s = h->s;
    char etag[SPREAD_ETAG_MAX] = "";
    int way = stamp_cmp(&theirs->stamp, &f->wanted);

    spread_overtaken(s, f, &theirs->stamp);
    if (way < 0 || f->mine.term > 0) return; /* ours is newer still: its text lies in the file */
    if (way == 0 && f->wanted_us > 0 && h->now_us - f->wanted_us < SPREAD_AGAIN_US) return;
    if (way > 0) settle(s, f);
    if (s->ops->look(s->arg, f->uid, etag) && strcmp(etag, theirs->etag) == 0) { /* it lies here already */
        spread_set_version(s, f, &theirs->stamp, theirs->etag);
        f->has |= h->bit;
        row(&h->has, f);
        return;
    }
    if (!theirs->gone && s->fetching >= SPREAD_FILES_MAX) return; /* he says it again */
    f->wanted = theirs->stamp;
    f->wrong = false;
    s->ops->changed(s->arg); /* nothing older is taken from here on, over a restart too */
    if (theirs->gone) {
        s->ops->store(s->arg, theirs, SPAN_NONE);
        return;
    }
    f->wanted_us = h->now_us;
    s->fetching++;
    want(h, f);
}

static void on_have(struct spread_heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_ROWS_MAX); i++) {
        struct spread_file theirs, *f;
        int way;

        if (!row_read(packed_at(rows, i), &theirs)) continue;
        f = spread_named(h->s, theirs.uid);
        if (!f) continue;
        way = stamp_cmp(&theirs.stamp, &f->stamp);
        if (way > 0) {
            newer(h, f, &theirs);
            continue;
        }
        if (way == 0) f->has |= h->bit;
        row(way == 0 ? &h->has : &h->have, f);
    }
}

static void on_has(struct spread_heard *h, const struct packed *word)
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

static void on_want(struct spread_heard *h, const struct packed *word)
{
    const struct packed *rows = packed_get(word, "rows");
    char uid[SPREAD_UID_MAX];

    for (size_t i = 0; i < MIN(packed_n(rows), SPREAD_FILES_MAX); i++) {
        const struct spread_file *f =
            spread_uid_of(packed_as_str(packed_at(rows, i)), uid) ? spread_file(h->s, uid) : NULL;

        if (f && f->stamp.term > 0 && !f->gone) tell_file(h->s, h->from, f);
    }
}

static void on_file(struct spread_heard *h, const struct packed *word)
{
    struct span text = packed_str(word, "text");
    struct spread_file v = {.gone = false}, *f = NULL;

    if (spread_uid_of(packed_str(word, "uid"), v.uid)) f = map_get(&h->s->files, span_of(v.uid));
    /* only what was asked for */
    if (!f || !stamp_get(word, "stamp", &v.stamp) || stamp_cmp(&v.stamp, &f->wanted) != 0 ||
        f->wanted_us == 0 || f->wrong || !text.p || text.n > SPREAD_TEXT_MAX ||
        !span_copy(packed_str(word, "etag"), v.etag, sizeof(v.etag)) || !v.etag[0])
        return;
    h->s->ops->store(h->s->arg, &v, text);
}

static void on_refused(struct spread_heard *h, const struct packed *word)
{
    struct stamp stamp;
    char uid[SPREAD_UID_MAX];
    struct spread_file *f =
        spread_uid_of(packed_str(word, "uid"), uid) ? map_get(&h->s->files, span_of(uid)) : NULL;

    if (!f || !stamp_get(word, "stamp", &stamp) || stamp_cmp(&stamp, &f->stamp) != 0) return;
    f->refused |= h->bit;
    f->why_node = h->from;
    span_copy(span_sub(packed_str(word, "text"), 0, sizeof(f->why) - 1), f->why, sizeof(f->why));
}

void spread_heard(struct spread *s, uint16_t from, struct span word, usec_t now_us)
{
    static void (*const on[SPREAD_WORDS])(struct spread_heard * h, const struct packed *word) = {
        [SPREAD_HAVE] = on_have,
        [SPREAD_HAS] = on_has,
        [SPREAD_WANT] = on_want,
        [SPREAD_FILE] = on_file,
        [SPREAD_REFUSED] = on_refused,
        [SPREAD_PROMISE] = spread_on_promise,
        [SPREAD_PROMISED] = spread_on_promised};
    struct spread_heard h = {.s = s, .from = from, .bit = spread_bit(s, from), .now_us = now_us};
    struct unpack *u = NULL;
    const struct packed *v;
    uint64_t kind;

    if ((h.bit == 0 && from != s->self) || unpack_new(word, &u) != 0) return;
    v = unpack_root(u);
    kind = packed_u64(v, "kind", 0);
    if (h.bit == 0 && kind != SPREAD_PROMISED) kind = SPREAD_WORDS;
    h.has = spread_rows_to(s, from, SPREAD_HAS, false);
    h.have = spread_rows_to(s, from, SPREAD_HAVE, false);
    h.want = spread_rows_to(s, from, SPREAD_WANT, false);
    h.promised = spread_rows_to(s, from, SPREAD_PROMISED, true);
    if (packed_u64(v, "v", 0) == VERSION && kind < SPREAD_WORDS && on[kind]) on[kind](&h, v);
    spread_rows_end(&h.has);
    spread_rows_end(&h.have);
    spread_rows_end(&h.want);
    spread_rows_end(&h.promised);
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
    spread_push_tick(s, now_us);
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

    if (spread_pushing(s, uid)) return false;
    for (size_t i = 0; f && i < s->n_nodes; i++)
        if (s->ops->there(s->arg, s->nodes[i]) && !((f->has | f->refused) >> i & 1)) return false;
    return true;
}

/* --- as they are kept --- */

static bool is_kept(const struct spread_file *f)
{
    return f->stamp.term > 0 || f->promised.term > 0 || f->wanted.term > 0;
}

/* uid, stamp, etag, gone, promised, wanted; and of our push: mine, base, whether it goes. It may have been
 * decided, and somebody told so: behind a restart it goes on, and replaces what was there when it was asked.
 */
static void kept_pack(const struct spread_file *f, struct packer *p)
{
    bool mine = f->mine.term > 0;

    pack_array(p, mine ? 9 : 6);
    pack_str(p, span_of(f->uid));
    stamp_pack(p, &f->stamp);
    pack_str(p, span_of(f->etag));
    pack_bool(p, f->gone);
    stamp_pack(p, &f->promised);
    stamp_pack(p, &f->wanted);
    if (!mine) return;
    stamp_pack(p, &f->mine);
    stamp_pack(p, &f->base);
    pack_bool(p, f->mine_gone);
}

void spread_pack(const struct spread *s, struct packer *p)
{
    struct map_slot slot;
    uint32_t n = 0;
    size_t at = 0;

    while (map_next(&s->files, &at, &slot)) n += is_kept(slot.value);
    pack_array(p, n);
    for (at = 0; map_next(&s->files, &at, &slot);)
        if (is_kept(slot.value)) kept_pack(slot.value, p);
}

static bool kept_read(const struct packed *v, struct spread_file *ret)
{
    size_t n = packed_n(v);

    *ret = (struct spread_file){.gone = packed_as_bool(packed_at(v, 3), false),
        .based = n == 9,
        .keep = n == 9,
        .mine_gone = packed_as_bool(packed_at(v, 8), false)};
    (void)stamp_read(packed_at(v, 1), &ret->stamp); /* it was never pushed: only promised */
    (void)stamp_read(packed_at(v, 4), &ret->promised);
    (void)stamp_read(packed_at(v, 5), &ret->wanted);
    (void)stamp_read(packed_at(v, 7), &ret->base);
    return (n == 6 || (n == 9 && stamp_read(packed_at(v, 6), &ret->mine))) && is_kept(ret) &&
        spread_uid_of(packed_as_str(packed_at(v, 0)), ret->uid) &&
        span_copy(packed_as_str(packed_at(v, 2)), ret->etag, sizeof(ret->etag)) &&
        (ret->stamp.term == 0 || ret->gone == (ret->etag[0] == 0));
}

bool spread_read(struct spread *s, const struct packed *v)
{
    struct spread_file one;
    bool ok = packed_kind(v) == PACKED_ARRAY;

    for (size_t i = 0; i < packed_n(v); i++)
        if (kept_read(packed_at(v, i), &one))
            *spread_file_of(s, one.uid) = one;
        else
            ok = false; /* the others count */
    return ok;
}
