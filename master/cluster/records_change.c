/* Streams that somebody changes by call (edits.h) where the site's etcd keeps them: put there by one
 * transaction that asks for the revisions they were read at, and answered once they have come back from there
 * and run. While etcd does not answer they are not changed at all. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records_impl.h"
#include "master/edits.h"
#include "master/master.h"

#define PATIENCE_US  (12 * US_PER_S) /* of who asks; the API waits for 20 s */
#define CHANGES_MOST 24              /* as many as may wait at the control socket */

struct item {
    char uid[RECORDS_UID_MAX];
    uint64_t sum; /* of its text */
    bool gone, taken;
};
struct change {
    struct list link;
    uint64_t id, who; /* the courier's, and of the session that waits */
    char by[CONTROL_BY_MAX], why[REVISION_TEXT_MAX];
    struct item *v;
    size_t n;
    bool done; /* etcd has it, since: */
    uint64_t at;
    uint64_t revision; /* of this node, by which it can be undone */
    char refused[RECORDS_WHY_MAX];
    usec_t until_us;
};

bool records_has(const struct master *m, const char *uid)
{
    struct records *r = records_of(m);
    const struct stored *v = r && records_wanted(m->cluster) ? records_stream(r, span_of(uid), false) : NULL;

    return v && !v->gone;
}

uint64_t records_revision(const struct master *m, const char *uid)
{
    struct records *r = records_of(m);
    const struct stored *v = r ? records_stream(r, span_of(uid), false) : NULL;

    return v && v->ours && !v->gone && !v->kept && !v->why ? v->revision : 0;
}

/* A stream that stands in a file here and has no record stays this node's own. */
enum records_home records_home(const struct master *m, const char *uid)
{
    const struct records *r = records_of(m);

    if (!r || !records_wanted(m->cluster)) return RECORDS_FILE;
    return records_has(m, uid) || !conf_stream(m->conf, span_of(uid)) ? RECORDS_STORE : RECORDS_FILE;
}

/* --- asking --- */

static void send_item(struct channel *ch, uint64_t id, const struct records_change *x, const struct stored *v)
{
    struct packer *p = channel_begin(ch, MSG_ETCD_CHANGE, x->text.p ? 4 : 3);

    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "uid", x->uid);
    pack_kv_u64(p, "was", v && !v->gone && !v->kept ? v->revision : 0);
    if (x->text.p) pack_kv_bin(p, "text", x->text);
    channel_end(ch, NULL, 0);
}

static const char *refusal(const struct records *r, const struct records_order *o)
{
    size_t bytes = 0;

    if (!r->state.there || r->reading || !services_channel(r->c->m, SERVICE_COURIER))
        return "the site's etcd, which keeps this stream, does not answer: nothing was changed";
    if (o->who == 0)
        return "the site's etcd keeps this stream: it is changed there, or by the API's streams and msctl";
    if (r->n_changes == CHANGES_MOST) return "too much is changed at once: nothing was changed";
    for (size_t i = 0; i < o->n; i++) {
        bytes += o->v[i].text.n;
        if (o->v[i].text.n > RECORDS_TEXT_MAX)
            return "its file is longer than the 56 KiB that the site's etcd keeps of a stream";
    }
    if (o->n > RECORDS_CHANGES_MAX || bytes > RECORDS_BYTES_MAX)
        return "the site's etcd takes 128 streams and 512 KiB at once: nothing was changed";
    return NULL;
}

const char *records_change(struct master *m, const struct records_order *o)
{
    struct records *r = records_of(m);
    const char *why = refusal(r, o);
    struct channel *ch = services_channel(m, SERVICE_COURIER);
    struct change *x;
    struct packer *p;

    if (why) return why;
    x = NEW(struct change);
    x->id = ++m->control.asks;
    x->who = o->who;
    x->n = o->n;
    x->v = mem_new_n(o->n, sizeof(*x->v));
    x->until_us = clock_mono_us() + PATIENCE_US;
    span_copy(span_sub(span_of(o->by), 0, sizeof(x->by) - 1), x->by, sizeof(x->by));
    span_copy(span_sub(span_of(o->why), 0, sizeof(x->why) - 1), x->why, sizeof(x->why));
    for (size_t i = 0; i < o->n; i++) {
        x->v[i] = (struct item){.sum = hash_fnv1a(o->v[i].text), .gone = o->v[i].text.p == NULL};
        span_copy(span_of(o->v[i].uid), x->v[i].uid, sizeof(x->v[i].uid));
        send_item(ch, x->id, &o->v[i], records_stream(r, span_of(o->v[i].uid), false));
        log_event_of(LOG_INFO, o->v[i].uid, "record-change", "what=%s by=%s",
            o->v[i].text.p ? "put" : "delete", log_q(span_of(x->by)));
    }
    list_push(&r->changes, &x->link);
    r->n_changes++;
    p = channel_begin(ch, MSG_ETCD_COMMIT, 1);
    pack_kv_u64(p, "id", x->id);
    channel_end(ch, NULL, 0);
    return NULL;
}

/* --- what came of it --- */

