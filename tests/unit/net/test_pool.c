#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

#include "common/base/mem.h"
#include "common/net/pool.h"
#include "httpd/storages.h"

struct counted {
    struct job job;
    sem_t *gate, *running;
    unsigned *done;
    unsigned stop_at;
    pthread_t hub;
    bool in_hub;
};

static void work(struct job *j)
{
    struct counted *c = CONTAINER(j, struct counted, job);

    sem_post(c->running);
    sem_wait(c->gate);
}

static void done(struct job *j)
{
    struct counted *c = CONTAINER(j, struct counted, job);

    c->in_hub = pthread_equal(pthread_self(), c->hub) != 0;
    if (++*c->done == c->stop_at) loop_break(j->loop);
}

/* Two threads stand still, four jobs wait, the next is refused; all that were taken end in the loop's thread.
 */
static void test_full_queue_refuses(void **state)
{
    struct loop *loop = loop_new();
    struct pool *p = pool_new(2, 4);
    struct counted c[7];
    sem_t gate, running;
    unsigned n = 0;

    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&running, 0, 0);
    for (size_t i = 0; i < ARRAY_N(c); i++) {
        c[i] = (struct counted){{work, done, loop, NULL}, &gate, &running, &n, 6, pthread_self(), false};
        if (i < 2) {
            assert_true(pool_put(p, &c[i].job));
            sem_wait(&running);
        }
    }
    for (size_t i = 2; i < 6; i++) assert_true(pool_put(p, &c[i].job));
    assert_int_equal(pool_waiting(p), 4);
    assert_false(pool_put(p, &c[6].job));
    for (size_t i = 0; i < 6; i++) sem_post(&gate);
    loop_run(loop);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < 6; i++) assert_true(c[i].in_hub);
    pool_free(p);
    loop_free(loop);
    sem_destroy(&gate);
    sem_destroy(&running);
}

/* What ran has been told to its loop, which may go then; nothing more is taken. */
static void test_stopped(void **state)
{
    struct loop *loop = loop_new();
    struct pool *p = pool_new(1, 4);
    struct counted c[2];
    sem_t gate, running;
    unsigned n = 0;

    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&running, 0, 0);
    for (size_t i = 0; i < ARRAY_N(c); i++)
        c[i] = (struct counted){{work, done, loop, NULL}, &gate, &running, &n, 1, pthread_self(), false};
    assert_true(pool_put(p, &c[0].job));
    sem_wait(&running);
    sem_post(&gate);
    pool_stop(p);
    assert_false(pool_put(p, &c[1].job));
    loop_run(loop);
    assert_int_equal(n, 1);
    loop_free(loop);
    pool_free(p);
    sem_destroy(&gate);
    sem_destroy(&running);
}

static void test_storages_by_archive(void **state)
{
    struct storages *s = storages_new();
    struct storage *st[4], *old;

    (void)state;
    assert_int_equal(storages_of(s, SPAN_NONE, NULL, 0, st, 4), 0);
    storage_set(s, SPAN_LIT("default"), SPAN_LIT("/storage"));
    storage_set(s, SPAN_LIT("b"), SPAN_LIT("/disk/b"));
    assert_int_equal(storages_of(s, SPAN_NONE, NULL, 0, st, 4), 1);
    assert_string_equal(st[0]->name, "default");
    storage_unref(st[0]);
    assert_int_equal(storages_of(s, SPAN_LIT("b*3, default*1, b, none"), NULL, 0, st, 4), 2);
    assert_string_equal(st[0]->name, "b");
    storage_unref(st[0]);
    storage_unref(st[1]);
    assert_int_equal(storages_of(s, SPAN_LIT("/disk/b"), NULL, 0, st, 4), 1);
    old = st[0];
    /* the same again changes nothing; another path is another storage, the old one lives as long as it is
     * used */
    storage_set(s, SPAN_LIT("b"), SPAN_LIT("/disk/b"));
    st[0] = storage_by_name(s, SPAN_LIT("b"));
    assert_ptr_equal(st[0], old);
    storage_unref(st[0]);
    storage_set(s, SPAN_LIT("b"), SPAN_LIT("/disk/c"));
    st[0] = storage_by_name(s, SPAN_LIT("b"));
    assert_ptr_not_equal(st[0], old);
    assert_string_equal(old->path, "/disk/b");
    storage_unref(st[0]);
    storage_unref(old);
    storage_remove(s, SPAN_LIT("b"));
    assert_null(storage_by_name(s, SPAN_LIT("b")));
    storages_free(s);
}

/* Of more nodes than are asked those come first that are named for the stream. */
static void test_nodes_of_a_stream_come_first(void **state)
{
    struct storages *s = storages_new();
    struct storage_node nodes[40] = {{0}};
    const uint16_t named[] = {41, 7};
    struct storage *st[4];

    (void)state;
    storage_set(s, SPAN_LIT("default"), SPAN_LIT("/storage"));
    for (uint16_t i = 0; i < ARRAY_N(nodes); i++) nodes[i].node = i + 2;
    storages_nodes(s, NULL, 1, nodes, ARRAY_N(nodes));
    assert_int_equal(storages_of(s, SPAN_NONE, named, ARRAY_N(named), st, ARRAY_N(st)), 4);
    assert_int_equal(st[0]->node, 0);
    assert_true(st[1]->node == 7 || st[2]->node == 7);
    assert_true(st[1]->node == 41 || st[2]->node == 41);
    assert_true(st[3]->node != 0 && st[3]->node != 7 && st[3]->node != 41);
    for (size_t i = 0; i < ARRAY_N(st); i++) storage_unref(st[i]);
    storages_free(s);
}

/* No index before the keeper has said that it stands. */
static void test_no_index_before_it_is_ready(void **state)
{
    struct storages *s = storages_new();
    struct storage *st;

    (void)state;
    storage_set(s, SPAN_LIT("default"), SPAN_LIT("/nowhere"));
    st = storage_by_name(s, SPAN_LIT("default"));
    assert_null(storage_index_get(st));
    storage_index_ready(s, SPAN_LIT("default"), SPAN_LIT("/nowhere/at/all"));
    assert_null(storage_index_get(st));
    storage_unref(st);
    storages_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_queue_refuses),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_storages_by_archive),
        cmocka_unit_test(test_nodes_of_a_stream_come_first),
        cmocka_unit_test(test_no_index_before_it_is_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
