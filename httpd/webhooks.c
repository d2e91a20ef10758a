#include "httpd/webhooks.h"

static void answer(struct webhooks *w, unsigned status, const char *why)
{
    struct packer *p = channel_begin(w->master, MSG_HOOKS_DONE, 3);

    pack_kv_u64(p, "id", w->id);
    pack_kv_u64(p, "status", status);
    pack_kv_text(p, "why", why);
    channel_end(w->master, NULL, 0);
    w->id = 0;
}

static void on_answer(void *arg, const struct outgoing_answer *a)
{
    answer(arg, a->err ? 0 : a->status, a->err ? outgoing_why(a->err) : "");
}

void webhooks_on(struct webhooks *w, struct outgoing *o, const struct packed *body)
{
    char url[OUTGOING_URL_MAX + 1], signature[80] = "", field[100];
    struct outgoing_field fields[2] = {{"Content-Type", "application/json"}};
    struct outgoing_ask ask = {.method = "POST",
        .url = url,
        .fields = fields,
        .n_fields = 1,
        .body = packed_str(body, "body"),
        .limit_us = WEBHOOKS_LIMIT_US,
        .answer_max = 65536,
        .loop = w->loop,
        .done = on_answer,
        .arg = w};
    int err;

    if (w->id != 0) return; /* the master sends one and waits */
    w->id = packed_u64(body, "id", 0);
    if (!packed_text(body, "url", url, sizeof(url))) url[0] = 0;
    if (packed_text(body, "signature", signature, sizeof(signature)) && signature[0]) {
        snprintf(field, sizeof(field), "sha256=%s", signature);
        fields[ask.n_fields++] = (struct outgoing_field){"X-Signature", field};
    }
    err = outgoing_send(o, &ask);
    if (err) answer(w, 0, outgoing_why(err));
}
