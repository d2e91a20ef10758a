#include "httpd/doors.h"
#include "httpd/http.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

static void accepted(void *arg, int fd)
{
    http_accept(arg, fd);
}

void doors_open(struct hub *hub, void *door_set)
{
    const struct door_set *set = door_set;
    struct door *d = NEW(struct door);

    d->hub = hub;
    d->fd = set->fd;
    d->module = set->module;
    span_copy(span_of(set->base), d->base, sizeof(d->base));
    d->listener = listener_new(hub->loop, set->fd, accepted, d);
    list_push(&hub->doors, &d->link);
}

void doors_close(struct hub *hub)
{
    LIST_EACH(&hub->doors, at)
    {
        struct door *d = LIST_ITEM(at, struct door, link);

        list_remove(at);
        listener_free(d->listener);
        mem_free(d);
    }
}

void door_base(struct span text, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);
    struct span piece;

    wr_text(&w, "/");
    while (span_split(&text, '/', &piece))
        if (piece.n > 0) wr_fmt(&w, "%.*s/", SPAN_FMT(piece));
    if (wr_cstr(&w)[0] == '\0') snprintf(dst, cap, "/");
}
