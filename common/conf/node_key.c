#include "common/conf/node_key.h"
#include "common/base/err.h"
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE NODE_KEY_FILE ".new"
#define FILE_MAX 4096

static int refuse(char why[NODE_KEY_WHY_MAX], int err, const char *text)
{
    snprintf(why, NODE_KEY_WHY_MAX, "%s: %s", NODE_KEY_FILE, text);
    return err;
}

static int look(int fd, char why[NODE_KEY_WHY_MAX])
{
    struct stat st;

    if (fstat(fd, &st) < 0) return refuse(why, -errno, err_text(-errno));
    if (!S_ISREG(st.st_mode)) return refuse(why, -EINVAL, "is not a regular file");
    if (st.st_uid != geteuid()) return refuse(why, -EPERM, "belongs to another user");
    if (st.st_mode & 077)
        return refuse(why, -EPERM, "others than its owner have access to it (mode 0600 is right)");
    return 0;
}

int node_key_load(int dir, struct crypto_key *ret, char why[NODE_KEY_WHY_MAX])
{
    CLEANUP(fd_close) int fd = openat(dir, NODE_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    uint8_t text[FILE_MAX];
    ssize_t n;
    int err;

    why[0] = 0;
    if (fd < 0 && errno == ENOENT) return refuse(why, -ENOENT, "there is none");
    if (fd < 0) return refuse(why, -errno, errno == ELOOP ? "is a link" : err_text(-errno));
    err = look(fd, why);
    if (err) return err;
    n = read(fd, text, sizeof(text));
    if (n < 0) return refuse(why, -errno, err_text(-errno));
    if (!crypto_key_read(span(text, (size_t)n), ret) || !ret->secret)
        err = refuse(why, -EBADMSG, "damaged: no Ed25519 private key in PEM is in it");
    explicit_bzero(text, sizeof(text));
    return err;
}

/* Whole and durable before it has its name, which is taken only while it is free. */
static int make(int dir, struct crypto_key *k)
{
    CLEANUP(fd_close) int fd = -1;
    char pem[CRYPTO_PEM_MAX];
    int err;

    if (!crypto_key_make(k)) return -EIO;
    if (unlinkat(dir, NEW_FILE, 0) < 0 && errno != ENOENT) return -errno;
    fd = openat(dir, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    crypto_key_secret_pem(k, pem);
    err = fd_write_all(fd, span_of(pem));
    explicit_bzero(pem, sizeof(pem));
    if (!err && fsync(fd) < 0) err = -errno;
    if (!err && linkat(dir, NEW_FILE, dir, NODE_KEY_FILE, 0) < 0) err = -errno;
    if (unlinkat(dir, NEW_FILE, 0) < 0 && !err) err = -errno;
    if (!err && fsync(dir) < 0) err = -errno;
    return err;
}

int node_key_open(int dir, struct crypto_key *ret, char why[NODE_KEY_WHY_MAX])
{
    int err = node_key_load(dir, ret, why);

    if (err != -ENOENT) return err;
    err = make(dir, ret);
    if (err) return refuse(why, err, err_text(err));
    why[0] = 0;
    return 0;
}
