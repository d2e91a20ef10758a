/* courier/etcd over TLS, against a real etcd-server that asks for certificates (--client-cert-auth): who is
 * believed, who is not, and what is said of it. */
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "courier/etcd.h"
#include "courier/gateway.h"
#include "tests/support/etcd_server.h"
#include "tests/support/loop_wait.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define AGAIN_US (50 * US_PER_MS)

static struct {
    char dir[64];
    struct loop *loop;
    struct etcd *etcd;
    bool over;
    int err;
    unsigned status;
    char why[ETCD_WHY_MAX];
    struct loop_timer again;
} rig;

/* --- two authorities, and what they have signed --- */

static void sh(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-ec", script, "sh", rig.dir, NULL};

    assert_int_equal(tool_run(argv, NULL), 0);
}

static int make_all(void **state)
{
    (void)state;
    tool_tmpdir(rig.dir, sizeof(rig.dir));
    sh("cd $1\n"
       "new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
       "for who in ca other; do openssl req -x509 $new -days 2 -subj /CN=$who -keyout $who.key -out "
       "$who.pem; done\n"
       "echo subjectAltName=IP:127.0.0.1 >server.ext; : >client.ext; : >stranger.ext\n"
       "sign() { openssl req $new -subj /CN=$1 -keyout $1.key -out $1.csr; openssl x509 -req -in $1.csr "
       "-CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
       "sign server ca; sign client ca; sign stranger other\n");
    return etcd_server_up_tls(rig.dir);
}

static int drop_all(void **state)
{
    int err = etcd_server_down(state);

    tool_rmdir(rig.dir);
    return err;
}

static struct span read_pem(const char *name)
{
    char path[128];
    uint8_t *p = NULL;
    size_t n = 0;

    if (!name) return SPAN_NONE;
    snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 1 << 16, &p, &n), 0);
    return span(p, n);
}

static void tls(const char *authority, const char *cert, const char *key)
{
    struct span v[] = {read_pem(authority), read_pem(cert), read_pem(key)};

    etcd_tls(rig.etcd, v[0], v[1], v[2]);
    for (size_t i = 0; i < ARRAY_N(v); i++) mem_free((void *)(uintptr_t)v[i].p);
}

static int set_up(void **state)
{
    const char *url = etcd_server.url;

    (void)state;
    rig.loop = loop_new();
    rig.etcd = etcd_new(rig.loop);
    etcd_endpoints(rig.etcd, &url, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    etcd_free(rig.etcd);
    loop_free(rig.loop);
    return 0;
}

/* --- questions --- */

static void on_answer(void *arg, const struct etcd_reply *r)
{
    (void)arg;
    rig.over = true;
    rig.err = r->err;
    rig.status = r->status;
    span_copy(span_of(r->err != 0 ? r->why : ""), rig.why, sizeof(rig.why));
}

static bool is_over(void)
{
    return rig.over;
}

static void on_again(struct loop_timer *t)
{
    (void)t;
    rig.over = true;
}

/* Until it comes up: nobody listens there before. */
static void ask(void)
{
    const struct gateway_range range = {.from = SPAN_LIT("a"), .end = SPAN_LIT("b"), .limit = 1};
    struct buf b;

    for (;;) {
        rig.over = false;
        buf_init(&b, 4096);
        assert_true(gateway_range(&b, &range));
        assert_int_equal(etcd_ask(rig.etcd, "/v3/kv/range", buf_span(&b), on_answer, NULL), 0);
        buf_done(&b);
        loop_wait(rig.loop, is_over);
        if (rig.err == 0 || !strstr(rig.why, "Failed to connect")) return;
        rig.over = false;
        loop_timer_set(rig.loop, &rig.again, AGAIN_US, on_again, NULL);
        loop_wait(rig.loop, is_over);
    }
}

static void both_prove_themselves(void **state)
{
    (void)state;
    tls("ca.pem", "client.pem", "client.key");
    ask();
    assert_string_equal(rig.why, "");
    assert_int_equal(rig.status, 200);
    assert_true(etcd_answered_us(rig.etcd) > 0);
}

static void another_authority(void **state)
{
    (void)state;
    tls("other.pem", "client.pem", "client.key");
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
    assert_non_null(strstr(rig.why, "cluster-store-ca has signed"));
    assert_int_equal(etcd_answered_us(rig.etcd), 0);
}

/* Those of this machine have signed nothing for it. */
static void no_authority(void **state)
{
    (void)state;
    tls(NULL, "client.pem", "client.key");
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
    assert_non_null(strstr(rig.why, "name the site's as cluster-store-ca"));
}

static void no_certificate(void **state)
{
    (void)state;
    tls("ca.pem", NULL, NULL);
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
    assert_non_null(strstr(rig.why, "cluster-store-cert"));
}

static void a_stranger(void **state)
{
    (void)state;
    tls("ca.pem", "stranger.pem", "stranger.key");
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
    assert_non_null(strstr(rig.why, "cluster-store-cert"));
}

/* Good ones behind bad ones: nothing of the connection before is used. */
static void it_changes(void **state)
{
    (void)state;
    tls("other.pem", NULL, NULL);
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
    both_prove_themselves(state);
    tls("other.pem", "client.pem", "client.key");
    ask();
    assert_int_equal(rig.err, ETCD_E_CONNECT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(both_prove_themselves),
        T(another_authority),
        T(no_authority),
        T(no_certificate),
        T(a_stranger),
        T(it_changes),
    };

    return cmocka_run_group_tests(tests, make_all, drop_all);
}
