#include "httpd/audit.h"
#include "common/base/mem.h"

struct told {
    struct audit *audit;
    char who[ACCESS_USER_MAX + 1], role[8], by[8], address[ADDR_TEXT_MAX];
    const char *what, *result;
    char text[AUDIT_TEXT_MAX];
};

static void tell(void *arg)
{
    struct told *t = arg;
    struct audit *a = t->audit;
    struct packer *p;

    if (bucket_peek(&a->bucket, loop_now_us(a->loop)) > 0) {
        a->held++;
        mem_free(t);
        return;
    }
    (void)bucket_take(&a->bucket, loop_now_us(a->loop));
    p = channel_begin(a->master, MSG_AUDIT, 8);
    pack_kv_text(p, "who", t->who);
    pack_kv_text(p, "role", t->role);
    pack_kv_text(p, "from", t->address);
    pack_kv_text(p, "by", t->by);
    pack_kv_text(p, "what", t->what);
    pack_kv_text(p, "result", t->result);
    pack_kv_text(p, "text", t->text);
    pack_kv_u64(p, "held", a->held);
    channel_end(a->master, NULL, 0);
    a->held = 0;
    mem_free(t);
}

void audit_say(struct audit *a, const struct audit_line *line)
{
    const struct caller *c = line->caller;
    struct told *t;

    if (!a) return;
    t = NEW(struct told);
    *t = (struct told){.audit = a, .what = line->what, .result = line->result};
    span_copy(span_sub(span_of(line->text), 0, sizeof(t->text) - 1), t->text, sizeof(t->text));
    span_copy(c ? span_of(c->name) : line->who, t->who, sizeof(t->who));
    if (c) snprintf(t->role, sizeof(t->role), "%s", c->role);
    if (c) snprintf(t->by, sizeof(t->by), "%s", c->by);
    snprintf(t->address, sizeof(t->address), "%s", c ? c->address : line->address);
    loop_post(a->loop, tell, t);
}
