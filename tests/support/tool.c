#include "tests/support/tool.h"
#include "common/base/err.h"
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_CHUNK 65536

bool tool_exists(const char *name)
{
    struct span path = span_of(getenv("PATH")), dir;

    while (span_split(&path, ':', &dir)) {
        char file[4096];

        snprintf(file, sizeof(file), "%.*s/%s", SPAN_FMT(dir), name);
        if (access(file, X_OK) == 0) return true;
    }
    return false;
}

static void drain(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *at = buf_room(out, OUT_CHUNK);
        ssize_t n;

        if (!at) return;
        n = read(fd, at, OUT_CHUNK);
        if (n <= 0) return;
        buf_added(out, (size_t)n);
    }
}

int tool_run(const char *const *argv, struct buf *out)
{
    int p[2] = {-1, -1}, status, err;
    posix_spawn_file_actions_t fa;
    char *args[64];
    size_t n = 0;
    pid_t pid;

    for (; argv[n]; n++) {
        must(n + 1 < ARRAY_N(args));
        memcpy(&args[n], &argv[n], sizeof(args[n]));
    }
    args[n] = NULL;
    must(n > 0);
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    if (out) {
        must(pipe2(p, O_CLOEXEC) == 0);
        posix_spawn_file_actions_adddup2(&fa, p[1], 1);
    } else {
        posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    }
    err = posix_spawnp(&pid, args[0], &fa, NULL, args, environ);
    posix_spawn_file_actions_destroy(&fa);
    fd_close(&p[1]);
    if (!err && out) drain(p[0], out);
    fd_close(&p[0]);
    if (err) return -err;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void tool_tmpdir(char *dst, size_t cap)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(dst, cap, "%s/ms-test-XXXXXX", base ? base : "/tmp");

    must(n > 0 && (size_t)n < cap);
    must(mkdtemp(dst) != NULL);
}

int tool_tmpdir_open(char *dst, size_t cap)
{
    int fd;

    tool_tmpdir(dst, cap);
    fd = open(dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    remove(path);
    return 0;
}

void tool_rmdir(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
