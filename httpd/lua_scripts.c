#include "httpd/lua_scripts.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULES   "modules"
#define LUA_ENDS  ".lua"
#define BYTECODE  0x1b /* first byte of what a Lua compiler wrote */
#define NAMES_MAX 512  /* entries of a folder that are looked at */

/* A file that may be needed: by its path from the site's folder or from ours. */
struct file {
    char path[LUAHOST_PATH_MAX];
    const char *root; /* where it is: site, shipped, or "" (an absolute path) */
    uint8_t *text;    /* NULL: not read */
    size_t n;
    int err;
};
struct look {
    const struct lua_conf *conf;
    struct file files[LUAHOST_FILES_MAX];
    size_t n_files;
    bool full;
    uint64_t print; /* of what stat says of them all */
};

static bool join(char dst[2048], const char *root, const char *path)
{
    struct wr w = wr_of(dst, 2048);

    wr_fmt(&w, "%s%s%s", root, root[0] ? "/" : "", path);
    return wr_cstr(&w)[0] != '\0';
}

/* Letters that need no thought in a name of Lua's or a line of the log; no way up. */
static bool path_ok(struct span path)
{
    struct span one;

    if (path.n == 0 || path.n >= LUAHOST_PATH_MAX || path.p[0] == '/') return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] >= 0x7f || path.p[i] == '\\') return false;
    while (span_split(&path, '/', &one))
        if (one.n == 0 || one.p[0] == '.') return false;
    return true;
}

/* --- what is there --- */

static void note(struct look *l, const char *root, const char *path)
{
    char whole[2048];
    struct stat st;
    struct file *f;
    uint64_t facts[8];

    for (size_t i = 0; i < l->n_files; i++)
        if (strcmp(l->files[i].path, path) == 0 && strcmp(l->files[i].root, root) == 0) return;
    if (!join(whole, root, path) || stat(whole, &st) < 0 || !S_ISREG(st.st_mode)) return;
    if (l->n_files == LUAHOST_FILES_MAX) {
        l->full = true;
        return;
    }
    f = &l->files[l->n_files++];
    *f = (struct file){.root = root};
    snprintf(f->path, sizeof(f->path), "%s", path);
    facts[0] = l->print;
    facts[1] = hash_fnv1a(span_of(whole));
    facts[2] = (uint64_t)st.st_dev;
    facts[3] = (uint64_t)st.st_ino;
    facts[4] = (uint64_t)st.st_size;
    facts[5] = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    facts[6] = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
    facts[7] = (uint64_t)st.st_mode;
    l->print = hash_fnv1a(span(facts, sizeof(facts)));
}

static void walk(struct look *l, const char *root, const char *folder, unsigned depth)
{
    char whole[2048], path[LUAHOST_PATH_MAX];
    struct dirent **names;
    int n;

    if (root[0] == '\0' || depth > LUA_DEPTH_MAX || !join(whole, root, folder)) return;
    n = scandir(whole, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        int len = snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        struct span name = span_of(names[i]->d_name);

        if (i < NAMES_MAX && len > 0 && (size_t)len < sizeof(path) && path_ok(span_of(path))) {
            if (span_ends(name, SPAN_LIT(LUA_ENDS)))
                note(l, root, path);
            else if (span_find(name, '.') < 0)
                walk(l, root, path, depth + 1);
        }
        free(names[i]);
    }
    if (n >= 0) free(names);
}

static void look_around(struct look *l)
{
    const struct lua_conf *c = l->conf;

    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) {
        if (c->entry[i][0] == '\0') continue;
        if (c->entry[i][0] == '/') {
            note(l, "", c->entry[i]);
        } else if (path_ok(span_of(c->entry[i]))) {
            note(l, c->site, c->entry[i]);
            note(l, c->shipped, c->entry[i]);
        }
    }
    walk(l, c->site, MODULES, 0);
    walk(l, c->shipped, MODULES, 0);
}

