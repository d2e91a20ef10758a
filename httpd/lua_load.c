/* Which script runs: what was found is tried, and what is refused changes nothing. */
#include "common/base/log.h"
#include "httpd/lua_impl.h"

static void send_load(struct lua *x, unsigned slot, const struct buf *load, bool good)
{
    lua_send_ready(x, buf_span(load),
        (struct lua_flight){.op = LUAHOST_LOAD, .slot = slot, .good = good, .turn = x->scripts[slot].turn});
}

/* A candidate is tried behind the one that works: until it is taken, that one answers. */
void lua_load_all(struct lua *x)
{
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) {
        struct lua_script *s = &x->scripts[i];

        if (buf_n(&s->good) > 0 && !s->sent_good) send_load(x, i, &s->good, true);
        s->sent_good = true;
        if (buf_n(&s->candidate) > 0 && !s->trying) {
            s->trying = true;
            send_load(x, i, &s->candidate, false);
        }
    }
}

void lua_load_new_host(struct lua *x)
{
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) x->scripts[i].sent_good = x->scripts[i].trying = false;
    lua_load_all(x);
}

/* A plug-in that is not configured any more. */
static bool is_let_go(const struct lua *x, unsigned slot)
{
    return x->conf.entry[slot][0] == '\0' && slot >= LUAHOST_PLUGIN;
}

void lua_load_found(struct lua *x, enum luahost_slot slot, struct lua_found *f)
{
    struct lua_script *s = &x->scripts[slot];
    const char *name = luahost_slot_name(slot);

    s->looked = true;
    if (!f->changed) return;
    if (f->foreign[0])
        log_error("script-foreign",
            "script=%s file=%s why=\"not made for this server: no line '" LUAHOST_INTERFACE
            "' in its first bytes, or not text\" effect=\"ours is used\"",
            name, log_q(span_of(f->foreign)));
    if (f->error[0])
        log_error("script-unread", "script=%s why=%s effect=%s", name, log_q(span_of(f->error)),
            buf_n(&s->good) > 0 ? "\"the one before stays\"" : "\"none runs\"");
    /* Whatever becomes of one that is being tried, the good one is in place before the new one is tried. */
    if (s->trying) s->sent_good = s->trying = false;
    s->turn++;
    buf_done(&s->candidate);
    s->candidate = f->load;
    f->load = (struct buf){0};
    snprintf(s->from, sizeof(s->from), "%s", f->from);
    if (is_let_go(x, slot)) buf_done(&s->good);
}

static void refuse(struct lua_script *s, unsigned slot, struct span error)
{
    log_error("script-refused", "script=%s file=%s error=%s effect=%s",
        luahost_slot_name((enum luahost_slot)slot), log_q(span_of(s->from)), log_q(error),
        buf_n(&s->good) > 0 ? "\"the one before stays\"" : "\"none runs\"");
    buf_done(&s->candidate);
    s->trying = false;
}

void lua_loaded(struct lua *x, const struct lua_flight *f, bool ok, struct span error)
{
    struct lua_script *s = &x->scripts[f->slot];

    if (f->good || f->turn != s->turn) return;
    if (!ok) {
        refuse(s, f->slot, error);
        return;
    }
    log_note("script-runs", "script=%s file=%s", luahost_slot_name((enum luahost_slot)f->slot),
        log_q(span_of(s->from)));
    atomic_store(&s->site, !span_starts(span_of(s->from), span_of(x->conf.shipped)));
    atomic_fetch_add(&s->taken, 1);
    buf_done(&s->good);
    s->good = s->candidate;
    s->candidate = (struct buf){0};
    s->trying = false;
    if (x->ops->loaded) x->ops->loaded(x->arg, (enum luahost_slot)f->slot);
}

void lua_load_died(struct lua *x, const struct lua_flight *f)
{
    struct lua_script *s = &x->scripts[f->slot];

    if (!f->good && f->turn == s->turn)
        refuse(s, f->slot, SPAN_LIT("it does not end while it is loaded, or ends its process"));
}

bool lua_has_script(const struct lua *x, enum luahost_slot slot, bool *ret_may_come)
{
    const struct lua_script *s = &x->scripts[slot];

    *ret_may_come = !s->looked || buf_n(&s->candidate) > 0;
    return buf_n(&s->good) > 0;
}

bool lua_is_site(const struct lua *x, enum luahost_slot slot)
{
    return x && atomic_load(&x->scripts[slot].site);
}

unsigned lua_taken(const struct lua *x, enum luahost_slot slot)
{
    return x ? atomic_load(&x->scripts[slot].taken) : 0;
}
