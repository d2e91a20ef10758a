#include "scripts/msctl/msctl.h"

int main(int argc, char **argv)
{
    /* A server that goes away while it is asked is an error with a text, not a signal. */
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return msctl_run(argc, argv, stdout, stderr);
}