static void read_all(struct look *l)
{
    char whole[2048];

    for (size_t i = 0; i < l->n_files; i++) {
        struct file *f = &l->files[i];

        if (join(whole, f->root, f->path))
            f->err = fd_read_file(AT_FDCWD, whole, LUA_FILE_MAX, &f->text, &f->n);
    }
}

/* --- which of them --- */

static const struct file *file_at(const struct look *l, const char *root, const char *path)
{
    for (size_t i = 0; i < l->n_files; i++)
        if (strcmp(l->files[i].path, path) == 0 && strcmp(l->files[i].root, root) == 0) return &l->files[i];
    return NULL;
}

static bool is_ours(const struct file *f)
{
    struct span head = span_sub(span(f->text, f->n), 0, LUAHOST_INTERFACE_HEAD);

    if (f->err != 0) return true; /* what cannot be read is said to be so */
    return head.n > 0 && head.p[0] != BYTECODE && span_find_span(head, SPAN_LIT(LUAHOST_INTERFACE)) >= 0;
}

/* The script of the slot; NULL and a text: there is none. */
static const struct file *choose(const struct look *l, unsigned slot, struct lua_found *to)
{
    static const char *const own[LUAHOST_SLOTS] = {[LUAHOST_AUTH] = "modules/auth/validate.lua",
        [LUAHOST_API] = "modules/api/api.v2.lua",
        [LUAHOST_API3] = LUA_API3,

        [LUAHOST_CPANEL] = "modules/cpanel/cpanel.lua"};
    const struct lua_conf *c = l->conf;
    const char *entry = c->entry[slot];
    const struct file *f;
    char whole[2048] = "";

    if (slot >= LUAHOST_PLUGIN && entry[0] == '\0') return NULL; /* none is wanted */
    f = entry[0] == '/' ? file_at(l, "", entry) : file_at(l, c->site, entry);
    if (f && !is_ours(f)) {
        join(whole, f->root, f->path);
        span_copy(span_of(whole), to->foreign, sizeof(to->foreign));
        f = NULL;
        if (!file_at(l, c->shipped, entry) && own[slot]) entry = own[slot];
    }
    if (!f) f = file_at(l, c->shipped, entry);
    if (!f) {
        snprintf(to->error, sizeof(to->error), "%.100s is neither in the site's folder nor in ours", entry);
        return NULL;
    }
    join(whole, f->root, f->path);
    span_copy(span_of(whole), to->from, sizeof(to->from));
    if (f->err == 0) return f;
    snprintf(to->error, sizeof(to->error), "%.160s: %s", whole, err_text(f->err));
    return NULL;
}

/* Does a script that requires this path get this file? */
static bool is_seen(const struct look *l, const struct file *f, unsigned slot)
{
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++)
        if (i != slot && strcmp(l->conf->entry[i], f->path) == 0) return false;
    if (f->err != 0 || f->root[0] == '\0') return false;
    return strcmp(f->root, l->conf->site) == 0 || !file_at(l, l->conf->site, f->path);
}

static void pack_file(struct packer *p, const struct file *f)
{
    pack_array(p, 2);
    pack_str(p, span_of(f->path));
    pack_bin(p, span(f->text, f->n));
}

