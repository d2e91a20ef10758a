#include "tests/support/etcd_server.h"
#include "common/base/err.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/etcd"

struct etcd_server etcd_server;

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    close(fd);
    return ntohs(at.sin_port);
}

static _Noreturn void run(const struct etcd_server *s)
{
    char peer[64], cluster[80], ca[96], cert[96], key[96];
    const char *words[24] = {PROGRAM, "--data-dir", s->dir, "--listen-client-urls", s->url,
        "--advertise-client-urls", s->url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", cluster};
    const char *tls[] = {
        "--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", cert, "--key-file", key};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    snprintf(peer, sizeof(peer), "http://127.0.0.1:%u", s->peer_port);
    snprintf(cluster, sizeof(cluster), "default=%s", peer);
    snprintf(ca, sizeof(ca), "%s/ca.pem", s->pki ? s->pki : "");
    snprintf(cert, sizeof(cert), "%s/server.pem", s->pki ? s->pki : "");
    snprintf(key, sizeof(key), "%s/server.key", s->pki ? s->pki : "");
    if (s->pki) memcpy(words + 13, tls, sizeof(tls));
    execv(PROGRAM, (char *const *)(uintptr_t)words);
    _exit(127);
}

void etcd_server_start(struct etcd_server *s)
{
    s->pid = fork();
    must(s->pid >= 0);
    if (s->pid == 0) run(s);
}

void etcd_server_kill(struct etcd_server *s)
{
    if (s->pid <= 0) return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

int etcd_server_up(void **state)
{
    (void)state;
    return etcd_server_up_tls(NULL);
}

int etcd_server_up_tls(const char *pki)
{
    struct etcd_server *s = &etcd_server;

    *s = (struct etcd_server){.pki = pki};
    if (access(PROGRAM, X_OK) != 0) {
        print_message("no " PROGRAM ": scripts/deps test installs it\n");
        return -1;
    }
    tool_tmpdir(s->dir, sizeof(s->dir));
    s->port = free_port();
    s->peer_port = free_port();
    snprintf(s->url, sizeof(s->url), "%s://127.0.0.1:%u", pki ? "https" : "http", s->port);
    etcd_server_start(s);
    return 0;
}

int etcd_server_down(void **state)
{
    (void)state;
    etcd_server_kill(&etcd_server);
    if (etcd_server.dir[0]) tool_rmdir(etcd_server.dir);
    return 0;
}
