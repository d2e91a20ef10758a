#include "scripts/msctl/audit.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/ipc/ctl.h"
#include "common/wire/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX  (64u << 20)
#define OLDER_MAX 8
#define NAME      "audit.log"

struct verified {
    char digest[CHAIN_DIGEST];
    size_t lines;
};

static int fail(const struct local *l, const char *path, const char *why)
{
    fputs("msctl: ", l->err);
    utf8_print(span_of(path), l->err);
    fprintf(l->err, ": %s\n", why);
    return CTL_FAILED;
}

static int verify(const struct local *l, const char *path, struct verified *v)
{
    char why[80];
    size_t n, lines, bad;
    uint8_t *p;
    int err = fd_read_file(AT_FDCWD, path, FILE_MAX, &p, &n);

    if (err < 0) return fail(l, path, err_text(err));
    bad = chain_check(span(p, n), v->digest, &lines);
    mem_free(p);
    v->lines += lines;
    if (bad == 0) return CTL_OK;
    snprintf(why, sizeof(why), "line %zu is not as it was written", bad);
    return fail(l, path, why);
}

/* The socket lies in state-dir, as the log does. */
static int verify_state(const struct local *l, struct verified *v)
{
    const char *slash = strrchr(l->socket, '/');
    int dir = slash ? (int)(slash - l->socket) : 1, code = CTL_OK;
    char path[4200];

    for (int i = OLDER_MAX; i >= 0 && code == CTL_OK; i--) {
        char end[16] = "";

        if (i > 0) snprintf(end, sizeof(end), ".%d", i);
        snprintf(path, sizeof(path), "%.*s/" NAME "%s", dir, slash ? l->socket : ".", end);
        if (access(path, F_OK) == 0 || (i == 0 && v->lines == 0)) code = verify(l, path, v);
    }
    return code;
}

int local_audit_verify(const struct local *l)
{
    struct verified v = {.lines = 0};
    int code = l->n_args == 0 ? verify_state(l, &v) : CTL_OK;

    for (size_t i = 0; i < l->n_args && code == CTL_OK; i++) code = verify(l, l->args[i], &v);
    if (code == CTL_OK) fprintf(l->out, "%zu lines, the last is %s\n", v.lines, v.digest);
    return code;
}