static void pack_load(const struct look *l, unsigned slot, const struct file *entry, struct lua_found *to)
{
    size_t at, bytes = entry->n;
    uint32_t n = 1;
    struct packer p;

    for (size_t i = 0; i < l->n_files; i++) {
        const struct file *f = &l->files[i];

        if (strcmp(f->path, entry->path) == 0 || !is_seen(l, f, slot)) continue;
        n++;
        bytes += f->n;
    }
    if (bytes > LUAHOST_SOURCES_MAX || l->full) {
        snprintf(to->error, sizeof(to->error), "there are more than %d files or %u KiB of scripts",
            LUAHOST_FILES_MAX, LUAHOST_SOURCES_MAX >> 10);
        return;
    }
    buf_init(&to->load, LUAHOST_MESSAGE_MAX);
    p = luahost_begin(&to->load, LUAHOST_LOAD, 3, &at);
    pack_kv_u64(&p, "slot", slot);
    pack_kv_text(&p, "entry", entry->path);
    pack_key(&p, "files");
    pack_array(&p, n);
    pack_file(&p, entry);
    for (size_t i = 0; i < l->n_files; i++)
        if (strcmp(l->files[i].path, entry->path) != 0 && is_seen(l, &l->files[i], slot))
            pack_file(&p, &l->files[i]);
    if (luahost_end(&p, at)) return;
    buf_done(&to->load);
    snprintf(to->error, sizeof(to->error), "out of memory");
}

static void find_script(const struct look *l, unsigned slot, uint64_t *hash, struct lua_found *to)
{
    const struct file *entry = choose(l, slot, to);
    uint64_t now[3];

    if (entry) pack_load(l, slot, entry, to);
    now[0] = hash_fnv1a(buf_span(&to->load));
    now[1] = hash_fnv1a(span_of(to->error));
    now[2] = hash_fnv1a(span_of(to->foreign));
    now[0] = hash_fnv1a(span(now, sizeof(now)));
    to->changed = now[0] != *hash;
    *hash = now[0];
    if (!to->changed) buf_done(&to->load);
}

void lua_scripts_look(
    const struct lua_conf *conf, uint64_t *before, uint64_t hashes[], struct lua_found *found)
{
    struct look *l = NEW(struct look);

    l->conf = conf;
    look_around(l);
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) found[i] = (struct lua_found){0};
    if (l->print != *before || *before == 0) {
        read_all(l);
        for (unsigned i = 0; i < LUAHOST_SLOTS; i++)
            if (conf->slots == 0 || conf->slots & 1u << i) find_script(l, i, &hashes[i], &found[i]);
    }
    *before = l->print;
    for (size_t i = 0; i < l->n_files; i++) mem_free(l->files[i].text);
    mem_free(l);
}

/* --- in a thread of its own --- */

struct lua_finder {
    struct job job;
    struct loop *loop;
    struct pool *pool;
    bool busy, dead;
    struct lua_conf conf;
    uint64_t before, hashes[LUAHOST_SLOTS];
    struct lua_found found[LUAHOST_SLOTS];
    void (*fn)(void *arg, struct lua_found *found);
    void *arg;
};

static void work(struct job *j)
{
    struct lua_finder *f = CONTAINER(j, struct lua_finder, job);

    lua_scripts_look(&f->conf, &f->before, f->hashes, f->found);
}

static void done(struct job *j)
{
    struct lua_finder *f = CONTAINER(j, struct lua_finder, job);

    f->busy = false;
    if (!f->dead) f->fn(f->arg, f->found);
    for (unsigned i = 0; i < LUAHOST_SLOTS; i++) buf_done(&f->found[i].load);
    if (f->dead) mem_free(f);
}

struct lua_finder *lua_finder_new(struct loop *l)
{
    struct lua_finder *f = NEW(struct lua_finder);

    f->loop = l;
    f->pool = pool_new(1, 1);
    return f;
}

void lua_finder_free(struct lua_finder *f)
{
    if (!f) return;
    pool_free(f->pool);
    f->dead = true;
    if (!f->busy) mem_free(f); /* else its end is on its way through the loop */
}

void lua_finder_look(struct lua_finder *f, const struct lua_conf *conf,
    void (*found)(void *arg, struct lua_found *found), void *arg)
{
    if (f->busy) return;
    f->job = (struct job){.work = work, .done = done, .loop = f->loop};
    if (memcmp(&f->conf, conf, sizeof(*conf)) != 0) f->before = 0;
    f->conf = *conf;
    f->fn = found;
    f->arg = arg;
    f->busy = pool_put(f->pool, &f->job);
}
