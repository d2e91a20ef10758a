#include "master/revisions.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER    "revisions"
#define NAME_MAX_ 32
#define MODE_OURS 0600
/* File: one msgpack array of id, at_us, by, text, then changes as arrays of uid, file, before, after. */
#define HEAD_ITEMS 5

static void name_of(uint64_t id, char dst[static NAME_MAX_])
{
    snprintf(dst, NAME_MAX_, "%08llu", (unsigned long long)id);
}

static int read_bytes(const struct revisions *r, uint64_t id, struct buf *ret)
{
    char name[NAME_MAX_];
    uint8_t *p;
    size_t n;
    int err;

    name_of(id, name);
    err = fd_read_file(r->dir, name, REVISION_BYTES_MAX, &p, &n);
    if (err < 0) return err;
    buf_init(ret, REVISION_BYTES_MAX);
    err = buf_put(ret, span(p, n)) ? 0 : -ENOMEM;
    mem_free(p);
    return err;
}

/* --- one --- */

static struct span file_text(const struct packed *v)
{
    static const uint8_t empty[1];
    struct span s = packed_as_str(v);

    if (!packed_is_str(v)) return SPAN_NONE;
    return s.p ? s : span(empty, 0);
}

static bool take_changes(struct revision_file *f, const struct packed *rows)
{
    size_t bytes = 0, at = 0;

    f->n = packed_n(rows);
    for (size_t i = 0; i < f->n; i++)
        bytes += packed_as_str(packed_at(packed_at(rows, i), 0)).n +
            packed_as_str(packed_at(packed_at(rows, i), 1)).n + 2;
    f->changes = mem_renew(NULL, (f->n + 1) * sizeof(*f->changes));
    f->names = mem_new(bytes + 1);
    for (size_t i = 0; i < f->n; i++) {
        const struct packed *row = packed_at(rows, i);
        char *texts[2];

        if (packed_n(row) != 4) return false;
        for (size_t k = 0; k < ARRAY_N(texts); k++) {
            struct span s = packed_as_str(packed_at(row, k));

            if (s.n == 0 || memchr(s.p, 0, s.n)) return false;
            texts[k] = f->names + at;
            memcpy(texts[k], s.p, s.n);
            texts[k][s.n] = 0;
            at += s.n + 1;
        }
        f->changes[i] = (struct revision_change){
            texts[0], texts[1], file_text(packed_at(row, 2)), file_text(packed_at(row, 3))};
    }
    return true;
}

int revision_file_read(struct buf *bytes, struct revision_file *ret)
{
    *ret = (struct revision_file){.bytes = *bytes};
    *bytes = (struct buf){0};
    if (unpack_new(buf_span(&ret->bytes), &ret->u) == 0 && packed_n(unpack_root(ret->u)) == HEAD_ITEMS &&
        take_changes(ret, packed_at(unpack_root(ret->u), 4)))
        return 0;
    revision_file_done(ret);
    return -EBADMSG;
}

int revisions_read(const struct revisions *r, uint64_t id, struct revision_file *ret)
{
    struct buf bytes = {0};
    int err = r->dir < 0 ? -ENOENT : read_bytes(r, id, &bytes);

    *ret = (struct revision_file){.n = 0};
    if (err < 0) return buf_done(&bytes), err;
    return revision_file_read(&bytes, ret);
}

void revision_file_done(struct revision_file *f)
{
    mem_free(f->changes);
    mem_free(f->names);
    unpack_done(f->u);
    buf_done(&f->bytes);
    *f = (struct revision_file){.n = 0};
}

/* --- all --- */

static void forget_oldest(struct revisions *r)
{
    char name[NAME_MAX_];

    name_of(r->v[0].id, name);
    if (unlinkat(r->dir, name, 0) < 0 && errno != ENOENT)
        log_warn("revision-forget", "name=%s err=%s", name, err_text(-errno));
    mem_free(r->v[0].uids);
    memmove(&r->v[0], &r->v[1], --r->n * sizeof(r->v[0]));
}

static void make_room(struct revisions *r, size_t bytes)
{
    size_t sum = bytes;

    for (size_t i = 0; i < r->n; i++) sum += r->v[i].bytes;
    while (r->n > 0 && (r->n == REVISIONS_MAX || sum > REVISIONS_BYTES_MAX)) {
        sum -= r->v[0].bytes;
        forget_oldest(r);
    }
}

