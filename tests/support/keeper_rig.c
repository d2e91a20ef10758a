#include "tests/support/keeper_rig.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/ipc/child.h"
#include "tests/support/fail_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US (5 * US_PER_MS)

static int on_message(struct channel *ch, struct incoming *in);

static void on_close(struct channel *ch, int err)
{
    struct rig *r = channel_arg(ch);

    (void)err;
    r->closed = true;
}

static int on_archive(struct channel *ch, struct incoming *in)
{
    struct rig_worker *w = channel_arg(ch);

    if (in->type == MSG_ARCHIVE) {
        packed_text(in->body, "state", w->state, sizeof(w->state));
        packed_text(in->body, "storage", w->storage, sizeof(w->storage));
        w->err = packed_u64(in->body, "errno", 0);
        fd_close(&w->folder);
        if (in->n_fds == 1) {
            w->folder = in->fds[0];
            in->fds[0] = -1;
        }
        w->archives++;
    } else if (in->type == MSG_SEG_STORED && w->n_stored < ARRAY_N(w->stored)) {
        w->stored[w->n_stored++] = packed_u64(in->body, "id", 0);
    }
    return 0;
}

static void on_worker_close(struct channel *ch, int err)
{
    struct rig_worker *w = channel_arg(ch);

    (void)err;
    w->closed = true;
}

static const struct channel_ops master_ops = {on_message, on_close};
static const struct channel_ops worker_ops = {on_archive, on_worker_close};

struct rig_store *rig_store(struct rig *r, const char *name)
{
    for (size_t i = 0; i < r->n_stores; i++)
        if (strcmp(r->stores[i].name, name) == 0) return &r->stores[i];
    must(r->n_stores < RIG_STORES);
    span_copy(span_of(name), r->stores[r->n_stores].name, sizeof(r->stores[0].name));
    return &r->stores[r->n_stores++];
}

static void add_rows(struct rig *r, const struct packed *body)
{
    const struct packed *rows = packed_get(body, "rows"), *v;
    struct wr w = wr_of(r->rows, sizeof(r->rows));
    struct span key;

    w.n = strlen(r->rows);
    for (size_t i = 0; i < packed_n(rows); i++, r->n_rows++) {
        for (size_t k = 0; packed_pair(packed_at(rows, i), k, &key, &v); k++) {
            wr_fmt(&w, "%s%.*s=", k ? " " : "", (int)key.n, (const char *)key.p);
            if (packed_is_str(v))
                wr_bytes(&w, packed_as_str(v));
            else
                wr_fmt(&w, "%lld", (long long)packed_as_i64(v, -1));
        }
        wr_text(&w, "\n");
    }
    wr_cstr(&w);
}

static int on_message(struct channel *ch, struct incoming *in)
{
    struct rig *r = channel_arg(ch);
    char name[32] = "";
    struct rig_store *s;

    if (in->type == MSG_BEAT) r->beats++;
    if (in->type == MSG_KEEP_ROW && packed_u64(in->body, "id", 0) == r->asked) add_rows(r, in->body);
    if (in->type == MSG_KEEP_END) {
        r->answered = packed_u64(in->body, "id", 0);
        r->code = (int)packed_u64(in->body, "code", 0);
        packed_text(in->body, "text", r->text, sizeof(r->text));
    }
    if (!packed_text(in->body, "name", name, sizeof(name))) return 0;
    s = rig_store(r, name);
    if (in->type == MSG_STORAGE_STATE) {
        packed_text(in->body, "state", s->state, sizeof(s->state));
        packed_text(in->body, "uuid", s->uuid, sizeof(s->uuid));
        s->err = packed_u64(in->body, "errno", 0);
        s->total = packed_u64(in->body, "total", 0);
        s->free = packed_u64(in->body, "free", 0);
        s->ahead_s = packed_i64(in->body, "ahead_s", 0);
        s->states++;
    } else if (in->type == MSG_INDEX_READY) {
        packed_text(in->body, "path", s->index, sizeof(s->index));
        s->indexes++;
    }
    return 0;
}

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->loop = loop_new();
}

