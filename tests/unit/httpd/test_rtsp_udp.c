/* A track over UDP: every packet once and in order, a few at a time, bounded; what comes back, and from whom.
 */
#include "httpd/rtsp_udp.h"
#include "common/base/fd.h"
#include "common/base/wr.h"
#include "common/proto/rtcp.h"
#include "httpd/rtsp/pay.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define PACKET 200

static struct {
    struct loop *loop;
    struct sockaddr_storage here;
    int fd[2]; /* the viewer's */
    uint16_t port[2];
    struct rtsp_udp *u;
    unsigned heard, byes;
} T;

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *in = (void *)&sa;

    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(port);
    return sa;
}

static int socket_of(uint16_t *ret_port)
{
    struct sockaddr_storage sa = loopback(0);
    struct timeval wait = {.tv_sec = 5};
    socklen_t n = sizeof(struct sockaddr_in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    *ret_port = ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
    return fd;
}

static void on_heard(void *arg)
{
    (void)arg;
    T.heard++;
}

static void on_bye(void *arg)
{
    (void)arg;
    T.byes++;
}

static int begin(void **state)
{
    const struct rtsp_udp_ops ops = {on_heard, on_bye, NULL};

    (void)state;
    memset(&T, 0, sizeof(T));
    T.loop = loop_new();
    T.here = loopback(0);
    for (int i = 0; i < 2; i++) T.fd[i] = socket_of(&T.port[i]);
    T.u = rtsp_udp_new(T.loop, &T.here, &T.here, T.port, &ops);
    return T.u ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    rtsp_udp_free(T.u);
    for (int i = 0; i < 2; i++) fd_close(&T.fd[i]);
    loop_free(T.loop);
    return 0;
}

static void stop_loop(struct loop_timer *t)
{
    loop_break(t->arg);
}

static void run_for(usec_t us)
{
    struct loop_timer t = {0};

    loop_timer_set(T.loop, &t, us, stop_loop, T.loop);
    loop_run(T.loop);
    loop_timer_stop(&t);
}

/* n interleaved packets whose first bytes count from `first` on. */
static struct chunk *packets(unsigned first, unsigned n)
{
    struct chunk *c = chunk_new((size_t)n * (PAY_FRAMING + PACKET));
    struct wr w = wr_of(c->data, c->n);

    for (unsigned i = 0; i < n; i++) {
        uint8_t bytes[PACKET] = {0x80, 96, (uint8_t)((first + i) >> 8), (uint8_t)(first + i)};

        wr_u8(&w, '$');
        wr_u8(&w, 0);
        wr_u16(&w, PACKET);
        wr_bytes(&w, span(bytes, PACKET));
    }
    assert_true(wr_ok(&w));
    return c;
}

static void expect(unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        uint8_t got[2000];

        assert_int_equal(recv(T.fd[0], got, sizeof(got), 0), PACKET);
        assert_int_equal(got[2] << 8 | got[3], i);
    }
}

static void nothing_waits(int fd)
{
    uint8_t byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
}

static void an_even_port_and_the_next(void **state)
{
    uint16_t port[2];

    (void)state;
    rtsp_udp_ports(T.u, port);
    assert_true(port[0] % 2 == 0 && port[1] == port[0] + 1);
}

/* The first ones at once; the others by turns, so that no socket is overrun; none is lost or changed about.
 */
static void packets_by_turns(void **state)
{
    struct chunk *a = packets(0, 10), *b = packets(10, 3 * RTSP_UDP_TURN_PACKETS);

    (void)state;
    assert_true(rtsp_udp_send(T.u, a));
    assert_int_equal(rtsp_udp_queued(T.u), 0);
    assert_true(rtsp_udp_send(T.u, b));
    assert_true(rtsp_udp_queued(T.u) > 0);
    for (int i = 0; i < 100 && rtsp_udp_queued(T.u) > 0; i++) run_for(RTSP_UDP_TURN_US);
    assert_int_equal(rtsp_udp_queued(T.u), 0);
    expect(0, 10 + 3 * RTSP_UDP_TURN_PACKETS);
    assert_int_equal(rtsp_udp_bytes(T.u), (10 + 3 * RTSP_UDP_TURN_PACKETS) * PACKET);
    assert_true(a->refs == 1 && b->refs == 1);
    chunk_unref(a);
    chunk_unref(b);
}

