#include "worker/keeper_link.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>

#define STORAGE_MAX 48

struct klink_pending {
    struct klink_pending *next;
    uint64_t id;
    size_t n;
    uint8_t info[];
};

void klink_init(struct klink *k, struct loop *l, const struct klink_ops *ops, void *arg)
{
    *k = (struct klink){.loop = l, .ops = ops, .arg = arg};
}

static void forget(struct klink *k, struct klink_pending **at)
{
    struct klink_pending *p = *at;

    *at = p->next;
    k->n--;
    mem_free(p);
}

void klink_done(struct klink *k)
{
    while (k->first) forget(k, &k->first);
    channel_free(k->keeper);
    k->keeper = NULL;
}

static void on_folder(struct klink *k, struct incoming *in)
{
    char storage[STORAGE_MAX];
    bool ok = span_is(packed_str(in->body, "state"), "ok") && in->n_fds == 1;
    int fd = -1, err = (int)CLAMP(packed_i64(in->body, "errno", 0), 0, 4095);

    (void)packed_text(in->body, "storage", storage, sizeof(storage));
    if (ok) {
        fd = in->fds[0];
        in->fds[0] = -1;
    }
    k->ops->folder(k->arg, fd, err, storage);
}

static void on_stored(struct klink *k, uint64_t id)
{
    for (struct klink_pending **at = &k->first; *at; at = &(*at)->next) {
        if ((*at)->id != id) continue;
        forget(k, at);
        return;
    }
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct klink *k = channel_arg(ch);

    if (in->type == MSG_ARCHIVE) on_folder(k, in);
    if (in->type == MSG_SEG_STORED) on_stored(k, packed_u64(in->body, "id", 0));
    return 0;
}

/* The segment stays open: the folder is ours as long as we hold it, and the next keeper hears of it. */
static void on_close(struct channel *ch, int err)
{
    struct klink *k = channel_arg(ch);

    if (k->keeper != ch) return;
    log_info("keeper-lost", "err=%s", log_q(span_of(err ? err_text(err) : "closed")));
    k->keeper = NULL;
    channel_free(ch);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static void send_closed(struct klink *k, const struct klink_pending *p)
{
    struct packer *out;

    if (!k->keeper) return;
    out = channel_begin(k->keeper, MSG_SEG_CLOSED, 2);
    pack_kv_u64(out, "id", p->id);
    pack_kv_bin(out, "info", span(p->info, p->n));
    channel_end(k->keeper, NULL, 0);
}

void klink_keeper(struct klink *k, int fd)
{
    channel_free(k->keeper);
    k->keeper = channel_new(k->loop, fd, ROLE_WORKER, ROLE_KEEPER, &ops, k);
    for (const struct klink_pending *p = k->first; p; p = p->next) send_closed(k, p);
    k->ops->connected(k->arg);
}

void klink_ask(struct klink *k)
{
    if (k->keeper) channel_send0(k->keeper, MSG_ARCHIVE_ASK);
}

void klink_opened(struct klink *k, uint64_t id, const char *storage, const char *path, usec_t start_us)
{
    struct packer *out;

    if (!k->keeper) return;
    out = channel_begin(k->keeper, MSG_SEG_OPENED, 4);
    pack_kv_u64(out, "id", id);
    pack_kv_text(out, "storage", storage);
    pack_kv_text(out, "path", path);
    pack_kv_i64(out, "start_us", start_us);
    channel_end(k->keeper, NULL, 0);
}

void klink_closed(struct klink *k, const struct seg_info *info)
{
    uint8_t bytes[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(bytes, sizeof(bytes));
    struct klink_pending *p, **end = &k->first;

    seg_info_write(&w, info);
    must(wr_ok(&w));
    p = mem_new(sizeof(*p) + w.n);
    p->id = info->id;
    p->n = w.n;
    memcpy(p->info, bytes, w.n);
    while (*end) end = &(*end)->next;
    *end = p;
    if (++k->n > KLINK_PENDING_MAX) forget(k, &k->first);
    send_closed(k, p);
}

void klink_failed(struct klink *k, int err)
{
    struct packer *out;

    if (!k->keeper) return;
    out = channel_begin(k->keeper, MSG_WRITE_FAILED, 1);
    pack_kv_i64(out, "errno", -err);
    channel_end(k->keeper, NULL, 0);
}