static void forget(struct rig *r)
{
    for (size_t i = 0; i < r->n_workers; i++) {
        channel_free(r->workers[i]->ch);
        fd_close(&r->workers[i]->folder);
        mem_free(r->workers[i]);
    }
    r->n_workers = 0;
    channel_free(r->ch);
    r->ch = NULL;
    memset(r->stores, 0, sizeof(r->stores));
    r->n_stores = 0;
    r->beats = 0;
    r->closed = false;
}

void rig_kill(struct rig *r, int signo)
{
    if (r->pid <= 0) return;
    kill(r->pid, signo);
    if (signo == SIGSTOP || signo == SIGCONT) return;
    waitpid(r->pid, NULL, 0);
    r->pid = 0;
}

void rig_done(struct rig *r)
{
    rig_kill(r, SIGKILL);
    forget(r);
    loop_free(r->loop);
}

/* build/test/archive/test_x -> build/bin/ms-keeper */
static bool program(char *dst, size_t cap)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    for (int i = 0; i < 3 && n > 0; i++)
        while (n > 0 && self[--n] != '/') {
        }
    return n > 0 && snprintf(dst, cap, "%.*s/bin/ms-keeper", (int)n, self) < (int)cap &&
        access(dst, X_OK) == 0;
}

bool rig_start(struct rig *r)
{
    char path[4200], arg0[] = "ms-keeper", env0[] = "MS_GENERATION=1", env1[] = "PATH=/usr/bin:/bin";
    char env2[] = "MS_SETTINGS=0";
    char *argv[] = {arg0, NULL}, *env[] = {env0, env1, env2, NULL};
    struct packer *p;
    int s[2];

    forget(r);
    if (!program(path, sizeof(path))) return false;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
    r->pid = fork();
    must(r->pid >= 0);
    if (r->pid == 0) {
        int null = getenv("RIG_LOG") ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null >= 0) dup2(null, STDERR_FILENO);
        if (s[1] == CHILD_CONTROL_FD)
            fcntl(s[1], F_SETFD, 0);
        else
            dup2(s[1], CHILD_CONTROL_FD);
        if (r->as_limit) setrlimit(RLIMIT_AS, &(struct rlimit){r->as_limit, r->as_limit});
        if (r->fail_nr && !fail_syscall(r->fail_nr, r->fail_err)) _exit(99);
        if (r->fail_flag && !fail_open_flag(r->fail_flag, r->fail_err)) _exit(99);
        execve(path, argv, env);
        _exit(98);
    }
    close(s[1]);
    fd_nonblock(s[0]);
    r->ch = channel_new(r->loop, s[0], ROLE_MASTER, ROLE_KEEPER, &master_ops, r);
    p = channel_begin(r->ch, MSG_WELCOME, 1);
    pack_kv_u64(p, "log_level", 7);
    channel_end(r->ch, NULL, 0);
    return true;
}

static bool is_closed(void *arg)
{
    return ((struct rig *)arg)->closed;
}

