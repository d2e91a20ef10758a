/* ms-picture: turns coded pictures into JPEG and telephone sound into AAC, for httpd. A throw-away process: a
 * descriptor to httpd, a cage, one request at a time, and no way to anything else. What it reads came from
 * cameras, and what reads it is a large library: whoever takes it over gains the pictures it is given.
 *
 * Started by the master with its socket to httpd as descriptor 3; argv[1] "required": without every layer of
 * the cage it does not begin. Ends when httpd closes the socket. */
#include "common/base/cage.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/child.h"
#include "httpd/picture/aac.h"
#include "httpd/picture/jpeg.h"

#include <stdlib.h>
#include <unistd.h>

#define JOB_S      3 /* a job that takes longer ends the process; httpd has given it up before */
#define ANSWER_US  (10 * US_PER_S)
#define FOREVER_US INT64_MAX

static int put_answer(const struct picture_answer *a, struct span bytes)
{
    struct buf head;
    int err;

    buf_init(&head, PICTURE_HEAD_MAX);
    err = picture_answer_write(&head, a) ? 0 : -1;
    if (err == 0) err = picture_send(CHILD_CONTROL_FD, buf_span(&head), clock_mono_us() + ANSWER_US);
    if (err == 0) err = picture_send(CHILD_CONTROL_FD, bytes, clock_mono_us() + ANSWER_US);
    buf_done(&head);
    return err;
}

static int work(const struct picture_ask *a, struct span bytes)
{
    struct picture_answer answer = {.id = a->id};
    struct buf out;
    int err;

    buf_init(&out, PICTURE_BYTES_MAX);
    alarm(JOB_S);
    answer.err =
        a->kind == PICTURE_JPEG ? picture_jpeg(a, bytes, &out, &answer) : picture_aac(a, bytes, &out);
    alarm(0);
    if (answer.err != PICTURE_OK) buf_clear(&out);
    answer.n_bytes = (uint32_t)buf_n(&out);
    err = put_answer(&answer, buf_span(&out));
    buf_done(&out);
    return err;
}

/* One request. 0, or why there is no next one. */
static int serve(void)
{
    static struct picture_ask ask;
    static uint8_t head[PICTURE_HEAD_MAX];
    struct span map;
    uint8_t *bytes;
    int err = picture_recv_map(CHILD_CONTROL_FD, head, &map, FOREVER_US);

    if (err < 0) return err;
    if (!picture_ask_read(map, &ask)) return -1;
    bytes = mem_try(MAX(ask.n_bytes, 1u));
    if (!bytes) return -1;
    err = picture_recv(CHILD_CONTROL_FD, bytes, ask.n_bytes, clock_mono_us() + ANSWER_US);
    if (err == 0) err = work(&ask, span(bytes, ask.n_bytes));
    mem_free(bytes);
    return err;
}

int main(int argc, char **argv)
{
    bool required = argc > 1 && strcmp(argv[1], "required") == 0;
    struct picture_answer hello = {.id = 0};

    /* The log is the others': nothing is written there. */
    if (dup2(STDIN_FILENO, STDOUT_FILENO) < 0 || dup2(STDIN_FILENO, STDERR_FILENO) < 0)
        return CHILD_EXIT_PROTO;
    hello.missing = cage_enter(CAGE_PICTURE, CHILD_CONTROL_FD);
    if (required && hello.missing != 0) return CHILD_EXIT_CONFIG;
    if (put_answer(&hello, SPAN_NONE) < 0) return CHILD_EXIT_PROTO;
    while (serve() == 0) {
    }
    _exit(CHILD_EXIT_OK);
}
