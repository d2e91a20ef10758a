/* The queue, the cache and the threads of pictures, with helpers of this test that do as they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "httpd/pictures.h"

#define HELPERS_MOST 600
#define WAIT_US      (60 * US_PER_S)

/* What a helper does with a request: by the first byte of what it is given. */
enum { DO_ANSWER = 'a', DO_REFUSE = 'r', DO_DIE = 'd', DO_LIE = 'l', DO_HOLD = 'h' };

static struct {
    struct pictures *p;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned born, gone, asked;
    bool holding, mute, let_go;
    pthread_t threads[HELPERS_MOST];
} site;

static void answer_of(const struct picture_ask *ask, const uint8_t *bytes, struct picture_answer *a)
{
    a->id = ask->id;
    a->err = bytes[0] == DO_REFUSE ? PICTURE_E_BAD : PICTURE_OK;
    a->n_bytes = a->err == PICTURE_OK ? ask->n_bytes : 0;
    a->width = ask->width;
    if (bytes[0] == DO_LIE) a->id++;
}

static bool put(int fd, const struct picture_answer *a, struct span bytes)
{
    struct buf b;
    bool ok;

    buf_init(&b, PICTURE_HEAD_MAX);
    ok = picture_answer_write(&b, a) && picture_send(fd, buf_span(&b), clock_mono_us() + WAIT_US) == 0 &&
        picture_send(fd, bytes, clock_mono_us() + WAIT_US) == 0;
    buf_done(&b);
    return ok;
}

static void hold(void)
{
    pthread_mutex_lock(&site.lock);
    site.holding = true;
    pthread_cond_broadcast(&site.moved);
    while (!site.let_go) pthread_cond_wait(&site.moved, &site.lock);
    pthread_mutex_unlock(&site.lock);
}

/* Serves one request; false: it is over. */
static bool serve_one(int fd, uint8_t *head, struct picture_ask *ask)
{
    struct picture_answer a = {0};
    struct span map;
    uint8_t *bytes;
    bool ok;

    if (picture_recv_map(fd, head, &map, clock_mono_us() + 60 * US_PER_S) < 0) return false;
    must(picture_ask_read(map, ask));
    bytes = mem_new(ask->n_bytes);
    ok = picture_recv(fd, bytes, ask->n_bytes, clock_mono_us() + WAIT_US) == 0 && bytes[0] != DO_DIE;
    pthread_mutex_lock(&site.lock);
    site.asked++;
    pthread_mutex_unlock(&site.lock);
    if (ok && bytes[0] == DO_HOLD) hold();
    answer_of(ask, bytes, &a);
    ok = ok && put(fd, &a, span(bytes, a.n_bytes));
    mem_free(bytes);
    return ok;
}

static void *helper(void *arg)
{
    int fd = (int)(intptr_t)arg;
    uint8_t *head = mem_new(PICTURE_HEAD_MAX);
    struct picture_ask *ask = NEW(struct picture_ask);
    struct picture_answer hello = {.id = 0};

    if (put(fd, &hello, SPAN_NONE))
        while (serve_one(fd, head, ask)) {
        }
    close(fd);
    mem_free(ask);
    mem_free(head);
    return NULL;
}

static void want(void *arg)
{
    int sv[2];
    unsigned id;

    (void)arg;
    if (site.mute) return;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    pthread_mutex_lock(&site.lock);
    id = site.born++;
    must(id < HELPERS_MOST);
    must(pthread_create(&site.threads[id], NULL, helper, (void *)(intptr_t)sv[1]) == 0);
    pthread_mutex_unlock(&site.lock);
    pictures_helper(site.p, id + 1, 0, sv[0]);
}

static void gone(void *arg, uint64_t id)
{
    (void)arg;
    must(id > 0);
    pthread_mutex_lock(&site.lock);
    site.gone++;
    pthread_cond_broadcast(&site.moved);
    pthread_mutex_unlock(&site.lock);
}

static const struct pictures_ops ops = {want, gone};

static void begin(unsigned helpers)
{
    memset(&site, 0, sizeof(site));
    pthread_mutex_init(&site.lock, NULL);
    pthread_cond_init(&site.moved, NULL);
    site.p = pictures_new(helpers, &ops, NULL);
}

static void let_go(void)
{
    pthread_mutex_lock(&site.lock);
    site.let_go = true;
    pthread_cond_broadcast(&site.moved);
    pthread_mutex_unlock(&site.lock);
}

static void finish(void)
{
    let_go();
    pictures_free(site.p);
    for (unsigned i = 0; i < site.born; i++) pthread_join(site.threads[i], NULL);
    assert_int_equal(site.gone, site.born); /* every helper is given back */
}

static struct picture_source *source(char first, size_t n, uint8_t salt)
{
    struct picture_source *s = picture_source_new();
    uint8_t *to = buf_room(&s->bytes, n);

    must(to != NULL);
    memset(to, salt, n);
    to[0] = (uint8_t)first;
    buf_added(&s->bytes, n);
    s->ask.kind = PICTURE_JPEG;
    s->ask.codec = CODEC_H264;
    s->ask.quality = 80;
    s->ask.n_units = 1;
    s->ask.units[0].size = (uint32_t)n;
    return s;
}

static int make(const char *key, char first, size_t n, uint8_t salt)
{
    struct picture *made = NULL;
    int err = pictures_make(site.p, key, source(first, n, salt), &made);

    if (err == PICTURES_OK) assert_int_equal(made->n, n);
    picture_unref(made);
    return err;
}