int rig_stop(struct rig *r)
{
    int status = 0;

    channel_send0(r->ch, MSG_STOP);
    must(rig_wait(r, is_closed, r));
    must(waitpid(r->pid, &status, 0) == r->pid);
    r->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void rig_storage(
    struct rig *r, const char *name, const char *path, const char *floor, const char *uuid, usec_t sync_us)
{
    struct packer *p = channel_begin(r->ch, MSG_STORAGE, 6);

    pack_kv_text(p, "name", name);
    pack_kv_text(p, "path", path);
    pack_kv_text(p, "index_path", "");
    pack_kv_text(p, "free", floor);
    pack_kv_text(p, "uuid", uuid);
    pack_kv_i64(p, "sync_us", sync_us);
    channel_end(r->ch, NULL, 0);
}

void rig_storage_named(struct rig *r, enum message type, const char *name)
{
    struct packer *p = channel_begin(r->ch, type, 1);

    pack_kv_text(p, "name", name);
    channel_end(r->ch, NULL, 0);
}

void rig_keep(struct rig *r, const char *uid, usec_t duration_us, uint64_t capacity)
{
    struct packer *p = channel_begin(r->ch, MSG_KEEP_STREAM, 3);

    pack_kv_text(p, "uid", uid);
    pack_kv_i64(p, "duration_us", duration_us);
    pack_kv_u64(p, "capacity_bytes", capacity);
    channel_end(r->ch, NULL, 0);
}

void rig_keep_events(struct rig *r, const char *uid, usec_t duration_us, usec_t event_duration_us)
{
    struct packer *p = channel_begin(r->ch, MSG_KEEP_STREAM, 3);

    pack_kv_text(p, "uid", uid);
    pack_kv_i64(p, "duration_us", duration_us);
    pack_kv_i64(p, "event_duration_us", event_duration_us);
    channel_end(r->ch, NULL, 0);
}

static uint64_t ask(struct rig *r, const struct rig_act *by, const char *cmd, va_list ap)
{
    struct packer *p = channel_begin(r->ch, MSG_KEEP_ASK, by ? 5 : 4);
    const char *args[8];
    size_t n = 0;

    while (n < ARRAY_N(args) && (args[n] = va_arg(ap, const char *))) n++;
    r->rows[0] = r->text[0] = 0;
    r->n_rows = 0;
    pack_kv_u64(p, "id", ++r->asked);
    pack_kv_text(p, "cmd", cmd);
    pack_kv_text(p, "by", "the test");
    pack_key(p, "args");
    pack_array(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) pack_str(p, span_of(args[i]));
    if (by) {
        pack_key(p, "act");
        pack_map(p, 4);
        stamp_kv(p, "stamp", &by->stamp);
        pack_kv_u64(p, "id", by->id);
        pack_kv_i64(p, "at_us", by->at_us);
        pack_kv_i64(p, "until_us", by->until_us);
    }
    channel_end(r->ch, NULL, 0);
    return r->asked;
}

uint64_t rig_question(struct rig *r, const char *cmd, ...)
{
    uint64_t id;
    va_list ap;

    va_start(ap, cmd);
    id = ask(r, NULL, cmd, ap);
    va_end(ap);
    return id;
}

uint64_t rig_question_by(struct rig *r, const struct rig_act *by, const char *cmd, ...)
{
    uint64_t id;
    va_list ap;

    va_start(ap, cmd);
    id = ask(r, by, cmd, ap);
    va_end(ap);
    return id;
}

static bool has_answered(void *arg)
{
    const struct rig *r = arg;

    return r->answered == r->asked;
}

int rig_answer(struct rig *r)
{
    return rig_wait(r, has_answered, r) ? r->code : -1;
}

struct rig_worker *rig_worker(struct rig *r, const char *uid, const char *archive)
{
    struct rig_worker *w = NEW(struct rig_worker);
    struct packer *p;
    int s[2];

    must(r->n_workers < RIG_WORKERS);
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s) == 0);
    w->rig = r;
    w->folder = -1;
    span_copy(span_of(uid), w->uid, sizeof(w->uid));
    w->ch = channel_new(r->loop, s[0], ROLE_WORKER, ROLE_KEEPER, &worker_ops, w);
    r->workers[r->n_workers++] = w;
    p = channel_begin(r->ch, MSG_KEEP_PEER, 4);
    pack_kv_text(p, "uid", uid);
    pack_kv_u64(p, "os_uid", geteuid());
    pack_kv_u64(p, "os_gid", getegid());
    pack_kv_text(p, "archive", archive);
    channel_end(r->ch, &s[1], 1);
    close(s[1]);
    return w;
}

void rig_worker_gone(struct rig *r, const char *uid)
{
    struct packer *p = channel_begin(r->ch, MSG_KEEP_PEER_GONE, 1);

    pack_kv_text(p, "uid", uid);
    channel_end(r->ch, NULL, 0);
}

void rig_worker_dies(struct rig_worker *w)
{
    channel_free(w->ch);
    w->ch = NULL;
    fd_close(&w->folder);
}

