#include "common/ipc/channel.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/wr.h"
#include "common/net/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD       4 /* u32 length */
#define READ_CHUNK 4096
#define READS_TURN 16 /* then the others on this loop have their turn */

/* Descriptors that wait for byte `at` of the stream of bytes sent. */
struct passing {
    uint64_t at;
    int fds[IPC_FDS_MAX];
    int n;
    struct passing *next;
};

struct channel {
    struct loop *loop;
    struct loop_io io;
    struct loop_task closing;
    const struct channel_ops *ops;
    void *arg;
    enum role me, peer;
    int fd;
    int err;
    bool closed;   /* nothing is read or sent any more; on_close is due or has been */
    bool handling; /* a handler runs: memory stays */
    bool freed;
    /* reading */
    struct buf in;
    int fds[FDPASS_MAX]; /* came, and wait for their message */
    int n_fds;
    /* writing */
    struct buf out;
    uint64_t sent; /* bytes since the start */
    struct passing *passing, **passing_end;
    struct packer packer;
    size_t msg_at;                 /* length of out where the message being packed begins */
    const struct message_row *row; /* of the message being packed, else NULL */
};

static void drop_fds(int *fds, int n)
{
    for (int i = 0; i < n; i++) fd_close(&fds[i]);
}

static void drop_passing(struct channel *ch)
{
    struct passing *p = ch->passing;

    ch->passing = p->next;
    if (!ch->passing) ch->passing_end = &ch->passing;
    drop_fds(p->fds, p->n);
    mem_free(p);
}

static void tell_closed(struct loop_task *t)
{
    struct channel *ch = CONTAINER(t, struct channel, closing);

    ch->ops->on_close(ch, ch->err);
}

static void fail(struct channel *ch, int err)
{
    if (ch->closed) return;
    ch->closed = true;
    ch->err = err;
    loop_io_stop(&ch->io);
    loop_defer(ch->loop, &ch->closing, tell_closed);
}

/* --- writing --- */

/* Sends up to the next place where descriptors have to be attached. Bytes, or -errno. */
static ssize_t send_piece(struct channel *ch)
{
    struct span bytes = buf_span(&ch->out);
    struct passing *p = ch->passing;
    ssize_t n;

    if (p && p->at > ch->sent) bytes = span_sub(bytes, 0, p->at - ch->sent);
    if (!p || p->at > ch->sent) return fdpass_send(ch->fd, bytes, NULL, 0);
    if (p->next) bytes = span_sub(bytes, 0, p->next->at - ch->sent);
    n = fdpass_send(ch->fd, bytes, p->fds, p->n);
    if (n > 0) drop_passing(ch);
    return n;
}

static void flush(struct channel *ch)
{
    while (buf_n(&ch->out) > 0) {
        ssize_t n = send_piece(ch);

        /* Too many descriptors under way: they go when the receivers have taken some. */
        if (n == -EAGAIN || n == -ETOOMANYREFS) break;
        if (n < 0) {
            /* The peer is gone: what it said last is still read, and the end after it. */
            ch->sent += buf_n(&ch->out);
            buf_clear(&ch->out);
            while (ch->passing) drop_passing(ch);
            break;
        }
        ch->sent += (uint64_t)n;
        buf_take(&ch->out, (size_t)n);
    }
    buf_shrink(&ch->out);
    if (!ch->closed) loop_io_events(&ch->io, LOOP_READ | (buf_n(&ch->out) > 0 ? LOOP_WRITE : 0u));
}

struct packer *channel_begin(struct channel *ch, enum message type, uint32_t pairs)
{
    must(ch->row == NULL);
    ch->row = message_row(type);
    must(ch->row != NULL && (ch->row->from & (1u << ch->me)) != 0);
    ch->msg_at = buf_n(&ch->out);
    ch->packer = packer_of(&ch->out);
    ch->packer.bad = !buf_put(&ch->out, span("\0\0\0\0", HEAD));
    /* Room for a count of descriptors: three items, the last of them one byte. */
    pack_array(&ch->packer, 3);
    pack_u64(&ch->packer, type);
    pack_map(&ch->packer, pairs);
    return &ch->packer;
}

static void queue_fds(struct channel *ch, const int *fds, int n_fds)
{
    struct passing *p;

    if (n_fds == 0) return;
    p = NEW(struct passing);
    p->at = ch->sent + ch->msg_at;
    for (int i = 0; i < n_fds; i++) {
        p->fds[p->n] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (p->fds[p->n] >= 0) p->n++;
    }
    *ch->passing_end = p;
    ch->passing_end = &p->next;
    if (p->n < n_fds) fail(ch, -EMFILE);
}