static char *join_uids(const struct revision_change *v, size_t n)
{
    size_t bytes = 1;
    struct wr w;
    char *text;

    for (size_t i = 0; i < n; i++) bytes += strlen(v[i].uid) + 1;
    text = mem_new(bytes + 1);
    w = wr_of(text, bytes + 1);
    for (size_t i = 0; i < n; i++) wr_fmt(&w, "%s%s", i > 0 ? "," : "", v[i].uid);
    wr_cstr(&w);
    return text;
}

static void list_one(struct revisions *r, uint64_t id)
{
    struct revision_file f;
    const struct packed *head;
    struct revision *v;

    if (revisions_read(r, id, &f) < 0) return;
    make_room(r, buf_n(&f.bytes));
    head = unpack_root(f.u);
    v = &r->v[r->n++];
    *v = (struct revision){
        .id = id, .at_us = packed_as_i64(packed_at(head, 1), 0), .changes = f.n, .bytes = buf_n(&f.bytes)};
    v->uids = join_uids(f.changes, f.n);
    span_copy(span_sub(packed_as_str(packed_at(head, 2)), 0, sizeof(v->by) - 1), v->by, sizeof(v->by));
    span_copy(span_sub(packed_as_str(packed_at(head, 3)), 0, sizeof(v->text) - 1), v->text, sizeof(v->text));
    revision_file_done(&f);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int revisions_open(struct revisions *r, int state_dir)
{
    struct dirent **names;
    int n;

    *r = (struct revisions){.dir = -1};
    if (mkdirat(state_dir, FOLDER, 0700) < 0 && errno != EEXIST) return -errno;
    r->dir = openat(state_dir, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (r->dir < 0) return -errno;
    n = scandirat(r->dir, ".", &names, NULL, by_name);
    if (n < 0) return -errno;
    for (int i = 0; i < n; i++) {
        uint64_t id;

        if (span_u64(span_of(names[i]->d_name), INT64_MAX, &id) && id > r->last) {
            list_one(r, id);
            r->last = id;
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

void revisions_close(struct revisions *r)
{
    for (size_t i = 0; i < r->n; i++) mem_free(r->v[i].uids);
    r->n = 0;
    fd_close(&r->dir);
}

static void pack_text(struct packer *p, struct span s)
{
    if (s.p)
        pack_bin(p, s);
    else
        pack_nil(p);
}

static bool pack_file(
    struct buf *b, const struct revision *v, const struct revision_change *changes, size_t n)
{
    struct packer p = packer_of(b);

    pack_array(&p, HEAD_ITEMS);
    pack_u64(&p, v->id);
    pack_i64(&p, v->at_us);
    pack_str(&p, span_of(v->by));
    pack_str(&p, span_of(v->text));
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        pack_array(&p, 4);
        pack_str(&p, span_of(changes[i].uid));
        pack_str(&p, span_of(changes[i].file));
        pack_text(&p, changes[i].before);
        pack_text(&p, changes[i].after);
    }
    return !p.bad;
}

static int write_file(const struct revisions *r, uint64_t id, struct span bytes)
{
    char name[NAME_MAX_], tmp[] = ".new";
    CLEANUP(fd_close)
    int fd = openat(r->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE_OURS);
    int err;

    if (fd < 0) return -errno;
    err = fd_write_all(fd, bytes);
    name_of(id, name);
    if (err < 0) return err;
    return fsync(fd) < 0 || renameat(r->dir, tmp, r->dir, name) < 0 || fsync(r->dir) < 0 ? -errno : 0;
}

uint64_t revisions_add(
    struct revisions *r, const char *by, const char *text, const struct revision_change *changes, size_t n)
{
    struct revision v = {.id = r->last + 1, .at_us = clock_wall_us(), .changes = n};
    struct buf b;
    int err;

    if (r->dir < 0) return 0;
    snprintf(v.by, sizeof(v.by), "%.*s", (int)sizeof(v.by) - 1, by);
    snprintf(v.text, sizeof(v.text), "%.*s", (int)sizeof(v.text) - 1, text);
    buf_init(&b, REVISION_BYTES_MAX);
    err = pack_file(&b, &v, changes, n) ? 0 : -EFBIG;
    v.bytes = buf_n(&b);
    if (err == 0) make_room(r, v.bytes);
    if (err == 0) err = write_file(r, v.id, buf_span(&b));
    buf_done(&b);
    if (err < 0) {
        log_error("revision-lost", "err=%s", log_q(span_of(err_text(err))));
        return 0;
    }
    v.uids = join_uids(changes, n);
    r->v[r->n++] = v;
    return r->last = v.id;
}