static void what_waits_is_bounded(void **state)
{
    struct chunk *c = packets(0, 1000);
    unsigned n = 0;

    (void)state;
    while (n < 1000 && rtsp_udp_send(T.u, c)) n++;
    assert_true(n > 0 && n < 1000);
    assert_true(rtsp_udp_queued(T.u) <= RTSP_UDP_QUEUE_MAX);
    assert_true(rtsp_udp_queued(T.u) + c->n > RTSP_UDP_QUEUE_MAX);
    rtsp_udp_drop(T.u);
    assert_int_equal(rtsp_udp_queued(T.u), 0);
    assert_int_equal(c->refs, 1);
    assert_true(rtsp_udp_send(T.u, c)); /* goes on */
    chunk_unref(c);
}

static void reports_go_to_the_other_port(void **state)
{
    uint8_t got[100];

    (void)state;
    rtsp_udp_report(T.u, SPAN_LIT("report"));
    assert_int_equal(recv(T.fd[1], got, sizeof(got), 0), 6);
    nothing_waits(T.fd[0]);
}

static void say(int fd, unsigned to, struct span bytes)
{
    struct sockaddr_storage sa;
    uint16_t port[2];

    rtsp_udp_ports(T.u, port);
    sa = loopback(port[to]);
    assert_int_equal(
        sendto(fd, bytes.p, bytes.n, 0, (struct sockaddr *)&sa, sizeof(struct sockaddr_in)), bytes.n);
    run_for(20 * US_PER_MS);
}

static void what_the_viewer_says(void **state)
{
    uint8_t rr[64], bye[64];
    struct wr a = wr_of(rr, sizeof(rr)), b = wr_of(bye, sizeof(bye));
    uint16_t port;
    int other = socket_of(&port);

    (void)state;
    rtcp_write_rr(&a, 1, NULL, 0);
    rtcp_write_rr(&b, 1, NULL, 0);
    rtcp_write_bye(&b, 1);
    say(T.fd[1], 1, wr_span(&a));
    assert_true(T.heard == 1 && T.byes == 0);
    say(T.fd[1], 1, SPAN_LIT("no RTCP at all"));
    say(T.fd[0], 0, wr_span(&b)); /* opens a firewall, and says nothing */
    say(other, 1, wr_span(&b));   /* somebody else */
    assert_true(T.heard == 1 && T.byes == 0);
    say(T.fd[1], 1, wr_span(&b));
    assert_true(T.heard == 2 && T.byes == 1);
    close(other);
}

/* A viewer whose ports are closed costs an error a packet, and no more. */
static void a_viewer_that_is_not_there(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) fd_close(&T.fd[i]);
    for (unsigned i = 0; i < 5; i++) {
        struct chunk *c = packets(10 * i, 10);

        assert_true(rtsp_udp_send(T.u, c));
        chunk_unref(c);
        for (int k = 0; k < 100 && rtsp_udp_queued(T.u) > 0; k++) run_for(RTSP_UDP_TURN_US);
        assert_int_equal(rtsp_udp_queued(T.u), 0);
    }
}

static void two_kinds_of_address(void **state)
{
    const struct rtsp_udp_ops ops = {on_heard, on_bye, NULL};
    struct sockaddr_storage six = {.ss_family = AF_INET6};

    (void)state;
    assert_null(rtsp_udp_new(T.loop, &T.here, &six, T.port, &ops));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_even_port_and_the_next, begin, end),
        cmocka_unit_test_setup_teardown(packets_by_turns, begin, end),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(reports_go_to_the_other_port, begin, end),
        cmocka_unit_test_setup_teardown(what_the_viewer_says, begin, end),
        cmocka_unit_test_setup_teardown(a_viewer_that_is_not_there, begin, end),
        cmocka_unit_test_setup_teardown(two_kinds_of_address, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
