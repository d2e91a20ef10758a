#include "scripts/msctl/ask.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"
#include "common/ipc/ctl.h"
#include "common/net/listener.h"

#include <errno.h>

static int send_question(int fd, const char *cmd, char *const *args, size_t n_args)
{
    struct packer p;
    struct buf b;
    int err = -EMSGSIZE;

    buf_init(&b, message_row(MSG_CTL)->most);
    p = packer_of(&b);
    pack_array(&p, 3);
    pack_u64(&p, MSG_CTL);
    pack_map(&p, 3);
    pack_kv_u64(&p, "proto", IPC_PROTO);
    pack_kv_text(&p, "cmd", cmd);
    pack_key(&p, "args");
    pack_array(&p, (uint32_t)n_args);
    for (size_t i = 0; i < n_args; i++) pack_str(&p, span_of(args[i]));
    pack_u64(&p, 0);
    if (!p.bad) err = channel_write_blocking(fd, buf_span(&b));
    buf_done(&b);
    return err;
}

/* One message. 1: the end, 0: rows, which have been added; -errno. */
static int read_answer(int fd, struct show *rows, int *ret_code, char text[512])
{
    struct buf *b = NEW(struct buf);
    const struct packed *body;
    enum message type;
    struct unpack *u;
    int err;

    buf_init(b, IPC_MESSAGE_MAX + 64);
    err = channel_read_blocking(fd, b, &type, &u, ASK_TIMEOUT_US);
    if (err == 0) {
        body = packed_at(unpack_root(u), 1);
        err = type == MSG_CTL_END ? 1 : type == MSG_CTL_ROW && rows->n < ASK_ROWS_MAX ? 0 : -EPROTO;
        if (err == 0 && !(rows->take && rows->take(rows->take_arg, packed_get(body, "rows")))) {
            show_add(rows, b, u, packed_get(body, "rows"));
            return 0;
        }
        if (err == 1) {
            *ret_code = (int)MIN(packed_u64(body, "code", CTL_FAILED), 255);
            span_copy(packed_str(body, "text"), text, 512);
        }
        unpack_done(u);
    }
    buf_done(b);
    mem_free(b);
    return err;
}

int ask(const char *socket, const char *cmd, char *const *args, size_t n_args, struct show *ret_rows,
    char text[512])
{
    CLEANUP(fd_close) int fd = -1;
    int code = CTL_FAILED, err = connect_unix(socket, &fd);

    text[0] = 0;
    if (err < 0) {
        snprintf(text, 512, "no server answers at %s: %s", socket, err_text(err));
        return CTL_NO_SERVER;
    }
    err = send_question(fd, cmd, args, n_args);
    while (err == 0) err = read_answer(fd, ret_rows, &code, text);
    if (err == 1) return code;
    snprintf(text, 512, "the server at %s did not answer as it should: %s", socket, err_text(err));
    return CTL_FAILED;
}
