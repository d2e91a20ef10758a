/* What is known of the site's etcd without it: in state-dir. "records" has a line a stream (uid, revision,
 * sum of its text, [kept]), and "@store CLUSTER REVISION", "@node ID" for nodes that are kept; the nodes
 * themselves lie where the configuration finds them (CONF_STORE_NODES). */
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "common/conf/report.h"
#include "common/conf/store.h"
#include "master/cluster/cluster.h"
#include "master/cluster/records_impl.h"
#include "master/master.h"
#include "master/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FILE_NAME "records"
#define FILE_MOST (2u << 20)

typedef unsigned long long ull;

/* --- streams --- */

void records_save(struct records *r)
{
    struct map_slot slot;
    size_t at = 0;
    struct buf b;
    bool ok;

    buf_init(&b, FILE_MOST);
    ok = buf_fmt(&b, "@store %llu %llu\n", (ull)r->cluster, (ull)r->revision);
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].kept) ok = ok && buf_fmt(&b, "@node %s\n", r->nodes[i].id);
    while (map_next(&r->streams, &at, &slot)) {
        const struct stored *v = slot.value;

        if (v->ours)
            ok = ok &&
                buf_fmt(
                    &b, "%s %llu %llu%s\n", v->uid, (ull)v->revision, (ull)v->sum, v->kept ? " kept" : "");
    }
    if (ok)
        state_file_write(r->file, buf_span(&b));
    else
        state_file_too_large(r->file);
    buf_done(&b);
    r->unsaved = false;
}

/* Words that no uid can be. true: it is one. */
static bool load_mark(struct records *r, struct span word, struct span line)
{
    struct stored_node *node;
    struct span cluster;

    if (span_is(word, "@node")) {
        node = records_node(r, line, false);
        if (node) node->kept = true;
    } else if (span_is(word, "@store")) {
        if (span_split(&line, ' ', &cluster) && !span_u64(cluster, UINT64_MAX, &r->cluster)) r->cluster = 0;
        if (!span_u64(line, UINT64_MAX, &r->revision)) r->revision = 0;
    }
    return word.n > 0 && word.p[0] == '@';
}

static void load_line(struct records *r, struct span line)
{
    struct span uid, revision, sum;
    struct stored *v;

    if (!span_split(&line, ' ', &uid) || load_mark(r, uid, line)) return;
    if (!span_split(&line, ' ', &revision) || !span_split(&line, ' ', &sum) || uid.n >= RECORDS_UID_MAX ||
        conf_uid_refused(uid))
        return;
    v = records_stream(r, uid, true);
    if (!v) return;
    v->ours = span_u64(revision, UINT64_MAX, &v->revision) && span_u64(sum, UINT64_MAX, &v->sum);
    v->kept = span_is(line, "kept");
}

/* --- nodes --- */

static void load_node(struct records *r, struct span line)
{
    struct stored_node *v;
    struct span id;

    if (!span_split(&line, '=', &id)) return;
    id = span_trim(id);
    line = span_trim(line);
    v = conf_node_ok(id, line) && line.n < RECORDS_HOSTS_MAX ? records_node(r, id, true) : NULL;
    if (v) span_copy(line, v->hosts, sizeof(v->hosts));
}

static bool take_nodes(void *arg, struct span bytes)
{
    struct span line;

    while (span_split(&bytes, '\n', &line)) load_node(arg, line);
    return true;
}

static bool take_streams(void *arg, struct span bytes)
{
    struct span line;

    while (span_split(&bytes, '\n', &line)) load_line(arg, line);
    return true;
}

/* What is not in them comes from the etcd again. */
void records_load(struct records *r, int state_dir)
{
    (void)state_file_read(state_dir, CONF_STORE_NODES, FILE_MOST, take_nodes, r);
    (void)state_file_read(state_dir, FILE_NAME, FILE_MOST, take_streams, r);
}

/* In place, before a configuration is read that finds it. */
int records_write_nodes(const struct records *r)
{
    int dir = r->c->m->state_dir, err = 0, fd;
    struct buf b;

    buf_init(&b, FILE_MOST);
    for (size_t i = 0; i < r->n_nodes; i++) (void)buf_fmt(&b, "%s = %s\n", r->nodes[i].id, r->nodes[i].hosts);
    fd = openat(dir, CONF_STORE_NODES ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) err = -errno;
    if (err == 0) err = fd_write_all(fd, buf_span(&b));
    if (err == 0 && fsync(fd) < 0) err = -errno;
    if (fd >= 0) close(fd);
    if (err == 0 && renameat(dir, CONF_STORE_NODES ".new", dir, CONF_STORE_NODES) < 0) err = -errno;
    buf_done(&b);
    return err;
}

void records_apply_nodes(struct records *r)
{
    struct conf_report report = {0};
    char what[RELOAD_TEXT_MAX];
    int err = records_write_nodes(r);

    r->nodes_changed = false;
    if (err < 0) {
        log_error("state-dir-write", "file=%s err=%s", CONF_STORE_NODES, log_q(span_of(err_text(err))));
        return;
    }
    (void)reload(r->c->m, &report, what); /* it says what came of it */
    conf_report_done(&report);
}
