#include "scripts/msctl/progress.h"

#include <unistd.h>

#define BAR_WIDTH 40
#define BAR_US    (200 * US_PER_MS)
#define LINE_US   (10 * US_PER_S)

void progress_begin(struct progress *p, FILE *to, const char *what)
{
    *p =
        (struct progress){.to = to, .what = what, .terminal = isatty(fileno(to)), .said_us = clock_mono_us()};
}

void progress_tell(struct progress *p, uint64_t done, uint64_t all, uint64_t faults)
{
    static const char bar[] = "########################################";
    usec_t now_us = clock_mono_us();
    unsigned long long d = done, a = all;
    char found[40] = "";
    int filled = (int)(all ? (uint64_t)BAR_WIDTH * MIN(done, all) / all : 0);

    _Static_assert(sizeof(bar) == BAR_WIDTH + 1, "as wide as the bar");
    if (now_us - p->said_us < (p->terminal ? BAR_US : LINE_US)) return;
    p->said_us = now_us;
    if (faults != PROGRESS_NONE) snprintf(found, sizeof(found), ", %llu found", (unsigned long long)faults);
    if (p->terminal)
        fprintf(p->to, "\r%s [%-*.*s] %llu of %llu%s\033[K", p->what, BAR_WIDTH, filled, bar, d, a, found);
    else
        fprintf(p->to, "%s: %llu of %llu%s\n", p->what, d, a, found);
    fflush(p->to);
    p->shown = p->terminal;
}

void progress_clear(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", p->to);
    p->shown = false;
}