static void test_made_once_and_kept(void **state)
{
    struct picture *made;

    (void)state;
    begin(2);
    assert_false(pictures_known(site.p, "one", &made));
    for (int i = 0; i < 5; i++) assert_int_equal(make("one", DO_ANSWER, 100, 1), PICTURES_OK);
    assert_true(pictures_known(site.p, "one", &made));
    assert_int_equal(made->data[1], 1);
    picture_unref(made);
    assert_int_equal(make("two", DO_ANSWER, 100, 2), PICTURES_OK);
    assert_int_equal(site.asked, 2);
    assert_int_equal(site.gone, 0);
    finish();
}

/* --- many who wait --- */

static _Atomic unsigned answered, busy;

static void count(struct picture_job *j)
{
    atomic_fetch_add(&answered, 1);
    if (j->err == PICTURES_E_BUSY) atomic_fetch_add(&busy, 1);
    picture_unref(j->picture);
    mem_free(j);
}

static void ask(const char *key, char first, uint8_t salt)
{
    struct picture_job *j = NEW(struct picture_job);

    j->done = count;
    assert_true(pictures_ask(site.p, key, source(first, 50, salt), j));
}

static void until(const _Atomic unsigned *what, unsigned n)
{
    usec_t end_us = clock_mono_us() + WAIT_US;

    while (atomic_load(what) < n) {
        assert_true(clock_mono_us() < end_us);
        sched_yield();
    }
}

static void until_held(void)
{
    pthread_mutex_lock(&site.lock);
    while (!site.holding) pthread_cond_wait(&site.moved, &site.lock);
    pthread_mutex_unlock(&site.lock);
}

static void test_one_flight_for_all_and_a_bounded_queue(void **state)
{
    char key[16];

    (void)state;
    begin(1);
    atomic_store(&answered, 0);
    atomic_store(&busy, 0);
    ask("held", DO_HOLD, 0);
    until_held();
    for (int i = 0; i < 50; i++) ask("held", DO_HOLD, 0); /* joins: the queue does not grow */
    for (int i = 0; i < PICTURES_QUEUE_MAX; i++) {
        snprintf(key, sizeof(key), "q%d", i);
        ask(key, DO_ANSWER, (uint8_t)i);
    }
    assert_int_equal(atomic_load(&answered), 0);
    ask("one more", DO_ANSWER, 99);
    assert_int_equal(atomic_load(&busy), 1);
    let_go();
    until(&answered, 1 + 50 + PICTURES_QUEUE_MAX + 1);
    assert_int_equal(atomic_load(&busy), 1);
    assert_int_equal(site.asked, 1 + PICTURES_QUEUE_MAX);
    finish();
}

static void test_what_ends_a_helper_is_not_tried_again(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(make("a", DO_DIE, 60, 1), PICTURES_E_KILLED);
    assert_int_equal(make("b", DO_DIE, 60, 1), PICTURES_E_POISON); /* the same bytes */
    assert_int_equal(site.asked, 1);
    assert_int_equal(make("c", DO_ANSWER, 60, 1), PICTURES_OK); /* others are made, by another helper */
    assert_int_equal(site.born, 2);
    assert_int_equal(make("d", DO_LIE, 60, 2), PICTURES_E_KILLED); /* an answer to another question */
    assert_int_equal(make("e", DO_REFUSE, 60, 3), PICTURES_E_BAD);
    assert_int_equal(make("f", DO_ANSWER, 60, 3), PICTURES_OK); /* a refusal costs no helper */
    assert_int_equal(site.born, 3);
    finish();
}

static void test_one_that_hangs_is_given_up(void **state)
{
    usec_t before_us;

    (void)state;
    begin(1);
    before_us = clock_mono_us();
    assert_int_equal(make("slow", DO_HOLD, 60, 1), PICTURES_E_KILLED);
    assert_true(clock_mono_us() - before_us >= PICTURES_JOB_US);
    assert_int_equal(site.gone, 1);
    finish();
}

static void test_helpers_are_replaced(void **state)
{
    char key[16];

    (void)state;
    begin(1);
    for (int i = 0; i <= PICTURES_HELPER_JOBS; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(make(key, DO_ANSWER, 4 + (size_t)i, 1), PICTURES_OK);
    }
    assert_int_equal(site.born, 2);
    finish();
}

static void test_cache_forgets_the_oldest(void **state)
{
    const size_t n = 4u << 20;
    struct picture *made;
    char key[16];

    (void)state;
    begin(1);
    for (unsigned i = 0; i <= PICTURES_CACHE_MAX / n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(make(key, DO_ANSWER, n, (uint8_t)i), PICTURES_OK);
    }
    assert_false(pictures_known(site.p, "k0", &made));
    assert_true(pictures_known(site.p, "k1", &made));
    picture_unref(made);
    finish();
}

static void test_no_helper_and_none_wanted(void **state)
{
    struct picture *made;

    (void)state;
    begin(1);
    site.mute = true;
    pictures_helper(site.p, 77, ENOENT, -1); /* nobody waits for it */
    assert_int_equal(pictures_make(site.p, "x", source(DO_ANSWER, 10, 0), &made), PICTURES_E_NONE);
    finish();
    assert_null(pictures_new(0, &ops, NULL));
    assert_int_equal(pictures_make(NULL, "x", source(DO_ANSWER, 10, 0), &made), PICTURES_E_OFF);
    for (int err = PICTURES_OK + 1; err <= PICTURES_E_LARGE; err++)
        assert_true(strlen(pictures_why(err)) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once_and_kept),
        cmocka_unit_test(test_one_flight_for_all_and_a_bounded_queue),
        cmocka_unit_test(test_what_ends_a_helper_is_not_tried_again),
        cmocka_unit_test(test_one_that_hangs_is_given_up),
        cmocka_unit_test(test_helpers_are_replaced),
        cmocka_unit_test(test_cache_forgets_the_oldest),
        cmocka_unit_test(test_no_helper_and_none_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
