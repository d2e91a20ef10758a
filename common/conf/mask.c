#include "common/conf/mask.h"
#include "common/conf/keys.h"
#include "common/conf/value.h"
#include "common/wire/url.h"

static enum conf_secret secret_in(const char *section, const char *key, struct span value)
{
    const struct conf_free_section *f = section ? conf_free_section(span_of(section)) : NULL;
    const struct conf_row *row = section ? conf_site_row(section, key) : conf_row_find(SCOPE_STREAM, "", key);

    if (!row) return f ? f->secret : section ? CONF_SECRET_ALL : CONF_SECRET_URL;
    if (row->kind == KIND_SECRET) return CONF_SECRET_ALL;
    if (row->kind == KIND_USER) return CONF_SECRET_COLON;
    /* A URL where none belongs may be one that was put into the wrong line. */
    if (row->kind == KIND_URL || span_find_span(value, SPAN_LIT("://")) >= 0) return CONF_SECRET_URL;
    return CONF_SECRET_NONE;
}

/* The secret of a value that is no URL; p NULL: it has none. */
static struct span part_of(enum conf_secret where, const struct source_item *item)
{
    struct span v = item->value, rest = v, first;
    ssize_t colon;

    if (where == CONF_SECRET_ALL || (where == CONF_SECRET_FIRST && item->quoted)) return v;
    if (where == CONF_SECRET_COLON) {
        colon = span_find(v, ':');
        return colon < 0 ? SPAN_NONE : span_from(v, (size_t)colon + 1);
    }
    if (item->torn && value_item(&rest, &first)) return first;
    span_split(&rest, ',', &first);
    return span_trim(first);
}

const char *conf_mask(const char *section, const struct source_item *item, char dst[static CONF_SHOWN_MAX])
{
    enum conf_secret where = secret_in(section, item->key, item->value);
    struct wr w = wr_of(dst, CONF_SHOWN_MAX);
    struct span v = item->value, part;

    if (where == CONF_SECRET_URL) return url_masked(v, dst, CONF_SHOWN_MAX);
    part = where == CONF_SECRET_NONE ? SPAN_NONE : part_of(where, item);
    if (part.n == 0) {
        wr_bytes(&w, v);
        return wr_cstr(&w);
    }
    if (where != CONF_SECRET_FIRST) {
        wr_bytes(&w, span_sub(v, 0, (size_t)(part.p - v.p)));
        wr_text(&w, CONF_MASK);
        return wr_cstr(&w);
    }
    wr_text(&w, CONF_MASK); /* without the quotes that may be around it */
    wr_bytes(&w, span_from(v, (size_t)(part.p - v.p) + part.n + (part.p > v.p)));
    return wr_cstr(&w);
}

/* --- and back --- */

static bool unmask_url(struct span value, struct span was, struct wr *to)
{
    char masked[URL_MAX];
    struct url is, old;
    size_t before;

    if (!was.p) return false;
    if (span_is(value, url_masked(was, masked, sizeof(masked)))) {
        wr_bytes(to, was);
        return true;
    }
    if (url_parse(value, &is) != 0 || !span_is(is.password, CONF_MASK) || url_parse(was, &old) != 0 ||
        old.password.n == 0 || !span_ieq(is.host, old.host))
        return false;
    before = (size_t)(is.password.p - value.p);
    wr_bytes(to, span_sub(value, 0, before));
    wr_bytes(to, old.password);
    wr_bytes(to, span_from(value, before + is.password.n));
    return true;
}

/* As it stands in the file, with its quotes. */
static void put_first(const struct source_item *was, struct wr *to)
{
    struct span part = part_of(CONF_SECRET_FIRST, was);
    bool quoted = was->quoted || (was->torn && part.p > was->value.p);

    if (quoted) wr_bytes(to, span(part.p - 1, 1));
    wr_bytes(to, part);
    if (quoted) wr_bytes(to, span(part.p - 1, 1));
}

bool conf_unmask(
    const char *section, const char *key, struct span value, const struct source_item *was, struct wr *to)
{
    enum conf_secret where = secret_in(section, key, value);
    const struct source_item as = {.value = value};
    struct span part = where > CONF_SECRET_URL || where == CONF_SECRET_ALL ? part_of(where, &as) : SPAN_NONE;
    struct span old;

    if (where == CONF_SECRET_URL && span_find_span(value, SPAN_LIT(CONF_MASK)) >= 0)
        return unmask_url(value, was ? was->value : SPAN_NONE, to);
    if (!span_is(part, CONF_MASK)) {
        wr_bytes(to, value);
        return true;
    }
    old = was ? part_of(where, was) : SPAN_NONE;
    if (old.n == 0) return false;
    wr_bytes(to, span_sub(value, 0, (size_t)(part.p - value.p)));
    if (where == CONF_SECRET_FIRST)
        put_first(was, to);
    else
        wr_bytes(to, old);
    if (where == CONF_SECRET_FIRST) wr_bytes(to, span_from(value, (size_t)(part.p - value.p) + part.n));
    return true;
}