void channel_end(struct channel *ch, const int *fds, int n_fds)
{
    const struct message_row *row = ch->row;
    struct span all;
    struct wr head;
    size_t n;

    must(row != NULL && n_fds >= 0 && n_fds <= row->fds);
    pack_u64(&ch->packer, (uint64_t)n_fds);
    ch->row = NULL;
    all = buf_span(&ch->out);
    n = all.n - ch->msg_at - HEAD;
    if (ch->closed || ch->packer.bad || n > row->most) {
        ch->out.to -= all.n - ch->msg_at;
        if (ch->closed) return;
        if (all.n > CHANNEL_QUEUE_MAX - IPC_MESSAGE_MAX)
            fail(ch, -ENOBUFS);
        else
            log_error("ipc-too-long", "message=%s bytes=%zu most=%zu", row->name, n, row->most);
        return;
    }
    head = wr_of(ch->out.mem + ch->out.from + ch->msg_at, HEAD);
    wr_u32(&head, (uint32_t)n);
    queue_fds(ch, fds, n_fds);
    if (ch->msg_at == 0) flush(ch);
}

size_t channel_queued(const struct channel *ch)
{
    return buf_n(&ch->out);
}

bool channel_packing(const struct channel *ch)
{
    return ch->row != NULL;
}

void channel_send0(struct channel *ch, enum message type)
{
    channel_begin(ch, type, 0);
    channel_end(ch, NULL, 0);
}

/* --- reading --- */

/* What is wrong with this message for this channel; NULL: nothing. */
static const char *refuse(const struct channel *ch, const struct message_row *row, size_t n, uint64_t n_fds)
{
    if (!row) return "unknown message";
    if ((row->from & (1u << ch->peer)) == 0 || (row->to & (1u << ch->me)) == 0) return "wrong direction";
    if (n > row->most) return "too long";
    return n_fds > (uint64_t)row->fds || n_fds > (uint64_t)ch->n_fds ? "descriptors" : NULL;
}

static int handle(struct channel *ch, const struct packed *root, size_t n)
{
    unsigned number = (unsigned)MIN(packed_as_u64(packed_at(root, 0), 0), 65535);
    uint64_t n_fds = packed_as_u64(packed_at(root, 2), 0);
    const struct message_row *row = message_row(number);
    const char *why = refuse(ch, row, n, n_fds);
    struct incoming in = {.type = (enum message)number, .body = packed_at(root, 1)};
    int err;

    if (why) {
        log_warn("ipc-refused", "peer=%d message=%u bytes=%zu why=\"%s\"", (int)ch->peer, number, n, why);
        return -EPROTO;
    }
    in.n_fds = (int)n_fds;
    memcpy(in.fds, ch->fds, sizeof(int) * n_fds);
    ch->n_fds -= in.n_fds;
    memmove(ch->fds, ch->fds + in.n_fds, sizeof(int) * (size_t)ch->n_fds);
    ch->handling = true;
    err = ch->ops->on_message(ch, &in);
    ch->handling = false;
    drop_fds(in.fds, in.n_fds);
    return err < 0 ? err : 0;
}

/* One message out of `in`. 1: done; 0: not all there; negative: the channel's end. */
static int take_message(struct channel *ch)
{
    struct span have = buf_span(&ch->in);
    struct rd r = rd_of(have);
    size_t n = rd_u32(&r);
    struct span body = rd_bytes(&r, n);
    struct unpack *u;
    int err;

    if (have.n < HEAD) return 0;
    if (n > IPC_MESSAGE_MAX) return -EMSGSIZE;
    if (!rd_ok(&r)) return 0;
    err = unpack_new(body, &u);
    if (err != 0) {
        log_warn("ipc-refused", "peer=%d bytes=%zu why=\"not msgpack\" err=%d", (int)ch->peer, n, err);
        return -EPROTO;
    }
    err = handle(ch, unpack_root(u), n);
    unpack_done(u);
    if (ch->freed) return -ECANCELED;
    buf_take(&ch->in, HEAD + n);
    return err < 0 ? err : 1;
}

static int take_messages(struct channel *ch)
{
    int err;

    do err = take_message(ch);
    while (err > 0 && !ch->closed);
    /* Descriptors come with their message's first bytes. */
    if (err == 0 && buf_n(&ch->in) == 0 && ch->n_fds > 0) err = -EPROTO;
    return err;
}

static int read_some(struct channel *ch)
{
    uint8_t *at = buf_room(&ch->in, READ_CHUNK);
    int fds[FDPASS_MAX], n_fds;
    ssize_t n;

    if (!at) return -EMSGSIZE;
    n = fdpass_recv(ch->fd, at, READ_CHUNK, fds, &n_fds);
    if (n == 0) return -EPIPE;
    if (n < 0) return (int)n;
    buf_added(&ch->in, (size_t)n);
    if (ch->n_fds + n_fds > FDPASS_MAX) {
        drop_fds(fds, n_fds);
        return -EPROTO;
    }
    memcpy(ch->fds + ch->n_fds, fds, sizeof(int) * (size_t)n_fds);
    ch->n_fds += n_fds;
    return take_messages(ch);
}

