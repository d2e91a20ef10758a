#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/conf/report.h"
#include "common/conf/value.h"

#include <arpa/inet.h>

#define HOST_MAX   255
#define BASE_MAX   128
#define WEIGHT_MAX 1000

static bool is_gap(uint8_t c)
{
    return c == ',' || c == ' ' || c == '\t';
}

bool value_item(struct span *rest, struct span *ret)
{
    size_t n = 0;
    ssize_t close;

    while (rest->n > 0 && is_gap(rest->p[0])) *rest = span_from(*rest, 1);
    if (rest->n == 0) return false;
    if (rest->p[0] == '"' || rest->p[0] == '\'') {
        close = span_find(span_from(*rest, 1), rest->p[0]);
        if (close >= 0) {
            *ret = span_sub(*rest, 1, (size_t)close);
            *rest = span_from(*rest, (size_t)close + 2);
            return true;
        }
    }
    while (n < rest->n && !is_gap(rest->p[n])) n++;
    *ret = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n);
    return true;
}

bool value_cidr(struct span s, struct conf_cidr *ret)
{
    ssize_t slash = span_find(s, '/');
    struct span addr = slash < 0 ? s : span_sub(s, 0, (size_t)slash);
    struct conf_cidr v = {0};
    uint64_t bits;
    char text[64];

    if (!span_copy(addr, text, sizeof(text))) return false;
    v.v6 = span_find(addr, ':') >= 0;
    if (inet_pton(v.v6 ? AF_INET6 : AF_INET, text, v.addr) != 1) return false;
    bits = v.v6 ? 128 : 32;
    if (slash >= 0 && !span_u64(span_from(s, (size_t)slash + 1), bits, &bits)) return false;
    v.bits = (uint8_t)bits;
    for (unsigned i = v.bits; i < 128; i++) v.addr[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    *ret = v;
    return true;
}

/* "*:554:/live/", "*:444/", "[::1]:80", "host:80". */
bool value_listen(struct span s, struct conf_listen *ret, struct value_why *why)
{
    bool v6 = s.n > 0 && s.p[0] == '[';
    ssize_t end = span_find(s, v6 ? ']' : ':');
    struct span host, port, base;
    size_t n = 0, k = 0;
    uint64_t number;

    if (end < 1) return value_refuse(why, "%s is not host:port:base-url, such as *:554:/", report_q(s));
    host = v6 ? span_sub(s, 1, (size_t)end - 1) : span_sub(s, 0, (size_t)end);
    port = span_from(s, (size_t)end + (v6 ? 1 : 0));
    if (port.n == 0 || port.p[0] != ':' || host.n == 0 || host.n > HOST_MAX)
        return value_refuse(why, "%s is not host:port:base-url, such as *:554:/", report_q(s));
    port = span_from(port, 1);
    while (n < port.n && port.p[n] != ':' && port.p[n] != '/') n++;
    base = span_from(port, n);
    if (base.n > 0 && base.p[0] == ':') base = span_from(base, 1);
    if (!span_u64(span_sub(port, 0, n), 65535, &number) || number == 0)
        return value_refuse(why, "%s is not a port from 1 to 65535", report_q(span_sub(port, 0, n)));
    for (k = 0; k < host.n; k++)
        if (host.p[k] <= ' ' || host.p[k] >= 0x7f || (host.p[k] == '*' && host.n > 1)) break;
    if (k < host.n) return value_refuse(why, "%s is no host name or address; * is all", report_q(host));
    for (k = 0; k < base.n; k++)
        if (base.p[k] <= ' ' || base.p[k] >= 0x7f || strchr("?#\"%\\", base.p[k]) != NULL) break;
    if (k < base.n || base.n > BASE_MAX || (base.n > 0 && base.p[0] != '/'))
        return value_refuse(why, "%s is not the path of a URL: it begins with '/'", report_q(base));
    ret->host = span_dup(host);
    ret->port = (uint16_t)number;
    ret->base = mem_new(base.n + 2);
    span_copy(base, ret->base, base.n + 1);
    if (base.n == 0 || base.p[base.n - 1] != '/') ret->base[base.n] = '/';
    return true;
}

/* One item into place i of a list that has room for it. */
static bool text_add(void *field, struct span item, const struct value_from *f, struct value_why *why)
{
    struct conf_list *l = field;

    (void)f;
    (void)why;
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n++] = span_dup(item);
    return true;
}

static bool listen_add(void *field, struct span item, const struct value_from *f, struct value_why *why)
{
    struct conf_listens *l = field;

    (void)f;
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    if (!value_listen(item, &l->v[l->n], why)) return false;
    l->n++;
    return true;
}

static bool cidr_add(void *field, struct span item, const struct value_from *f, struct value_why *why)
{
    struct conf_cidrs *l = field;

    (void)f;
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    if (!value_cidr(item, &l->v[l->n]))
        return value_refuse(
            why, "%s is no address or network, such as 10.0.0.0/8 or fd00::/8", report_q(item));
    l->n++;
    return true;
}

