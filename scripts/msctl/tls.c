#include "scripts/msctl/tls.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/utf8.h"
#include "common/ipc/ctl.h"
#include "common/net/tls_cert.h"
#include "scripts/msctl/out_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS      825 /* longer ones are refused by some clients, whoever signed them */
#define HOST_MAX  256
#define CERT_NAME "server.crt"
#define KEY_NAME  "server.key"

static int failed(const struct local *l, const char *path, int err)
{
    fputs("msctl: ", l->err);
    utf8_print(span_of(path), l->err);
    fprintf(l->err, ": %s\n", err_text(err));
    return err == -EEXIST ? CTL_EXISTS : CTL_FAILED;
}

/* Nobody else can open it at any moment: until it is kept it has no name, or is closed to others already. */
static int put(const struct local *l, const char *path, mode_t mode, struct span bytes)
{
    struct out_file o;
    int err = out_file_open(&o, path);

    if (err < 0) return failed(l, path, err);
    if (fchmod(o.fd, mode) < 0) err = -errno;
    if (err == 0) err = fd_write_all(o.fd, bytes);
    if (err == 0) err = out_file_keep(&o, l->force);
    out_file_done(&o);
    return err == 0 ? CTL_OK : failed(l, path, err);
}

static int write_pair(const struct local *l, struct span cert, struct span key)
{
    const char *folder = l->out_path ? l->out_path : ".";
    char cert_path[OUT_PATH_MAX], key_path[OUT_PATH_MAX];
    struct tls_facts facts;
    int code;

    if (strlen(folder) + sizeof("/" CERT_NAME) > OUT_PATH_MAX) return failed(l, folder, -ENAMETOOLONG);
    snprintf(cert_path, sizeof(cert_path), "%s/" CERT_NAME, folder);
    snprintf(key_path, sizeof(key_path), "%s/" KEY_NAME, folder);
    /* Before one of them is written: half a pair is none. */
    if (!l->force && access(cert_path, F_OK) == 0) return failed(l, cert_path, -EEXIST);
    if (!l->force && access(key_path, F_OK) == 0) return failed(l, key_path, -EEXIST);
    if (tls_pair_check(cert, key, &facts) != 0) return failed(l, cert_path, -EINVAL);
    code = put(l, key_path, 0600, key);
    if (code == CTL_OK) code = put(l, cert_path, 0644, cert);
    if (code != CTL_OK) return code;
    fprintf(l->out, "ssl-cert = %s\nssl-key = %s\nfor %d days, SHA-256 %s\n", cert_path, key_path, DAYS,
        facts.print);
    return CTL_OK;
}

int local_self_signed(const struct local *l)
{
    char host[HOST_MAX] = "";
    const char *const here[] = {host, "localhost", "127.0.0.1", "::1"};
    const char *const *names = l->n_args > 0 ? (const char *const *)l->args : here;
    size_t n = l->n_args > 0 ? l->n_args : ARRAY_N(here);
    struct buf cert, key;
    int code;

    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0') snprintf(host, sizeof(host), "localhost");
    buf_init(&cert, TLS_CERT_MAX);
    buf_init(&key, TLS_KEY_MAX);
    if (tls_self_signed(names, n, DAYS, &cert, &key)) {
        code = write_pair(l, buf_span(&cert), buf_span(&key));
    } else {
        fputs("msctl: a name is a host name or an address\n", l->err);
        code = CTL_FAILED;
    }
    if (key.mem) explicit_bzero(key.mem, key.cap);
    buf_done(&key);
    buf_done(&cert);
    return code;
}
