#include "httpd/assets.h"
#include "httpd/answer.h"
#include "httpd/bytes.h"
#include "httpd/gzip.h"
#include "httpd/handlers.h"
#include "httpd/http_access.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX   4
#define EMBED_ASSET "player/embed.html"
#define OPENAPI     "api/openapi.json"

struct assets {
    struct asset v[ASSETS_MAX];
    size_t n;
};

/* Copies shared on one hub, by the asset's number: chunks are counted without atomics. */
struct asset_chunks {
    struct chunk *plain[ASSETS_MAX], *packed[ASSETS_MAX];
};

static const struct {
    const char *end, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/vnd.microsoft.icon"},
    {".woff2", "font/woff2"},
};

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_N(types); i++)
        if (span_ends(span_of(name), span_of(types[i].end))) return types[i].type;
    return NULL;
}

static void add(struct assets *a, int dir, const char *name, const char *path, const char *type)
{
    struct asset *as = &a->v[a->n];
    uint8_t *p, *packed;
    size_t n, packed_n;
    uint64_t hash;
    int err = fd_read_file(dir, name, ASSET_SIZE_MAX, &p, &n);

    if (err != 0) {
        log_warn("asset-unread", "path=%s err=%s", path, err_text(err));
        return;
    }
    *as = (struct asset){.type = type, .plain = span(p, n)};
    snprintf(as->path, sizeof(as->path), "%s", path);
    if (gzip_pack(as->plain, GZIP_BEST, &packed, &packed_n)) as->packed = span(packed, packed_n);
    hash = hash_fnv1a(as->plain);
    snprintf(as->etag, sizeof(as->etag), "\"%016llx\"", (unsigned long long)hash);
    snprintf(as->etag_packed, sizeof(as->etag_packed), "\"%016llx-gz\"", (unsigned long long)hash);
    a->n++;
}

static void load_dir(struct assets *a, int fd, const char *below, unsigned depth);

static void load_entry(struct assets *a, int dir, const char *name, const char *below, unsigned depth)
{
    char path[ASSET_PATH_MAX];
    struct stat st;
    const char *type;

    if (name[0] == '.' || strcmp(name, "node_modules") == 0) return;
    if (snprintf(path, sizeof(path), "%s%s%s", below, below[0] ? "/" : "", name) >= (int)sizeof(path)) return;
    if (fstatat(dir, name, &st, 0) != 0) return;
    if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0) load_dir(a, fd, path, depth + 1);
        return;
    }
    type = S_ISREG(st.st_mode) ? type_of(name) : NULL;
    if (type && a->n < ASSETS_MAX && !assets_find(a, span_of(path))) add(a, dir, name, path, type);
}

/* Takes fd. */
static void load_dir(struct assets *a, int fd, const char *below, unsigned depth)
{
    DIR *d = fdopendir(fd);
    struct dirent *e;

    if (!d) {
        fd_close(&fd);
        return;
    }
    /* cppcheck-suppress readdirCalled ; no other thread has this DIR */
    while ((e = readdir(d))) load_entry(a, dirfd(d), e->d_name, below, depth);
    closedir(d);
}

static int load_root(struct assets *a, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return -errno;
    load_dir(a, fd, "", 0);
    return 0;
}

struct assets *assets_load(const char *dir, const char *site, int *ret_err)
{
    struct assets *a = NEW(struct assets);

    if (site && load_root(a, site) == 0)
        log_info("site-files", "dir=%s files=%zu", log_q(span_of(site)), a->n);
    *ret_err = load_root(a, dir);
    return a;
}

void assets_free(struct assets *a)
{
    if (!a) return;
    for (size_t i = 0; i < a->n; i++) {
        mem_free((void *)(uintptr_t)a->v[i].plain.p);
        mem_free((void *)(uintptr_t)a->v[i].packed.p);
    }
    mem_free(a);
}

size_t assets_n(const struct assets *a)
{
    return a->n;
}

const struct asset *assets_find(const struct assets *a, struct span path)
{
    for (size_t i = 0; a && i < a->n; i++)
        if (span_is(path, a->v[i].path)) return &a->v[i];
    return NULL;
}

void asset_chunks_free(struct asset_chunks *c)
{
    if (!c) return;
    for (size_t i = 0; i < ASSETS_MAX; i++) {
        chunk_unref(c->plain[i]);
        chunk_unref(c->packed[i]);
    }
    mem_free(c);
}

static struct chunk *shared(struct chunk **slot, struct span bytes)
{
    if (!*slot) *slot = bytes_chunk(bytes);
    return *slot;
}

/* cookie: its line of the head; NULL: none. */
static void serve_path(struct http *h, struct span path, const char *cookie)
{
    const struct assets *all = h->hub->server->assets;
    const struct asset *as = assets_find(all, path);
    struct answer a = {.status = 200, .cache = CACHE_CHECK, .vary = true, .cookie = cookie};
    struct asset_chunks **chunks = &h->hub->asset_chunks;
    struct chunk *c;
    size_t i;

    if (!as && h->module) {
        serve_cpanel(h);
        return;
    }
    if (!as) {
        answer_error(h, 404, "nothing is here");
        return;
    }
    if (!*chunks) *chunks = NEW(struct asset_chunks);
    i = (size_t)(as - all->v);
    a.type = as->type;
    a.v.etag = span_of(as->etag);
    if (as->packed.n > 0 && http_accepts_coding(&h->ask->req.head, "gzip") > 0) {
        a.coding = "gzip";
        a.v.etag = span_of(as->etag_packed);
        c = shared(&(*chunks)->packed[i], as->packed);
    } else {
        c = shared(&(*chunks)->plain[i], as->plain);
    }
    if (c)
        answer_chunk(h, &a, c);
    else
        answer_error(h, 503, "out of memory");
}

void serve_asset(struct http *h)
{
    serve_path(h, h->ask->match.capture[0], NULL);
}

void serve_embed(struct http *h)
{
    char cookie[HTTP_COOKIE_MAX];

    serve_path(h, SPAN_LIT(EMBED_ASSET), http_cookie(h, cookie));
}

void serve_openapi(struct http *h)
{
    serve_path(h, SPAN_LIT(OPENAPI), NULL);
}
