#include "master/connector/names.h"
#include "common/base/mem.h"
#include "common/net/addr.h"
#include "master/connector/resolve.h"

#define HOST_MAX 256
#define ANY_PORT 1 /* of a lookup: 0 is no port to c-ares */

struct asked {
    struct names *all;
    struct lookup *lookup; /* NULL: this place is free */
    char host[HOST_MAX];
};
struct names {
    struct resolver *resolver;
    names_fn *fn;
    void *arg;
    struct asked v[NAMES_MAX];
};

static void found(void *arg, int err, const char *text, const struct sockaddr_storage *addrs, size_t n)
{
    char addr[ADDR_TEXT_MAX] = "";
    struct asked *a = arg;
    struct addr first;

    (void)text;
    if (err == 0 && n > 0 && addr_of((const struct sockaddr *)&addrs[0], &first)) addr_text(&first, addr);
    a->lookup = NULL;
    a->all->fn(a->all->arg, a->host, addr);
}

void names_ask(struct names *n, struct span host)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        struct asked *a = &n->v[i];

        if (a->lookup) continue;
        if (host.n == 0 || !span_copy(host, a->host, sizeof(a->host))) return;
        a->all = n;
        a->lookup = lookup_start(n->resolver, a->host, ANY_PORT, found, a);
        return;
    }
}

struct names *names_new(struct loop *l, const char *servers, names_fn *fn, void *arg)
{
    struct names *n = NEW(struct names);

    n->resolver = resolver_new(l, servers);
    n->fn = fn;
    n->arg = arg;
    return n;
}

void names_free(struct names *n)
{
    if (!n) return;
    for (size_t i = 0; i < NAMES_MAX; i++) lookup_cancel(n->v[i].lookup);
    resolver_free(n->resolver);
    mem_free(n);
}
