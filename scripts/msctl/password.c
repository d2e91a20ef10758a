#include "scripts/msctl/password.h"
#include "common/ipc/ctl.h"
#include "common/wire/scrypt.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_N 258

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

int local_password(const struct local *l)
{
    char line[LINE_MAX_N] = "", text[SCRYPT_TEXT_MAX];
    struct wr w = wr_of(text, sizeof(text));
    bool ok = read_line(line);
    size_t n = strcspn(line, "\r\n");

    if (!ok || n == 0 || n > LINE_MAX_N - 3) {
        fputs("msctl: a password has 1 to 255 bytes\n", l->err);
        explicit_bzero(line, sizeof(line));
        return CTL_USAGE;
    }
    ok = scrypt_write(span(line, n), &w);
    explicit_bzero(line, sizeof(line));
    if (!ok) {
        fputs("msctl: there is no memory for the hash\n", l->err);
        return CTL_FAILED;
    }
    fprintf(l->out, "%s\n", wr_cstr(&w));
    return CTL_OK;
}
