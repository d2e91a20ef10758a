#include "httpd/caller.h"
#include "common/base/clock.h"
#include "common/ipc/pack.h"

bool camera_list_read(struct span text, struct camera_list *ret)
{
    struct span one;

    *ret = (struct camera_list){.n = 0};
    while (span_split(&text, ',', &one)) {
        one = span_trim(one);
        if (one.n == 0) continue;
        if (ret->n == TOKEN_STREAMS_MAX || !token_pattern_ok(one)) {
            *ret = (struct camera_list){.n = 1}; /* "" is the name of no stream */
            return false;
        }
        span_copy(one, ret->v[ret->n++], sizeof(ret->v[0]));
    }
    return true;
}

bool camera_list_has(const struct camera_list *c, struct span uid)
{
    for (size_t i = 0; i < c->n; i++)
        if (token_pattern_fits(span_of(c->v[i]), uid)) return true;
    return c->n == 0;
}

const char *camera_list_text(const struct camera_list *c, char dst[CAMERA_LIST_TEXT_MAX])
{
    struct wr w = wr_of(dst, CAMERA_LIST_TEXT_MAX);

    for (size_t i = 0; i < c->n; i++) wr_fmt(&w, "%s%s", i > 0 ? "," : "", c->v[i]);
    return wr_cstr(&w);
}

bool caller_sees(const struct caller *c, struct span uid)
{
    return !c || camera_list_has(&c->cameras, uid);
}

bool caller_changes(const struct caller *c)
{
    return !c || strcmp(c->role, "root") == 0 || strcmp(c->role, "admin") == 0;
}

bool caller_looks_back(const struct caller *c)
{
    return !c || strcmp(c->role, "guest") != 0;
}

bool caller_confirmed(const struct caller *c)
{
    return strcmp(c->by, "session") != 0 || clock_wall_us() / US_PER_S < c->shown_until_s;
}

void caller_pack(struct packer *p, const struct caller *c)
{
    pack_map(p, 3 + (c->cameras.n > 0));
    pack_kv_text(p, "name", c->name);
    pack_kv_text(p, "role", c->role);
    pack_kv_text(p, "by", c->by);
    if (c->cameras.n == 0) return;
    pack_key(p, "cameras");
    pack_array(p, (uint32_t)c->cameras.n);
    for (size_t i = 0; i < c->cameras.n; i++) pack_str(p, span_of(c->cameras.v[i]));
}
