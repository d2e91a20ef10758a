#include "scripts/msctl/password.h"
#include "common/base/rng.h"
#include "common/ipc/ctl.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_N 258
#define SALT_N     16
#define HASH_N     32
#define LN         15 /* with r = 8: 32 MiB and some 50 ms, of httpd too (httpd/accounts.h) */

static bool read_line(char dst[LINE_MAX_N])
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0, ok;

    if (terminal) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fputs("password: ", stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    ok = fgets(dst, LINE_MAX_N, stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return ok;
}

/* base64 without padding, as PHC strings have it. */
static void put(struct wr *w, const uint8_t *bytes, size_t n)
{
    char text[BASE64_N(HASH_N) + 1];
    struct wr t = wr_of(text, sizeof(text));
    struct span s;

    base64_write(&t, span(bytes, n));
    s = wr_span(&t);
    while (s.n > 0 && s.p[s.n - 1] == '=') s.n--;
    wr_bytes(w, s);
}

int local_password(const struct local *l)
{
    static const uint64_t cost[3] = {LN, 8, 1};
    char line[LINE_MAX_N] = "", text[160];
    struct wr w = wr_of(text, sizeof(text));
    uint8_t salt[SALT_N], hash[HASH_N];
    bool ok = read_line(line);
    size_t n = strcspn(line, "\r\n");

    if (!ok || n == 0 || n > LINE_MAX_N - 3) {
        fputs("msctl: a password has 1 to 255 bytes\n", l->err);
        explicit_bzero(line, sizeof(line));
        return CTL_USAGE;
    }
    rng_bytes(salt, sizeof(salt));
    ok = crypto_scrypt(span(line, n), span(salt, sizeof(salt)), cost, hash, sizeof(hash));
    explicit_bzero(line, sizeof(line));
    if (!ok) {
        fputs("msctl: there is no memory for the hash\n", l->err);
        return CTL_FAILED;
    }
    wr_fmt(&w, "$scrypt$ln=%d,r=8,p=1$", LN);
    put(&w, salt, sizeof(salt));
    wr_text(&w, "$");
    put(&w, hash, sizeof(hash));
    fprintf(l->out, "%s\n", wr_cstr(&w));
    return CTL_OK;
}
