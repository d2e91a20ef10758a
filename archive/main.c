/* ms-keeper: keeps the storages and their indexes. Started by the master (common/ipc/child.h); by itself, as
 * "ms-keeper --check-index DIR" or "--check-newest DIR", to look at an index that may be damaged. */
#include "archive/checker.h"
#include "archive/keeper.h"
#include "common/base/mem.h"

#include <sys/stat.h>

struct process {
    struct loop *loop;
    struct child *child;
    struct keeper *keeper;
};

static void on_welcome(struct child *c, const struct packed *body)
{
    struct process *p = child_arg(c);

    (void)body;
    p->keeper = keeper_new(p->loop, c);
}

static int on_message(struct child *c, struct incoming *in)
{
    struct process *p = child_arg(c);

    return keeper_message(p->keeper, in);
}

static void stopped(void *arg)
{
    struct process *p = arg;

    child_exit(p->child, CHILD_EXIT_OK);
}

static void on_stop(struct child *c, bool orphaned)
{
    struct process *p = child_arg(c);

    (void)orphaned;
    if (p->keeper)
        keeper_stop(p->keeper, stopped, p);
    else
        stopped(p);
}

static const struct child_ops ops = {on_welcome, on_message, on_stop};

int main(int argc, char **argv)
{
    struct process p = {0};
    const struct child_setup setup = {
        .role = ROLE_KEEPER, .process = "keeper", .beat = true, .ops = &ops, .arg = &p};

    int checked;

    umask(007);
    checked = checker_main(argc, argv);
    if (checked >= 0) return checked;
    p.loop = loop_new();
    p.child = child_start(p.loop, &setup);
    if (!p.child) return CHILD_EXIT_PROTO;
    loop_run(p.loop);
    return CHILD_EXIT_OK;
}
