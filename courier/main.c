/* ms-courier: a child of the master (common/ipc/child.h). */
#include "common/net/tls.h"
#include "courier/courier.h"

int main(void)
{
    struct loop *loop;

    tls_process();
    loop = loop_new();
    if (!courier_start(loop)) return CHILD_EXIT_CONFIG;
    loop_run(loop);
    return CHILD_EXIT_OK;
}