static void change_free(struct records *r, struct change *x)
{
    r->n_changes--;
    list_remove(&x->link);
    mem_free(x->v);
    mem_free(x);
}

static void answer(struct records *r, struct change *x, int code, const char *text)
{
    struct session *s = control_acting(r->c->m, x->who);
    uint64_t revision = x->revision;
    char said[EDITS_TEXT_MAX];

    span_copy(span_sub(span_of(text), 0, sizeof(said) - 1), said, sizeof(said));
    change_free(r, x);
    if (!s) return;
    s->act_id = 0;
    if (s->late) s->late(s, code, revision);
    control_answer_late(s, code, said, SPAN_NONE);
}

static bool all_taken(const struct change *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (!x->v[i].taken) return false;
    return true;
}

static void answer_done(struct records *r, struct change *x)
{
    char text[EDITS_TEXT_MAX];

    if (x->refused[0])
        snprintf(text, sizeof(text), "stored in the site's etcd, and not applied here: %s", x->refused);
    else
        snprintf(text, sizeof(text), "applied: stored in the site's etcd, revision %llu",
            (unsigned long long)x->at);
    answer(r, x, x->refused[0] ? CTL_FAILED : CTL_OK, text);
}

/* Who has asked for a text that comes from there now; NULL: nobody here. */
static struct change *change_of(const struct records *r, const struct stored *v, struct item **ret)
{
    LIST_EACH(&r->changes, link)
    {
        struct change *x = LIST_ITEM(link, struct change, link);

        for (size_t i = 0; i < x->n; i++) {
            *ret = &x->v[i];
            if (strcmp(x->v[i].uid, v->uid) == 0 && x->v[i].gone == v->gone &&
                (v->gone || x->v[i].sum == v->asked_sum))
                return x;
        }
    }
    return NULL;
}

bool records_by(const struct master *m, const char *uid, struct records_by *ret)
{
    struct records *r = records_of(m);
    const struct stored *v = r ? records_stream(r, span_of(uid), false) : NULL;
    struct item *item;
    const struct change *x = v ? change_of(r, v, &item) : NULL;

    if (x) *ret = (struct records_by){x->by, x->why, x->id};
    return x != NULL;
}

void records_change_taken(struct records *r, const struct stored *v, const char *why, uint64_t revision)
{
    struct item *item;
    struct change *x = change_of(r, v, &item);

    if (!x) return;
    item->taken = true;
    x->revision = MAX(x->revision, revision);
    if (why) span_copy(span_sub(span_of(why), 0, sizeof(x->refused) - 1), x->refused, sizeof(x->refused));
    if (x->at == 0) x->at = v->asked; /* an answer that was lost */
    if (all_taken(x)) answer_done(r, x);
}

/* A key that was not there is not seen to go. */
static void take_kept(struct records *r, struct change *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct stored *v = x->v[i].gone ? records_stream(r, span_of(x->v[i].uid), false) : NULL;

        if (!v || !v->kept) continue;
        v->kept = false;
        if (v->ours)
            records_take_gone(r, v, x->at);
        else
            x->v[i].taken = true;
    }
    if (all_taken(x)) answer_done(r, x);
}

static struct change *change_with(const struct records *r, uint64_t id)
{
    LIST_EACH(&r->changes, link)
    {
        struct change *x = LIST_ITEM(link, struct change, link);

        if (x->id == id) return x;
    }
    return NULL;
}

void records_on_changed(struct master *m, const struct packed *body)
{
    struct records *r = records_of(m);
    struct change *x = r ? change_with(r, packed_u64(body, "id", 0)) : NULL;
    uint64_t how = packed_u64(body, "how", ETCD_UNKNOWN);
    char why[RECORDS_WHY_MAX], text[EDITS_TEXT_MAX];

    if (!x) return;
    span_copy(span_sub(packed_str(body, "why"), 0, sizeof(why) - 1), why, sizeof(why));
    if (how == ETCD_DONE) {
        x->done = true;
        x->at = packed_u64(body, "revision", 0);
        take_kept(r, x);
    } else if (how == ETCD_CONFLICT) {
        answer(r, x, CTL_CHANGED, "it is not as it was when it was read, in the site's etcd: read it again");
    } else if (how == ETCD_NOT_DONE) {
        snprintf(text, sizeof(text), "nothing was changed, the site's etcd: %s", why);
        answer(r, x, CTL_BUSY, text);
    } /* else: if it was done, it comes from there */
}

void records_change_tick(struct records *r, usec_t now_us)
{
    LIST_EACH(&r->changes, link)
    {
        struct change *x = LIST_ITEM(link, struct change, link);

        if (now_us < x->until_us) continue;
        if (x->done)
            answer(r, x, CTL_OK, "stored in the site's etcd; this node has not taken it over yet");
        else
            answer(r, x, CTL_BUSY,
                "the site's etcd went while it was asked: whether this was done shows when it is back");
    }
}

void records_change_stop(struct records *r)
{
    LIST_EACH(&r->changes, link) change_free(r, LIST_ITEM(link, struct change, link));
}