void rig_ask(struct rig_worker *w)
{
    channel_send0(w->ch, MSG_ARCHIVE_ASK);
}

void rig_opened(struct rig_worker *w, uint64_t id, const char *storage, const char *path, usec_t start_us)
{
    struct packer *p = channel_begin(w->ch, MSG_SEG_OPENED, 4);

    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "storage", storage);
    pack_kv_text(p, "path", path);
    pack_kv_i64(p, "start_us", start_us);
    channel_end(w->ch, NULL, 0);
}

void rig_segment_closed(struct rig_worker *w, const struct seg_info *info)
{
    uint8_t mem[SEG_INFO_WIRE_MAX];
    struct wr wr = wr_of(mem, sizeof(mem));
    struct packer *p = channel_begin(w->ch, MSG_SEG_CLOSED, 2);

    seg_info_write(&wr, info);
    pack_kv_u64(p, "id", info->id);
    pack_kv_bin(p, "info", wr_span(&wr));
    channel_end(w->ch, NULL, 0);
}

void rig_failed(struct rig_worker *w, int err)
{
    struct packer *p = channel_begin(w->ch, MSG_WRITE_FAILED, 1);

    pack_kv_u64(p, "errno", (uint64_t)err);
    channel_end(w->ch, NULL, 0);
}

struct waiting {
    struct rig *rig;
    bool (*fn)(void *arg);
    void *arg;
    usec_t until_us;
    bool met;
};

static void look(struct loop_timer *t)
{
    struct waiting *w = t->arg;

    w->met = w->fn(w->arg);
    if (w->met || clock_mono_us() > w->until_us) loop_break(w->rig->loop);
}

bool rig_wait(struct rig *r, bool (*fn)(void *arg), void *arg)
{
    struct waiting w = {r, fn, arg, clock_mono_us() + RIG_WAIT_US, false};
    struct loop_timer t = {0};

    loop_timer_every(r->loop, &t, POLL_US, look, &w);
    loop_run(r->loop);
    loop_timer_stop(&t);
    return w.met;
}

struct state_wanted {
    struct rig *rig;
    const char *storage, *state;
};
static bool has_state(void *arg)
{
    struct state_wanted *w = arg;

    return strcmp(rig_store(w->rig, w->storage)->state, w->state) == 0;
}

bool rig_wait_state(struct rig *r, const char *storage, const char *state)
{
    return rig_wait(r, has_state, &(struct state_wanted){r, storage, state});
}

struct archive_wanted {
    struct rig_worker *w;
    const char *state;
};
static bool has_archive(void *arg)
{
    struct archive_wanted *a = arg;

    return strcmp(a->w->state, a->state) == 0 && (a->w->folder >= 0) == (strcmp(a->state, "ok") == 0);
}

bool rig_wait_archive(struct rig_worker *w, const char *state)
{
    return rig_wait(w->rig, has_archive, &(struct archive_wanted){w, state});
}

struct heard_wanted {
    struct rig_worker *w;
    uint64_t before;
};
static bool has_heard(void *arg)
{
    struct heard_wanted *a = arg;

    return (uint64_t)a->w->archives > a->before;
}

bool rig_heard(struct rig_worker *w)
{
    struct heard_wanted a = {w, (uint64_t)w->archives};

    rig_ask(w);
    return rig_wait(w->rig, has_heard, &a);
}

struct stored_wanted {
    struct rig_worker *w;
    uint64_t id;
};
static bool has_stored(void *arg)
{
    struct stored_wanted *a = arg;

    for (size_t i = 0; i < a->w->n_stored; i++)
        if (a->w->stored[i] == a->id) return true;
    return false;
}

bool rig_wait_stored(struct rig_worker *w, uint64_t id)
{
    return rig_wait(w->rig, has_stored, &(struct stored_wanted){w, id});
}

static bool has_index(void *arg)
{
    struct state_wanted *w = arg;

    return rig_store(w->rig, w->storage)->indexes > 0;
}

bool rig_wait_index(struct rig *r, const char *storage)
{
    return rig_wait(r, has_index, &(struct state_wanted){r, storage, NULL});
}
