/* What a node of a cluster keeps in state-dir: as much as it may write it reads again, and what cannot be
 * read is set aside and keeps nobody from recording, nor does a port that is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/nodes.h"
#include "common/net/listener.h"
#include "master/cluster/files.h"
#include "master/cluster/singular.h"
#include "master/cluster/spread_impl.h"
#include "master/master.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAMS 20000

static const char *const names[] = {"acts", "files", "transfers", "cluster"};

static struct {
    char dir[64];
    struct master *m;
    struct conf_node nodes[2];
    int taken_fd;
    usec_t until_us;
} rig;

/* A port of this machine, and who has it. */
static int64_t port_taken(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    socklen_t n = sizeof(at);

    assert_int_equal(listen_tcp("*", 0, 1, &rig.taken_fd), 0);
    assert_int_equal(getsockname(rig.taken_fd, (struct sockaddr *)&at, &n), 0);
    return ntohs(at.sin6_port);
}

static int set_up(void **state)
{
    (void)state;
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    rig.m = NEW(struct master);
    rig.m->loop = loop_new();
    rig.m->conf = NEW(struct conf);
    rig.m->conf->server.node_id = 1;
    rig.m->conf->server.cluster_enable = true;
    rig.m->conf->server.cluster_key = secret_of(SPAN_LIT("0123456789abcdef0123456789abcdef"));
    rig.m->conf->server.cluster_port = port_taken();
    rig.m->conf->server.state_dir = rig.dir;
    rig.nodes[0].id = 1;
    rig.nodes[1].id = 2;
    rig.m->conf->nodes = rig.nodes;
    rig.m->conf->n_nodes = 2;
    rig.m->state_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_close(rig.m);
    fd_close(&rig.taken_fd);
    fd_close(&rig.m->state_dir);
    secret_done(&rig.m->conf->server.cluster_key);
    loop_free(rig.m->loop);
    mem_free(rig.m->conf);
    mem_free(rig.m);
    tool_rmdir(rig.dir);
    return 0;
}

static void write_bytes(const char *name, struct span bytes)
{
    CLEANUP(fd_close)
    int fd = openat(rig.m->state_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, bytes), 0);
}

static bool is_there(const char *name)
{
    return faccessat(rig.m->state_dir, name, F_OK, 0) == 0;
}

static void fill(char *dst, size_t cap, char c)
{
    memset(dst, c, cap - 1);
    dst[cap - 1] = 0;
}

/* The most that may wait, of the longest texts; one of them, perhaps, that is none. */
static void write_acts(struct buf *b, uint64_t odd)
{
    struct packer p;
    struct act act = {.kind = ACT_LOCK, .stamp = {UINT32_MAX, UINT16_MAX, INT64_MAX}, .at_us = INT64_MAX};

    fill(act.uid, sizeof(act.uid), 'u');
    fill(act.by, sizeof(act.by), 'b');
    fill(act.from, sizeof(act.from), '1');
    fill(act.to, sizeof(act.to), '2');
    fill(act.note, sizeof(act.note), 'n');
    buf_init(b, 16u << 20);
    p = packer_of(b);
    pack_array(&p, ACT_WAITS_MAX);
    for (uint64_t i = 0; i < ACT_WAITS_MAX; i++) {
        act.id = INT64_MAX - i;
        act.stamp.term = i == odd ? 0 : UINT32_MAX;
        pack_array(&p, 3);
        pack_u64(&p, 2);
        pack_bool(&p, false);
        act_pack(&p, &act);
    }
    assert_false(p.bad);
}

static void write_files(struct buf *b)
{
    struct packer p;
    struct spread s;
    struct spread_file *f;
    char uid[SPREAD_UID_MAX];

    spread_init(&s, NULL, NULL, 1, 1);
    for (unsigned i = 0; i < STREAMS; i++) {
        snprintf(uid, sizeof(uid), "cam-%u", i);
        f = spread_file_of(&s, uid);
        f->promised = (struct stamp){7, 2, 1};
    }
    buf_init(b, 16u << 20);
    p = packer_of(b);
    spread_pack(&s, &p);
    assert_false(p.bad);
    spread_done(&s);
}

