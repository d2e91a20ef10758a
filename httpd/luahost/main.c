/* ms-luahost: runs a site's scripts for httpd. One descriptor, a cage, one message after the other; scripts
 * come by that descriptor, so that not even they are read from a file here. Whoever takes it over gains what
 * the scripts are told.
 *
 * Started by the master with its socket to httpd as descriptor 3; argv[1] "required": without every layer of
 * the cage it does not begin. Ends when httpd closes the socket. */
#include "common/base/cage.h"
#include "common/base/err.h"
#include "common/ipc/child.h"
#include "httpd/luahost/host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TURN_N (64u << 10) /* bytes of one read */

static bool put_all(struct buf *out)
{
    while (buf_n(out) > 0) {
        ssize_t n = send(CHILD_CONTROL_FD, buf_span(out).p, buf_n(out), MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) return false;
        if (n > 0) buf_take(out, (size_t)n);
    }
    return true;
}

static bool say_hello(unsigned missing, struct buf *out)
{
    size_t at;
    struct packer p = luahost_begin(out, LUAHOST_HELLO, 1, &at);

    pack_kv_u64(&p, "missing", missing);
    return luahost_end(&p, at) && put_all(out);
}

/* Whole messages in `in`, each answered before the next is begun. */
static bool hear_all(struct host *h, struct buf *in, struct buf *out)
{
    struct span map;
    size_t n;
    int err;

    while ((err = luahost_next(buf_span(in), &map, &n)) == 0) {
        if (!host_hear(h, map, out) || !put_all(out)) return false;
        buf_take(in, n);
    }
    return err == LUAHOST_E_MORE;
}

static bool serve(struct host *h, struct buf *in, struct buf *out)
{
    uint8_t *room = buf_room(in, TURN_N);
    ssize_t n = room ? recv(CHILD_CONTROL_FD, room, TURN_N, 0) : -1;

    if (n < 0) return room && errno == EINTR;
    if (n == 0) return false;
    buf_added(in, (size_t)n);
    return hear_all(h, in, out);
}

/* Times are told in the site's time zone; behind the cage no file of it can be read, and glibc looks for a
 * change unless TZ says which one it is. */
static void keep_zone(void)
{
    if (!getenv("TZ")) (void)setenv("TZ", ":/etc/localtime", 1);
    tzset();
}

int main(int argc, char **argv)
{
    bool required = argc > 1 && strcmp(argv[1], "required") == 0;
    struct host *h = host_new();
    struct buf in, out;
    unsigned missing;

    /* The log is the others': nothing is written there. */
    if (dup2(STDIN_FILENO, STDOUT_FILENO) < 0 || dup2(STDIN_FILENO, STDERR_FILENO) < 0)
        return CHILD_EXIT_PROTO;
    keep_zone();
    missing = cage_enter(CAGE_LUA, CHILD_CONTROL_FD);
    if (required && missing != 0) return CHILD_EXIT_CONFIG;
    buf_init(&in, 2 * LUAHOST_MESSAGE_MAX);
    buf_init(&out, 4 * LUAHOST_MESSAGE_MAX);
    if (!say_hello(missing, &out)) return CHILD_EXIT_PROTO;
    while (serve(h, &in, &out)) {
    }
    _exit(CHILD_EXIT_OK);
}
