/* ms-httpd: a child of the master (common/ipc/child.h). The main thread holds the control channel and changes
 * the tables of the hubs by posted messages; it serves nobody itself. */
#include "httpd/assets.h"
#include "httpd/control.h"
#include "common/base/mem.h"
#include "common/net/tls.h"

#include <stdio.h>

int main(void)
{
    struct loop *loop;

    tls_process();
    loop = loop_new();
    if (!control_start(loop)) return CHILD_EXIT_PROTO;
    loop_run(loop);
    return 0;
}
