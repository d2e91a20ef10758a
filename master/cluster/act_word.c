/* Acts and what masters say of them, as msgpack. */
#include "common/ipc/ctl.h"
#include "master/cluster/act.h"

#define VERSION 1

void act_pack(struct packer *p, const struct act *a)
{
    pack_map(p, 9);
    pack_kv_i64(p, "id", (int64_t)a->id);
    stamp_kv(p, "stamp", &a->stamp);
    pack_kv_u64(p, "kind", a->kind);
    pack_kv_text(p, "uid", a->uid);
    pack_kv_text(p, "by", a->by);
    pack_kv_text(p, "from", a->from);
    pack_kv_text(p, "to", a->to);
    pack_kv_text(p, "note", a->note);
    pack_kv_i64(p, "at_us", a->at_us);
}

/* A text without a NUL in it, that fits. */
static bool text_of(const struct packed *v, const char *key, char *dst, size_t cap)
{
    struct span s = packed_str(v, key);

    return s.p && (s.n == 0 || !memchr(s.p, 0, s.n)) && span_copy(s, dst, cap);
}

bool act_read(const struct packed *v, struct act *ret)
{
    uint64_t kind = packed_u64(v, "kind", 0);

    *ret = (struct act){.id = (uint64_t)packed_i64(v, "id", 0), .at_us = packed_i64(v, "at_us", -1)};
    (void)stamp_get(v, "stamp", &ret->stamp);
    if (ret->id == 0 || kind == 0 || kind >= ACT_KINDS || ret->at_us < 0) return false;
    ret->kind = (enum act_kind)kind;
    return text_of(v, "uid", ret->uid, sizeof(ret->uid)) && ret->uid[0] &&
        text_of(v, "by", ret->by, sizeof(ret->by)) && text_of(v, "from", ret->from, sizeof(ret->from)) &&
        text_of(v, "to", ret->to, sizeof(ret->to)) && text_of(v, "note", ret->note, sizeof(ret->note));
}

void act_word_pack(struct packer *p, const struct act_word *w)
{
    pack_map(p, w->rows.p ? 8 : 7);
    pack_kv_u64(p, "v", VERSION);
    pack_kv_u64(p, "kind", w->kind);
    pack_key(p, "act");
    act_pack(p, &w->act);
    pack_kv_u64(p, "ref", w->ref);
    pack_kv_u64(p, "code", (uint64_t)w->code);
    stamp_kv(p, "held", &w->held);
    pack_kv_text(p, "text", w->text);
    if (w->rows.p) pack_kv_bin(p, "rows", w->rows);
}

bool act_word_read(const struct packed *v, struct act_word *ret)
{
    uint64_t kind = packed_u64(v, "kind", 0), code = packed_u64(v, "code", UINT64_MAX);
    bool stamped;

    if (packed_u64(v, "v", 0) != VERSION || kind == 0 || kind >= ACT_WORDS || code > CTL_BUSY) return false;
    *ret = (struct act_word){.kind = (enum act_word_kind)kind,
        .ref = packed_u64(v, "ref", 0),
        .code = (int)code,
        .rows = packed_str(v, "rows")};
    (void)stamp_get(v, "held", &ret->held);
    if (!act_read(packed_get(v, "act"), &ret->act) || !text_of(v, "text", ret->text, sizeof(ret->text)))
        return false;
    stamped = ret->act.stamp.term > 0;
    return stamped == (kind != ACT_ASK && kind != ACT_ANSWER);
}