/* "a", "a*3", "/opt/dvr*2". A path is made absolute here, a name is looked up when all storages are known. */
static bool archive_add(void *field, struct span item, const struct value_from *f, struct value_why *why)
{
    struct conf_archive *l = field;
    ssize_t star = span_find(item, '*');
    struct span name = star < 0 ? item : span_trim(span_sub(item, 0, (size_t)star));
    char path[VALUE_PATH_MAX];
    uint64_t weight = 1;

    if (star >= 0 && (!span_u64(span_from(item, (size_t)star + 1), WEIGHT_MAX, &weight) || weight == 0))
        return value_refuse(why, "%s has no weight from 1 to %d behind the '*'", report_q(item), WEIGHT_MAX);
    if (name.n == 0) return value_refuse(why, "%s is neither a storage's name nor a path", report_q(item));
    if (span_find(name, '/') >= 0) {
        if (!value_path(f->dir, name, path))
            return value_refuse(why, "the path is longer than %d bytes", VALUE_PATH_MAX - 1);
        name = span_of(path);
    }
    l->v = mem_renew(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n++] = (struct conf_archive_part){span_dup(name), (unsigned)weight};
    return true;
}

static char *cidrs_text(const struct conf_cidrs *l)
{
    size_t cap = l->n * (INET6_ADDRSTRLEN + 6) + 1;
    char *text = mem_new(cap), addr[INET6_ADDRSTRLEN];
    struct wr w = wr_of(text, cap);

    for (size_t i = 0; i < l->n; i++)
        wr_fmt(&w, "%s%s/%u", i ? ", " : "",
            inet_ntop(l->v[i].v6 ? AF_INET6 : AF_INET, l->v[i].addr, addr, sizeof(addr)), l->v[i].bits);
    wr_cstr(&w);
    return text;
}

typedef bool (*add_fn)(void *field, struct span item, const struct value_from *f, struct value_why *why);

bool value_list_parse(
    const struct conf_row *row, const struct value_from *from, void *field, struct value_why *why)
{
    static const add_fn adds[KINDS] = {[KIND_LIST] = text_add,
        [KIND_LISTEN] = listen_add,
        [KIND_CIDRS] = cidr_add,
        [KIND_ARCHIVE] = archive_add};
    struct span rest = from->text, item;
    struct value_whys whys = {0};
    size_t n = 0;

    /* A list as a whole in quotes is still a list; a path or name in quotes may hold blanks. */
    if (from->quoted && row->kind == KIND_ARCHIVE && span_find(rest, ',') < 0) {
        if (rest.n > 0 && !adds[row->kind](field, rest, from, why)) value_whys_add(&whys, why);
        rest = SPAN_NONE;
    }
    while (n <= VALUE_ITEMS_MAX && value_item(&rest, &item))
        if (++n > VALUE_ITEMS_MAX ? !value_refuse(why, "the list has more than %d items", VALUE_ITEMS_MAX)
                                  : !adds[row->kind](field, item, from, why))
            value_whys_add(&whys, why);
    if (!value_whys_end(&whys, why)) {
        value_list_done(row->kind, field);
        return false;
    }
    if (row->kind == KIND_CIDRS) ((struct conf_cidrs *)field)->text = cidrs_text(field);
    if (row->kind == KIND_CIDRS && strlen(((struct conf_cidrs *)field)->text) > VALUE_CIDRS_MAX) {
        value_list_done(row->kind, field);
        return value_refuse(why, "the list is longer than %d bytes", VALUE_CIDRS_MAX);
    }
    if (row->kind == KIND_ARCHIVE) ((struct conf_archive *)field)->text = mem_strdup("");
    return true;
}

void value_list_done(enum conf_kind kind, void *field)
{
    struct conf_list *list = field;
    struct conf_listens *listens = field;
    struct conf_cidrs *cidrs = field;
    struct conf_archive *archive = field;

    if (kind == KIND_LIST) {
        for (size_t i = 0; i < list->n; i++) mem_free(list->v[i]);
        mem_free(list->v);
        *list = (struct conf_list){0};
    }
    if (kind == KIND_LISTEN) {
        for (size_t i = 0; i < listens->n; i++) {
            mem_free(listens->v[i].host);
            mem_free(listens->v[i].base);
        }
        mem_free(listens->v);
        *listens = (struct conf_listens){0};
    }
    if (kind == KIND_CIDRS) {
        mem_free(cidrs->v);
        mem_free(cidrs->text);
        *cidrs = (struct conf_cidrs){0};
    }
    if (kind == KIND_ARCHIVE) {
        for (size_t i = 0; i < archive->n; i++) mem_free(archive->v[i].storage);
        mem_free(archive->v);
        mem_free(archive->text);
        *archive = (struct conf_archive){0};
    }
}