static void really_free(struct channel *ch)
{
    buf_done(&ch->in);
    buf_done(&ch->out);
    mem_free(ch);
}

static void ready(struct loop_io *io, unsigned events)
{
    struct channel *ch = io->arg;
    int err = 0;

    if (events & LOOP_WRITE) flush(ch);
    if (!(events & LOOP_READ)) return;
    for (int i = 0; i < READS_TURN && err == 0; i++) err = read_some(ch);
    if (ch->freed) {
        really_free(ch);
        return;
    }
    buf_shrink(&ch->in);
    if (err < 0 && err != -EAGAIN) fail(ch, err == -EPIPE || err == -ECONNRESET ? 0 : err);
}

/* --- life --- */

struct channel *channel_new(
    struct loop *l, int fd, enum role me, enum role peer, const struct channel_ops *ops, void *arg)
{
    struct channel *ch = NEW(struct channel);

    *ch = (struct channel){.loop = l, .ops = ops, .arg = arg, .me = me, .peer = peer, .fd = fd};
    buf_init(&ch->in, IPC_MESSAGE_MAX + HEAD + READ_CHUNK);
    buf_init(&ch->out, CHANNEL_QUEUE_MAX);
    ch->passing_end = &ch->passing;
    loop_io_start(l, &ch->io, fd, LOOP_READ, ready, ch);
    return ch;
}

void channel_free(struct channel *ch)
{
    if (!ch || ch->freed) return;
    if (!ch->closed) flush(ch);
    ch->closed = ch->freed = true;
    loop_io_stop(&ch->io);
    loop_defer_stop(ch->loop, &ch->closing);
    while (ch->passing) drop_passing(ch);
    drop_fds(ch->fds, ch->n_fds);
    ch->n_fds = 0;
    fd_close(&ch->fd);
    if (!ch->handling) really_free(ch);
}

void *channel_arg(const struct channel *ch)
{
    return ch->arg;
}

int channel_fd(const struct channel *ch)
{
    return ch->fd;
}

bool channel_peer(const struct channel *ch, int *ret_pid, unsigned *ret_uid)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);

    if (getsockopt(ch->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0) return false;
    *ret_pid = cred.pid;
    *ret_uid = cred.uid;
    return true;
}

/* --- without a loop --- */

int channel_write_blocking(int fd, struct span message)
{
    uint8_t head[HEAD];
    struct wr w = wr_of(head, sizeof(head));
    int err;

    if (message.n > IPC_MESSAGE_MAX) return -EMSGSIZE;
    wr_u32(&w, (uint32_t)message.n);
    err = fd_write_all(fd, wr_span(&w));
    return err < 0 ? err : fd_write_all(fd, message);
}

static int read_until(int fd, struct buf *into, size_t n, usec_t deadline_us)
{
    while (buf_n(into) < n) {
        usec_t left_us = deadline_us - clock_mono_us();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint8_t *at = buf_room(into, n - buf_n(into));
        ssize_t got;
        int ready_fds;

        if (!at) return -EMSGSIZE;
        if (left_us <= 0) return -ETIMEDOUT;
        ready_fds = poll(&p, 1, (int)MIN(left_us / US_PER_MS + 1, 60000));
        if (ready_fds < 0 && errno != EINTR) return -errno;
        if (ready_fds <= 0) continue;
        got = read(fd, at, n - buf_n(into));
        if (got == 0) return -EPIPE;
        if (got < 0 && errno != EINTR && errno != EAGAIN) return -errno;
        if (got > 0) buf_added(into, (size_t)got);
    }
    return 0;
}

int channel_read_blocking(
    int fd, struct buf *into, enum message *ret_type, struct unpack **ret, usec_t timeout_us)
{
    usec_t deadline_us = clock_mono_us() + timeout_us;
    const struct message_row *row;
    struct rd r;
    size_t n;
    int err;

    buf_clear(into);
    err = read_until(fd, into, HEAD, deadline_us);
    if (err < 0) return err;
    r = rd_of(buf_span(into));
    n = rd_u32(&r);
    if (n > IPC_MESSAGE_MAX) return -EPROTO;
    err = read_until(fd, into, HEAD + n, deadline_us);
    if (err < 0) return err;
    if (unpack_new(span_from(buf_span(into), HEAD), ret) != 0) return -EPROTO;
    row = message_row((unsigned)MIN(packed_as_u64(packed_at(unpack_root(*ret), 0), 0), 65535));
    if (!row || n > row->most || !packed_at(unpack_root(*ret), 1)) {
        unpack_done(*ret);
        return -EPROTO;
    }
    *ret_type = (enum message)row->number;
    return 0;
}
