/* What masters of a cluster write into state-dir they read again, however much it is: a node that could not
 * would not start. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "master/cluster/act.h"
#include "master/cluster/files.h"
#include "master/cluster/singular.h"
#include "master/master.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    char dir[64];
    struct master *m;
} rig;

static int set_up(void **state)
{
    struct cluster *c;

    (void)state;
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    rig.m = NEW(struct master);
    rig.m->conf = NEW(struct conf);
    rig.m->conf->server.node_id = 1;
    rig.m->state_dir = open(rig.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig.m->cluster = c = NEW(struct cluster);
    c->m = rig.m;
    c->boot = 11;
    c->nodes = NEW(struct cluster_node);
    c->nodes[0].member.id = 2;
    c->n_nodes = 1;
    list_init(&c->net_waits);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_close(rig.m->cluster);
    singular_close(rig.m->cluster);
    close(rig.m->state_dir);
    tool_rmdir(rig.dir);
    mem_free(rig.m->cluster->nodes);
    mem_free(rig.m->cluster);
    mem_free(rig.m->conf);
    mem_free(rig.m);
    return 0;
}

static const char *name(size_t i)
{
    static char uid[40];

    snprintf(uid, sizeof(uid), "a-stream-with-a-long-uid-%zu", i);
    return uid;
}

static void write_file(const char *file, const struct packer *p)
{
    struct span bytes = buf_span(p->to);
    int fd = openat(rig.m->state_dir, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_false(p->bad);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, bytes), 0);
    close(fd);
}

/* Node 2 asks for promises for these. */
static void named(struct spread *s, size_t from, size_t to)
{
    while (from < to) {
        size_t n = MIN(to - from, SPREAD_ROWS_MAX);
        struct packer p;
        struct buf b;

        buf_init(&b, 60000);
        p = packer_of(&b);
        pack_map(&p, 3);
        pack_kv_u64(&p, "v", 1);
        pack_kv_u64(&p, "kind", SPREAD_PROMISE);
        pack_key(&p, "rows");
        pack_array(&p, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
            pack_array(&p, 2);
            pack_str(&p, span_of(name(from++)));
            stamp_pack(&p, &(struct stamp){1000 + i, 2, 22});
        }
        assert_false(p.bad);
        spread_heard(s, 2, buf_span(&b), 0);
        buf_done(&b);
    }
}

static void tell(void *arg, uint16_t node, struct span word)
{
    (void)arg;
    (void)word;
    assert_int_equal(node, 2);
}

static void changed(void *arg)
{
    (void)arg;
}

static void versions(void **state)
{
    static const struct spread_ops ops = {.tell = tell, .tell_kept = tell, .changed = changed};
    static const uint16_t other = 2;
    struct spread s;
    struct packer p;
    struct buf b;

    (void)state;
    spread_init(&s, &ops, NULL, 1, 11);
    spread_nodes(&s, &other, 1);
    named(&s, 0, SPREAD_UIDS_MAX + 500);
    assert_non_null(spread_file(&s, name(SPREAD_UIDS_MAX - 1)));
    assert_null(spread_file(&s, name(SPREAD_UIDS_MAX))); /* there is an end */
    assert_int_equal(s.left_out, 500);
    named(&s, 0, 1); /* what is known is promised still */
    assert_int_equal(s.left_out, 500);
    buf_init(&b, 8u << 20);
    p = packer_of(&b);
    spread_pack(&s, &p);
    write_file("files", &p);
    buf_done(&b);
    spread_done(&s);
    assert_int_equal(files_open(rig.m->cluster), 0);
    for (size_t i = 0; i < SPREAD_UIDS_MAX; i += 99)
        assert_true(files_version(rig.m, name(i))->promised.term >= 1000);
}

static void write_acts(size_t n)
{
    static const char note[] = "a note of what happened there";
    struct packer p;
    struct buf b;

    buf_init(&b, 4u << 20);
    p = packer_of(&b);
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        struct act a = {.id = i + 1, .stamp = {i + 1, 1, 11}, .kind = ACT_LOCK, .at_us = 1};

        span_copy(span_of(name(i)), a.uid, sizeof(a.uid));
        span_copy(SPAN_LIT(note), a.note, sizeof(a.note));
        pack_array(&p, 3);
        pack_u64(&p, 2);
        pack_bool(&p, false);
        act_pack(&p, &a);
    }
    write_file("acts", &p);
    buf_done(&b);
}

static void acts(void **state)
{
    (void)state;
    write_acts(ACT_WAITS_MAX);
    assert_int_equal(singular_open(rig.m->cluster), 0);
    assert_int_equal(singular_waiting(rig.m->cluster, 2), ACT_WAITS_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(versions), T(acts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
