/* What msctl may ask about streams' files: the commands "stream ..." of common/ipc/ctl.h. */
#include "common/base/mem.h"
#include "master/edits.h"
#include "master/master.h"

#include <string.h>

static void report_free(void *p)
{
    conf_report_done(p);
    mem_free(p);
}

/* "KEY=VALUE", or "KEY" for one that goes: cut at its first '='. */
static struct conf_set set_of(char *arg)
{
    char *eq = strchr(arg, '=');

    if (eq) *eq = 0;
    return (struct conf_set){arg, eq ? eq + 1 : NULL};
}

static int run_edit(struct session *s, enum edit_kind kind, bool dry)
{
    struct conf_set set[CONTROL_ARGS_MAX];
    struct stream_edit edit = {.kind = kind, .uid = s->args[0], .set = set, .n = s->n_args - 1};
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {&edit, 1, dry, control_by(s, by), ""};
    struct edits_result result;
    int code;

    for (size_t i = 0; i < edit.n; i++) set[i] = set_of(s->args[i + 1]);
    s->data = NEW(struct conf_report);
    s->data_free = report_free;
    code = edits_apply(s->m, &order, s->data, &result);
    span_copy(span_of(result.text), s->text, sizeof(s->text));
    mem_free(result.etags);
    return code;
}

static int run_create(struct session *s)
{
    return run_edit(s, EDIT_CREATE, false);
}

static int run_set(struct session *s)
{
    return run_edit(s, EDIT_SET, false);
}

static int run_check(struct session *s)
{
    return run_edit(s, conf_stream(s->m->conf, span_of(s->args[0])) ? EDIT_SET : EDIT_CREATE, true);
}

static int run_remove(struct session *s)
{
    return run_edit(s, EDIT_REMOVE, false);
}

const struct command commands_streams[] = {
    {"stream create", 2, CONTROL_ARGS_MAX, run_create, row_remarks},
    {"stream set", 2, CONTROL_ARGS_MAX, run_set, row_remarks},
    {"stream check", 2, CONTROL_ARGS_MAX, run_check, row_remarks},
    {"stream remove", 1, 1, run_remove, row_remarks},
};
const size_t n_commands_streams = ARRAY_N(commands_streams);
