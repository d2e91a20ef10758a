#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "worker/camera_udp.h"

struct bench {
    struct camera_udp u;
    struct camera_udp_batch batch;
    int camera[2], stranger;
    struct sockaddr_in to[2];
    unsigned rtp, rtcp, between;
    size_t last, longest;
};

static int bound(struct sockaddr_in *ret)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(*ret);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
    return fd;
}

static int setup(void **state)
{
    struct bench *b = mem_new(sizeof(*b));
    struct sockaddr_storage peer = {.ss_family = AF_INET};
    struct sockaddr_in any;
    int fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = bound(&b->to[i]);
        b->camera[i] = bound(&any);
    }
    b->stranger = bound(&any);
    memcpy(&peer, &any, sizeof(any));
    camera_udp_open(&b->u, fds[0], fds[1], &peer);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    camera_udp_close(&b->u);
    camera_udp_close(&b->u);
    camera_udp_batch_done(&b->batch);
    for (int i = 0; i < 2; i++) fd_close(&b->camera[i]);
    fd_close(&b->stranger);
    mem_free(b);
    return 0;
}

static void send_from(struct bench *b, int fd, int to, size_t n)
{
    static uint8_t bytes[65507];

    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 7 + n);
    assert_int_equal(sendto(fd, bytes, n, 0, (struct sockaddr *)&b->to[to], sizeof(b->to[to])), n);
}

static void on_packet(void *arg, bool rtcp, struct span packet)
{
    struct bench *b = arg;

    *(rtcp ? &b->rtcp : &b->rtp) += 1;
    b->last = packet.n;
    b->longest = MAX(b->longest, packet.n);
    for (size_t i = 0; i < packet.n; i++) assert_int_equal(packet.p[i], (uint8_t)(i * 7 + packet.n));
}

static void on_between(void *arg)
{
    ((struct bench *)arg)->between++;
}

static size_t drain(struct bench *b)
{
    return camera_udp_drain(&b->u, &b->batch, on_packet, on_between, b);
}

static void both_sockets_are_read_in_batches(void **state)
{
    struct bench *b = *state;

    assert_int_equal(drain(b), 0);
    b->between = 0;
    for (int i = 0; i < 100; i++) send_from(b, b->camera[0], 0, 1000);
    send_from(b, b->camera[1], 1, 60);
    assert_int_equal(drain(b), 100060);
    assert_int_equal(b->rtp, 100);
    assert_int_equal(b->rtcp, 1);
    assert_int_equal(b->between, 4); /* 48, 48, 4 and one of RTCP */
}

/* T18, K8: the first packet's port is the camera's. */
static void the_first_port_is_latched(void **state)
{
    struct bench *b = *state;
    struct sockaddr_in mine;
    socklen_t n = sizeof(mine);

    send_from(b, b->camera[0], 0, 100);
    send_from(b, b->stranger, 0, 100);
    drain(b);
    assert_int_equal(b->rtp, 1);
    assert_int_equal(b->u.strangers, 1);
    assert_int_equal(getsockname(b->camera[0], (struct sockaddr *)&mine, &n), 0);
    assert_int_equal(b->u.seen_port[0], ntohs(mine.sin_port));
}

static void other_addresses_do_not_count(void **state)
{
    struct bench *b = *state;

    ((struct sockaddr_in *)&b->u.peer)->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    send_from(b, b->camera[0], 0, 100);
    drain(b);
    assert_int_equal(b->rtp, 0);
    assert_int_equal(b->u.strangers, 1);
    assert_int_equal(b->u.seen_port[0], 0);
}

/* T15: none of the large ones is lost, not even the first. */
static void datagrams_of_any_length(void **state)
{
    static const size_t sizes[] = {
        CAMERA_UDP_SLOT - 1, CAMERA_UDP_SLOT, CAMERA_UDP_SLOT + 1, 10000, 60000, 65507, 100};
    struct bench *b = *state;

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_N(sizes); i++) send_from(b, b->camera[0], 0, sizes[i]);
        drain(b);
        assert_int_equal(b->rtp, (round + 1) * ARRAY_N(sizes));
        assert_int_equal(b->last, 100);
        assert_int_equal(b->longest, 65507);
    }
}

/* An ICMP error of what we sent does not stop reading. */
static void refused_is_ignored(void **state)
{
    struct bench *b = *state;
    struct sockaddr_in gone;
    int fd = bound(&gone);

    close(fd);
    assert_int_equal(connect(b->u.fd[1], (struct sockaddr *)&gone, sizeof(gone)), 0);
    b->u.connected = true;
    camera_udp_send(&b->u, true, SPAN_LIT("report"));
    camera_udp_send(&b->u, true, SPAN_LIT("report"));
    send_from(b, b->camera[0], 0, 100);
    assert_int_equal(drain(b), 100);
    assert_int_equal(b->rtp, 1);
}

static void punches_come_when_due(void **state)
{
    struct bench *b = *state;
    struct sockaddr_in camera;
    socklen_t n = sizeof(camera);
    uint8_t bytes[64];

    camera_udp_punch(&b->u, 1, US_PER_S);
    assert_int_equal(recv(b->camera[0], bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(getsockname(b->camera[i], (struct sockaddr *)&camera, &n), 0);
        assert_int_equal(connect(b->u.fd[i], (struct sockaddr *)&camera, sizeof(camera)), 0);
    }
    b->u.connected = true;
    camera_udp_punch(&b->u, 1, US_PER_S);
    camera_udp_punch(&b->u, 1, 2 * US_PER_S);
    assert_int_equal(recv(b->camera[0], bytes, sizeof(bytes), MSG_DONTWAIT), 12);
    assert_int_equal(recv(b->camera[0], bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    assert_int_equal(recv(b->camera[1], bytes, sizeof(bytes), MSG_DONTWAIT), 8);
    camera_udp_punch(&b->u, 1, 17 * US_PER_S);
    assert_int_equal(recv(b->camera[0], bytes, sizeof(bytes), MSG_DONTWAIT), 12);
}

/* T16: the kernel's buffer bounds how long may be waited. */
static void faster_streams_are_drained_more_often(void **state)
{
    struct camera_udp u = {.rcvbuf = 425984};

    (void)state;
    assert_int_equal(camera_udp_drain_us(&u, 0, US_PER_S), CAMERA_UDP_DRAIN_MAX_US);
    assert_int_equal(camera_udp_drain_us(&u, 200000, US_PER_S), CAMERA_UDP_DRAIN_MAX_US);
    assert_in_range(camera_udp_drain_us(&u, 1000000, US_PER_S), 50 * US_PER_MS, 60 * US_PER_MS);
    assert_int_equal(camera_udp_drain_us(&u, UINT32_MAX, US_PER_S), CAMERA_UDP_DRAIN_MIN_US);
}

/* T16: what the kernel had no room for is counted. */
static void drops_are_counted(void **state)
{
    struct bench *b = *state;
    int small = 8192;

    assert_int_equal(setsockopt(b->u.fd[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    for (int i = 0; i < 200; i++) send_from(b, b->camera[0], 0, 1000);
    drain(b);
    assert_in_range(b->rtp, 1, 199);
    send_from(b, b->camera[0], 0, 1000); /* the number comes with the next packet */
    drain(b);
    assert_int_equal(b->rtp + b->u.drops, 201);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_sockets_are_read_in_batches),
        TEST(the_first_port_is_latched),
        TEST(other_addresses_do_not_count),
        TEST(datagrams_of_any_length),
        TEST(refused_is_ignored),
        TEST(punches_come_when_due),
        TEST(faster_streams_are_drained_more_often),
        TEST(drops_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
