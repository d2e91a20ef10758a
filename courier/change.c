#include "courier/change.h"
#include "common/base/mem.h"

#define BODY_MAX (2 * CHANGE_BYTES_MAX)
#define KEY_MAX  400

struct item {
    char uid[64];
    uint64_t was;
    uint8_t *text; /* NULL: it goes */
    size_t n;
};
struct change {
    struct list link;
    struct changes *in;
    uint64_t id;
    struct item *v;
    size_t n, bytes;
    bool large, asked;
};

void changes_init(struct changes *c, change_fn *fn, void *arg)
{
    *c = (struct changes){.fn = fn, .arg = arg};
    list_init(&c->v);
}

static void change_free(struct change *x)
{
    for (size_t i = 0; i < x->n; i++) mem_free(x->v[i].text);
    mem_free(x->v);
    list_remove(&x->link);
    x->in->n--;
    mem_free(x);
}

/* What fn does may add another. */
static void end(struct change *x, const struct change_done *d)
{
    struct changes *c = x->in;
    struct change_done said = *d;

    said.id = x->id;
    change_free(x);
    c->fn(c->arg, &said);
}

static struct change *change_of(struct changes *c, uint64_t id)
{
    LIST_EACH(&c->v, link)
    {
        struct change *x = LIST_ITEM(link, struct change, link);

        if (x->id == id && !x->asked) return x;
    }
    return NULL;
}

void changes_add(struct changes *c, const struct packed *body)
{
    struct span text = packed_str(body, "text");
    uint64_t id = packed_u64(body, "id", 0);
    struct change *x = change_of(c, id);
    struct item *i;

    if (!x && c->n == CHANGES_MAX) return; /* ETCD_COMMIT finds none */
    if (!x) {
        x = NEW(struct change);
        x->in = c;
        x->id = id;
        list_push(&c->v, &x->link);
        c->n++;
    }
    x->bytes += text.n + KEY_MAX;
    x->large |= x->n == GATEWAY_CHANGES_MAX || x->bytes > CHANGE_BYTES_MAX || text.n > GATEWAY_VALUE_MAX;
    if (x->large) return;
    x->v = mem_renew(x->v, (x->n + 1) * sizeof(*x->v));
    i = &x->v[x->n++];
    *i = (struct item){.was = packed_u64(body, "was", 0), .n = text.n};
    x->large |= !packed_text(body, "uid", i->uid, sizeof(i->uid));
    if (text.p) i->text = mem_dup(text.p, MAX(text.n, 1));
}

/* Codes of gRPC that say for certain that nothing was changed; any other may come of a cluster that carries
 * it out a moment later. */
static bool refused(const struct gateway_answer *a)
{
    static const uint8_t codes[] = {3 /* invalid argument */, 7 /* permission denied */,
        8 /* too large, or out of room */, 9 /* failed precondition */, 12 /* unimplemented */,
        GATEWAY_UNAUTHENTICATED};

    for (size_t i = 0; i < sizeof(codes); i++)
        if (a->failed && a->code == codes[i]) return true;
    return false;
}

static void on_answer(void *arg, const struct etcd_reply *r)
{
    struct change *x = arg;
    struct gateway_answer a;
    struct change_done d = {.how = ETCD_NOT_DONE};

    if (r->err != 0) {
        d.how = r->err == ETCD_E_LATE || r->err == ETCD_E_CONNECT ? ETCD_UNKNOWN : ETCD_NOT_DONE;
        d.why = r->why;
    } else if (!gateway_read(r->body, NULL, NULL, &a)) {
        d.how = ETCD_UNKNOWN;
        d.why = "its answer is no JSON";
    } else if (a.failed || r->status != 200) {
        d.how = refused(&a) ? ETCD_NOT_DONE : ETCD_UNKNOWN;
        d.why = a.why[0] ? a.why : "it has refused";
    } else {
        d.how = a.succeeded ? ETCD_DONE : ETCD_CONFLICT;
        d.revision = a.revision;
        d.why = a.succeeded ? "" : "a record is not as it was when it was read";
    }
    end(x, &d);
}

static bool write_all(const struct change *x, const char *prefix, struct buf *to)
{
    struct gateway_change *v = mem_renew(NULL, x->n * sizeof(*v));
    char(*keys)[KEY_MAX] = mem_renew(NULL, x->n * sizeof(*keys));
    bool ok;

    for (size_t i = 0; i < x->n; i++) {
        snprintf(keys[i], KEY_MAX, "%s/streams/%s", prefix, x->v[i].uid);
        v[i] = (struct gateway_change){.key = span_of(keys[i]),
            .value = span(x->v[i].text, x->v[i].n),
            .was = x->v[i].was,
            .gone = x->v[i].text == NULL};
    }
    ok = gateway_change(to, v, x->n);
    mem_free(keys);
    mem_free(v);
    return ok;
}

void changes_commit(struct changes *c, struct etcd *e, const char *prefix, const struct packed *body)
{
    struct change_done d = {.id = packed_u64(body, "id", 0), .how = ETCD_NOT_DONE};
    struct change *x = change_of(c, d.id);
    struct buf b;

    buf_init(&b, BODY_MAX);
    if (!x)
        d.why = "too much is changed at once";
    else if (x->large)
        d.why = "it is more than a transaction takes: 128 records, and 1 MiB of text";
    else if (!e || !write_all(x, prefix, &b))
        d.why = e ? "out of memory" : "it does not answer";
    else if (etcd_ask(e, "/v3/kv/txn", buf_span(&b), on_answer, x) != 0)
        d.why = "it cannot be asked";
    else
        x->asked = true;
    buf_done(&b);
    if (x && !x->asked)
        end(x, &d);
    else if (!x)
        c->fn(c->arg, &d);
}

void changes_away(struct changes *c)
{
    const struct change_done d = {.how = ETCD_UNKNOWN, .why = "it went while it was asked"};

    LIST_EACH(&c->v, link)
    {
        struct change *x = LIST_ITEM(link, struct change, link);

        if (x->asked) end(x, &d);
    }
}

void changes_done(struct changes *c)
{
    LIST_EACH(&c->v, link) change_free(LIST_ITEM(link, struct change, link));
}
