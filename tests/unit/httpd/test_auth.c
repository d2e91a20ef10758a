/* A reload: what let a viewer in and is configured otherwise now ends what was begun with it; all else goes
 * on. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/net/pool.h"
#include "common/wire/scrypt.h"
#include "tests/support/access_help.h"

#include <semaphore.h>
#include <unistd.h>

static struct access_help help;

static const struct access_road_row page = {
    "/:uid/stream.json", "/%/stream.json", ACCESS_PAGE, ROAD_INFO, NULL};

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

/* Begins a session with that and takes its id. */
static void begin(const struct access_site *site, const struct access_shown *shown, char *id)
{
    access_help_site(&help, site);
    assert_int_equal(access_help_ask(&help, &page, "private", shown, NULL), 200);
    access_help_session(&help, "private", id);
    assert_int_equal(strlen(id), SESSION_ID_DIGITS);
}

static unsigned behind(const struct access_site *site, const char *id)
{
    access_help_site(&help, site);
    return access_help_ask(&help, &page, "private", &(struct access_shown){.session = id}, NULL);
}

static void tokens(void **state)
{
    const struct access_site plain = {.whitelist = NULL};
    int64_t now_s = clock_wall_us() / US_PER_S;
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    begin(&plain, &(struct access_shown){.token = access_token_text(access_token("private"))}, id);
    assert_int_equal(behind(&plain, id), 200);
    assert_int_equal(behind(&(struct access_site){.users = true, .link_key = "x"}, id), 200);
    assert_int_equal(behind(&(struct access_site){.key_until_s = now_s + 1000}, id), 200);
    assert_int_equal(behind(&(struct access_site){.key_until_s = now_s - 1}, id), 403);
    begin(&plain, &(struct access_shown){.token = access_token_text(access_token("private"))}, id);
    assert_int_equal(behind(&(struct access_site){.secret = "another one of the same name"}, id), 403);
    assert_int_equal(behind(&plain, id), 403); /* it was ended, not hidden */
}

static void accounts(void **state)
{
    const struct access_site users = {.users = true};
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    begin(&users, &(struct access_shown){.login = ACCESS_USER}, id);
    assert_int_equal(behind(&users, id), 200);
    assert_int_equal(behind(&(struct access_site){.users = true, .secret = "another"}, id), 200);
    assert_int_equal(behind(&(struct access_site){.users = true, .password = "changed"}, id), 403);
    begin(&users, &(struct access_shown){.login = ACCESS_USER}, id);
    assert_int_equal(behind(&(struct access_site){.users = false}, id), 403);
}

static void links(void **state)
{
    const struct access_site site = {.link_key = ACCESS_LINK_KEY};
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    begin(&site, &(struct access_shown){.token = access_link("private", ACCESS_LINK_KEY)}, id);
    assert_int_equal(behind(&site, id), 200);
    assert_int_equal(behind(&(struct access_site){.link_key = "another"}, id), 403);
}

/* Another one is asked about who watches; where there is none, nobody has let him in. */
static void backends(void **state)
{
    static struct access_backend first, second;
    usec_t by_us = clock_mono_us() + 30 * US_PER_S;
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    access_backend_start(&first);
    access_backend_start(&second);
    begin(&(struct access_site){.backend = first.url}, &(struct access_shown){.token = "yes-1"}, id);
    assert_int_equal(behind(&(struct access_site){.backend = first.url, .users = true}, id), 200);
    assert_int_equal(atomic_load(&first.asked), 1);
    assert_int_equal(behind(&(struct access_site){.backend = second.url}, id), 200);
    while (atomic_load(&second.asked) == 0) {
        assert_true(clock_mono_us() < by_us);
        usleep(1000);
    }
    assert_int_equal(behind(&(struct access_site){.backend = NULL}, id), 403);
    access_backend_stop(&first);
    access_backend_stop(&second);
}

/* Who was asked before the reload answers behind it: the one that is configured now decides. */
static void an_answer_of_before(void **state)
{
    static struct access_backend first, second;
    const struct access_site now = {.backend = first.url};
    usec_t by_us = clock_mono_us() + 30 * US_PER_S;
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    access_backend_start(&first);
    access_backend_start(&second);
    begin(&now, &(struct access_shown){.token = "yes-2"}, id);
    atomic_store(&second.holds, true);
    atomic_store(&second.status, 403);
    assert_int_equal(behind(&(struct access_site){.backend = second.url}, id), 200);
    while (atomic_load(&second.asked) == 0) {
        assert_true(clock_mono_us() < by_us);
        usleep(1000);
    }
    assert_int_equal(behind(&now, id), 200);
    atomic_store(&second.holds, false);
    while (atomic_load(&first.asked) < 2) {
        assert_true(clock_mono_us() < by_us);
        assert_int_equal(
            access_help_ask(&help, &page, "private", &(struct access_shown){.session = id}, NULL), 200);
    }
    access_backend_stop(&first);
    access_backend_stop(&second);
}

static sem_t go;

static void work(struct job *j)
{
    (void)j;
    sem_wait(&go);
}

static void done(struct job *j)
{
    (void)j;
}

/* A password that was right a while ago waits for no thread: its only one may be busy with guesses. */
static void a_slow_password_once(void **state)
{
    static struct job busy = {.work = work, .done = done};
    const struct access_shown shown = {
        .fields = "X-Forwarded-Proto: https\r\nAuthorization: Basic YW5uYTp3b25kZXI=\r\n"}; /* anna:wonder */
    char kept[SCRYPT_TEXT_MAX];
    struct wr w = wr_of(kept, sizeof(kept));

    (void)state;
    must(scrypt_write(SPAN_LIT("wonder"), &w));
    access_help_stream(&help, "second", ACCESS_PRIVATE, "", 0);
    access_help_site(
        &help, &(struct access_site){.users = true, .password = wr_cstr(&w), .proxies = "127.0.0.0/8"});
    assert_int_equal(access_help_ask(&help, &page, "private", &shown, NULL), 200);
    must(sem_init(&go, 0, 0) == 0);
    busy.loop = hub_home(&help.http.server, SPAN_LIT("second"))->loop;
    must(pool_put(help.http.server.passwords, &busy));
    assert_int_equal(access_help_ask(&help, &page, "second", &shown, NULL), 200);
    must(sem_post(&go) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(accounts),
        cmocka_unit_test(links),
        cmocka_unit_test(backends),
        cmocka_unit_test(an_answer_of_before),
        cmocka_unit_test(a_slow_password_once),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
