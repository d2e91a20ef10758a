#include "httpd/plugins.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#define NAME_MAX_N (PLUGIN_NAME_MAX + 1 + PLUGIN_KEY_MAX + 1)

/* By "plugin/key"; a plug-in's name has no '/'. */
struct plugin_store {
    struct map by_name;
};
struct value {
    size_t n;
    uint8_t bytes[];
};

struct plugin_store *plugin_store_new(void)
{
    return NEW(struct plugin_store);
}

void plugin_store_free(struct plugin_store *s)
{
    struct map_slot slot;
    size_t at = 0;

    if (!s) return;
    while (map_next(&s->by_name, &at, &slot)) mem_free(slot.value);
    map_done(&s->by_name);
    mem_free(s);
}

static struct span name_of(struct wr *w, const char *plugin, struct span key)
{
    wr_fmt(w, "%s/", plugin);
    wr_bytes(w, key);
    return wr_span(w);
}

bool plugin_store_set(struct plugin_store *s, const char *plugin, struct span key, struct span value)
{
    char mem[NAME_MAX_N];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span name;
    struct value *v;

    if (key.n == 0 || key.n > PLUGIN_KEY_MAX || value.n > PLUGIN_VALUE_MAX || span_find(key, 0) >= 0)
        return false;
    name = name_of(&w, plugin, key);
    if (!value.p) {
        mem_free(map_remove(&s->by_name, name));
        return true;
    }
    if (!map_get(&s->by_name, name) && s->by_name.n >= PLUGIN_ROWS_MAX) return false;
    v = mem_new(sizeof(*v) + value.n);
    v->n = value.n;
    memcpy(v->bytes, value.p, value.n);
    mem_free(map_set(&s->by_name, name, v));
    return true;
}

struct span plugin_store_get(const struct plugin_store *s, const char *plugin, struct span key)
{
    char mem[NAME_MAX_N];
    struct wr w = wr_of(mem, sizeof(mem));
    const struct value *v;

    if (key.n > PLUGIN_KEY_MAX) return SPAN_NONE;
    v = map_get(&s->by_name, name_of(&w, plugin, key));
    return v ? span(v->bytes, v->n) : SPAN_NONE;
}

void plugin_store_keys(const struct plugin_store *s, const char *plugin, struct packer *p)
{
    char mem[NAME_MAX_N];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span head = name_of(&w, plugin, SPAN_NONE);
    struct map_slot slot;
    uint32_t n = 0;
    size_t at = 0;

    while (map_next(&s->by_name, &at, &slot)) n += span_starts(span_of(slot.key), head);
    pack_array(p, n);
    at = 0;
    while (map_next(&s->by_name, &at, &slot))
        if (span_starts(span_of(slot.key), head)) pack_str(p, span_from(span_of(slot.key), head.n));
}

/* --- hosts --- */

static bool host_fits(struct span pattern, struct span host)
{
    if (span_is(pattern, "*")) return true;
    if (span_starts(pattern, SPAN_LIT("*."))) {
        struct span end = span_from(pattern, 1);

        return host.n > end.n && span_ieq(span_from(host, host.n - end.n), end);
    }
    return span_ieq(pattern, host);
}

bool plugin_host_ok(struct span hosts, struct span text)
{
    struct span one, port;
    struct url u;
    uint64_t n;

    if (url_parse(text, &u) != 0 || (u.scheme != URL_HTTP && u.scheme != URL_HTTPS)) return false;
    while (span_split(&hosts, ',', &one)) {
        ssize_t colon;

        one = span_trim(one);
        colon = span_find(one, ':');
        port = colon < 0 ? SPAN_NONE : span_from(one, (size_t)colon + 1);
        if (colon >= 0) one = span_sub(one, 0, (size_t)colon);
        if (one.n == 0 || !host_fits(one, u.host)) continue;
        if (!port.p || (span_u64(port, 65535, &n) && n == u.port)) return true;
    }
    return false;
}
