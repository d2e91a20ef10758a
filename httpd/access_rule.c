#include "httpd/access_rule.h"
#include "httpd/question.h"
#include "httpd/sessions.h"
#include "httpd/stream.h"

#define BIT(n) (1u << (n))

struct access_verdict access_rule_says(const struct facts *f)
{
    if (f->server_listed == KNOWN_NO)
        return (struct access_verdict){403, "this server is open to listed addresses only"};
    if (f->mode == ACCESS_NONE) return (struct access_verdict){403, "nobody may watch this stream"};
    if (!f->proto_ok) return (struct access_verdict){403, "this stream is not offered in this way"};
    if (f->mode == ACCESS_PROTECTED && f->listed != KNOWN_YES)
        return (struct access_verdict){403, "this stream is open to listed addresses only"};
    return (struct access_verdict){200, ""};
}

/* --- it has changed --- */

/* Those on other roads than these. */
static void end_holds(struct list *holds, unsigned open)
{
    LIST_EACH(holds, at)
    {
        struct access_hold *hold = LIST_ITEM(at, struct access_hold, link);

        if (open & BIT(hold->road)) continue;
        access_release(hold);
        hold->on_end(hold);
    }
}

/* What was given to a viewer stays, where the rule lets that address watch at all. */
static bool not_any_more(struct session *s, void *arg)
{
    struct stream *st = arg;
    struct access_ask a = {.hub = s->hub, .stream = st, .road = ROAD_PAGE, .address = s->address};
    struct facts f = {.listed = NOT_KNOWN};

    if (!span_is(span_of(s->uid), st->v.uid) || s->grant.ops & BIT(ACCESS_PUBLISH)) return false;
    end_holds(&s->holds, st->v.rule.roads);
    facts_of_rule(&f, &a);
    f.proto_ok = true;
    return access_rule_says(&f).status != 200 || (st->v.rule.mode == ACCESS_PRIVATE && s->grant.free);
}

void access_rule_changed(struct stream *s)
{
    refusals_forget(&s->hub->refusals);
    end_holds(&s->anyone, access_open(s->hub, s) ? s->v.rule.roads : 0);
    sessions_end_where(s->hub, not_any_more, s);
}

static bool of_stream(struct session *s, void *arg)
{
    const struct stream *st = arg;

    return span_is(span_of(s->uid), st->v.uid);
}

void access_stream_gone(struct stream *s)
{
    end_holds(&s->anyone, 0);
    sessions_end_where(s->hub, of_stream, s);
}