static void what_is_written_is_read_again(void **state)
{
    struct buf acts, files;

    (void)state;
    write_acts(&acts, UINT64_MAX);
    write_files(&files);
    write_bytes("acts", buf_span(&acts));
    write_bytes("files", buf_span(&files));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cluster_open(rig.m), 0);
        assert_int_equal(singular_waiting(rig.m->cluster, 2), ACT_WAITS_MAX);
        assert_int_equal(files_version(rig.m, "cam-19999")->promised.term, 7);
        assert_int_equal(unlinkat(rig.m->state_dir, "acts", 0), 0);
        cluster_close(rig.m); /* what waits was heard of: it is written again */
        assert_true(is_there("acts"));
    }
    assert_false(is_there("acts.bad") || is_there("files.bad"));
    buf_done(&acts);
    buf_done(&files);
}

static void break_all(const char *name, struct span bytes)
{
    char aside[32];

    snprintf(aside, sizeof(aside), "%s.bad", name);
    write_bytes(name, bytes);
    assert_int_equal(cluster_open(rig.m), 0);
    assert_true(is_there(aside));
    cluster_close(rig.m);
    (void)unlinkat(rig.m->state_dir, name, 0); /* it may have been written again */
    assert_int_equal(unlinkat(rig.m->state_dir, aside, 0), 0);
}

static void what_cannot_be_read_is_set_aside(void **state)
{
    const struct span bad[] = {SPAN_LIT("\xc1"), SPAN_LIT("garbage"), SPAN_LIT("\xdd\xff\xff\xff\xff"),
        SPAN_LIT("\x92\x93\x02"), SPAN_LIT("\x91\x01"), SPAN_LIT("")};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(names); i++)
        for (size_t k = 0; k < ARRAY_N(bad); k++) break_all(names[i], bad[k]);
    for (size_t i = 0; i < ARRAY_N(names); i++) { /* nor one that is no file at all */
        assert_int_equal(mkdirat(rig.m->state_dir, names[i], 0700), 0);
        assert_int_equal(cluster_open(rig.m), 0);
        cluster_close(rig.m);
    }
}

/* A row that is bad loses itself only; what is torn is lost, and may have promised anything. */
static void a_damaged_file(void **state)
{
    char text[ACT_TEXT_MAX] = "";
    struct buf files, acts;

    (void)state;
    write_files(&files);
    write_acts(&acts, ACT_WAITS_MAX / 2);
    write_bytes("files", span_sub(buf_span(&files), 0, buf_n(&files) / 2));
    write_bytes("acts", buf_span(&acts));
    rig.m->conf->server.cluster_push = true;
    assert_int_equal(cluster_open(rig.m), 0);
    assert_true(is_there("acts.bad"));
    assert_int_equal(singular_waiting(rig.m->cluster, 2), ACT_WAITS_MAX - 1);
    assert_false(files_may_edit(rig.m, text));
    assert_non_null(strstr(text, "files.bad"));
    files_tick(rig.m->cluster, clock_mono_us());
    assert_false(files_may_edit(rig.m, text));
    cluster_close(rig.m);
    assert_int_equal(cluster_open(rig.m), 0); /* behind a restart too, */
    assert_false(files_may_edit(rig.m, text));
    assert_int_equal(unlinkat(rig.m->state_dir, "files.bad", 0), 0);
    files_tick(rig.m->cluster, clock_mono_us()); /* until somebody has looked */
    assert_true(files_may_edit(rig.m, text));    /* it has the lowest number */
    buf_done(&files);
    buf_done(&acts);
}

/* The next beat tries; nobody waits for the minute here. */
static void look_at_ports(struct loop_timer *t)
{
    struct cluster *c = t->arg;

    if ((c->listen_fd >= 0 && c->link.fd >= 0) || clock_mono_us() > rig.until_us) loop_break(rig.m->loop);
    c->ports_us = 0;
}

static void a_port_that_is_taken(void **state)
{
    struct loop_timer timer = {.fn = NULL};

    (void)state;
    assert_int_equal(cluster_open(rig.m), 0);
    assert_int_equal(rig.m->cluster->listen_fd, -1);
    cluster_start(rig.m);
    fd_close(&rig.taken_fd);
    rig.until_us = clock_mono_us() + 60 * US_PER_S;
    loop_timer_every(rig.m->loop, &timer, US_PER_S / 100, look_at_ports, rig.m->cluster);
    loop_run(rig.m->loop);
    loop_timer_stop(&timer);
    assert_true(rig.m->cluster->listen_fd >= 0);
    assert_true(rig.m->cluster->link.fd >= 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read_again),
        T(what_cannot_be_read_is_set_aside),
        T(a_damaged_file),
        T(a_port_that_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
