#include "tests/camera/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "tests/camera/play.h"
#include "tests/camera/truth.h"

#define LINE_MAX_N 65536
#define ANSWER_MAX (16u << 20)
#define WORDS      8

struct caller {
    struct list link;
    struct watch w;
    struct buf in;
};
struct command {
    struct span word[WORDS];
    size_t n;
    struct span tail; /* everything behind the third word */
    struct buf *out;
};

static struct watch listener = {.fd = -1};
static struct list callers;
static char socket_path[108];

static const char *each_stream(
    struct span name, const char *(*fn)(struct stream *s, const struct command *k), const struct command *k)
{
    const char *why = NULL;

    if (!span_is(name, "*")) {
        struct stream *s = stream_by_name(name);
        return s == NULL ? "unknown stream" : fn(s, k);
    }
    for (size_t i = 0; i < streams_n() && why == NULL; i++) why = fn(stream_at(i), k);
    return why;
}

static const char *cmd_stats(struct command *k)
{
    if (k->n < 2) {
        streams_sum_json(k->out, clock_mono_us());
        return NULL;
    }
    struct stream *s = stream_by_name(k->word[1]);
    if (s == NULL) return "unknown stream";
    stream_json(k->out, s);
    return NULL;
}

static const char *cmd_streams(struct command *k)
{
    buf_text(k->out, "[");
    for (size_t i = 0; i < streams_n(); i++) {
        if (i > 0) buf_text(k->out, ",");
        stream_json(k->out, stream_at(i));
    }
    buf_text(k->out, "]");
    return NULL;
}

static const char *set_one(struct stream *s, const struct command *k)
{
    s->version++;
    return knobs_set(&s->k, k->word[2], k->tail);
}

static const char *cmd_set(struct command *k)
{
    return k->n < 3 ? "set NAME KNOB VALUE" : each_stream(k->word[1], set_one, k);
}

static const char *do_one(struct stream *s, const struct command *k)
{
    return play_do(s, k->word[2], k->tail);
}

static const char *cmd_do(struct command *k)
{
    return k->n < 3 ? "do NAME ACTION" : each_stream(k->word[1], do_one, k);
}

static const char *reset_one(struct stream *s, const struct command *k)
{
    (void)k;
    stream_reset(s);
    return NULL;
}

static const char *cmd_reset(struct command *k)
{
    return k->n < 2 ? "reset NAME" : each_stream(k->word[1], reset_one, k);
}

static const char *cmd_truth(struct command *k)
{
    char path[4096];
    uint64_t track;
    struct stream *s = k->n < 4 ? NULL : stream_by_name(k->word[1]);

    if (s == NULL || !span_u64(k->word[2], s->n_tracks - 1, &track) ||
        !span_copy(k->word[3], path, sizeof path))
        return "truth NAME TRACK FILE";
    int err = truth_write(s->source[track], path);
    return err < 0 ? err_text(err) : NULL;
}

static const char *cmd_log(struct command *k)
{
    char path[4096] = "";

    if (k->n >= 3 && !span_copy(k->word[2], path, sizeof path)) return "path too long";
    int err = truth_log(k->n >= 2 ? k->word[1] : SPAN_NONE, path);
    return err < 0 ? err_text(err) : NULL;
}

static const char *cmd_quit(struct command *k)
{
    (void)k;
    server_stop();
    return NULL;
}

static const struct {
    const char *name;
    const char *(*fn)(struct command *k);
} commands[] = {
    {"stats", cmd_stats},
    {"streams", cmd_streams},
    {"set", cmd_set},
    {"do", cmd_do},
    {"reset", cmd_reset},
    {"truth", cmd_truth},
    {"log", cmd_log},
    {"quit", cmd_quit},
};

static void run_line(struct span line, struct buf *out)
{
    struct command k = {.out = out, .tail = SPAN_NONE};
    struct span rest = line, word;
    const char *why = "unknown command";

    while (k.n < WORDS && span_split(&rest, ' ', &word)) {
        if (word.n == 0) continue;
        k.word[k.n++] = word;
        if (k.n == 3) k.tail = span_trim(rest);
    }
    for (size_t i = 0; i < ARRAY_N(commands) && k.n > 0; i++)
        if (span_is(k.word[0], commands[i].name)) why = commands[i].fn(&k);
    if (why != NULL) {
        buf_clear(out);
        buf_fmt(out, "{\"error\":\"%s\"}", why);
    } else if (buf_n(out) == 0) {
        buf_text(out, "{\"ok\":true}");
    }
    buf_text(out, "\n");
}

static void caller_free(void *arg)
{
    struct caller *c = arg;

    buf_done(&c->in);
    mem_free(c);
}

static void caller_end(struct caller *c)
{
    watch_stop(&c->w);
    list_remove(&c->link);
    server_after(caller_free, c);
}

/* The answer goes out blocking: the caller is a test that waits for it. */
static bool answer(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0) return false;
        s = span_from(s, (size_t)n);
    }
    return true;
}

static void on_line(struct watch *w, unsigned events)
{
    struct caller *c = CONTAINER(w, struct caller, w);
    uint8_t *room = buf_room(&c->in, 4096);
    ssize_t n = room == NULL ? 0 : recv(w->fd, room, 4096, MSG_DONTWAIT), end;

    (void)events;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) caller_end(c);
        return;
    }
    buf_added(&c->in, (size_t)n);
    while ((end = span_find(buf_span(&c->in), '\n')) >= 0) {
        struct buf out;
        buf_init(&out, ANSWER_MAX);
        run_line(span_trim(span_sub(buf_span(&c->in), 0, (size_t)end)), &out);
        buf_take(&c->in, (size_t)end + 1);
        bool good = answer(w->fd, buf_span(&out));
        buf_done(&out);
        if (good) continue;
        caller_end(c);
        return;
    }
}

static void on_caller(struct watch *w, unsigned events)
{
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0) return;
    struct caller *c = NEW(struct caller);
    buf_init(&c->in, LINE_MAX_N);
    list_push(&callers, &c->link);
    watch_start(&c->w, fd, EPOLLIN, on_line);
}

void control_listen(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (!span_copy(span_of(path), a.sun_path, sizeof a.sun_path)) {
        fprintf(stderr, "ms-camera: %s: too long for a socket\n", path);
        exit(1);
    }
    (void)unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0) {
        fprintf(stderr, "ms-camera: %s: %s\n", path, err_text(-errno));
        exit(1);
    }
    memcpy(socket_path, a.sun_path, sizeof socket_path);
    list_init(&callers);
    watch_start(&listener, fd, EPOLLIN, on_caller);
}

void control_done(void)
{
    watch_stop(&listener);
    while (!list_empty(&callers)) caller_end(LIST_ITEM(callers.next, struct caller, link));
    if (socket_path[0] != '\0') (void)unlink(socket_path);
}
