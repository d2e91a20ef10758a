#include "archive/ask.h"
#include "archive/keeper_impl.h"
#include "archive/work_act.h"
#include "archive/work_ask.h"
#include "archive/work_clock.h"
#include "archive/work_events.h"
#include "archive/work_look.h"
#include "archive/work_plan.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#define PAGE_BYTES 40000
#define ROW_BYTES  8192

const struct ask_command ask_commands[] = {
    {"archive list", 0, 1, NULL, work_list, sizeof(struct work_list), NULL, false},
    {"archive plan", 0, 1, NULL, work_plan, sizeof(struct plan), work_plan_done, false},
    {"archive delete", 3, 3, keeper_ask_delete, work_delete, sizeof(struct work_delete), NULL, false},
    {"archive lock", 3, 4, keeper_ask_lock, work_locked, 0, NULL, false},
    {"archive unlock", 2, 2, keeper_ask_unlock, work_locked, 0, NULL, false},
    {"archive locks", 0, 1, keeper_ask_locks, NULL, 0, NULL, false},
    {"archive ranges", 3, 3, keeper_ask_look, work_look_ranges, sizeof(struct work_look), NULL, false},
    {"archive cover", 3, 3, keeper_ask_look, work_look_cover, sizeof(struct work_look), NULL, false},
    {"archive segments", 4, 4, keeper_ask_look, work_look_segments, sizeof(struct work_look), NULL, false},
    {"act promise", 1, 1, keeper_ask_promise, work_promise, 0, NULL, false},
    {"act did", 1, 1, keeper_ask_promise, work_did, 0, NULL, false},
    {"archive reread", 3, 4, NULL, work_reread, 0, NULL, false},
    {"archive restore", 1, 2, NULL, work_restore, sizeof(struct work_restore), NULL, false},
    {"archive vacuum", 0, 3, keeper_ask_complete, work_vacuum, sizeof(struct work_vacuum), NULL, true},
    {"storage clock", 1, 1, NULL, work_clock_accept, 0, NULL, false},
    {"events", 0, 6, work_events_begin, work_events_step, sizeof(struct work_events_list), work_events_ended,
        false},
};
const size_t ask_commands_n = ARRAY_N(ask_commands);

const struct ask_command *ask_command(struct span cmd)
{
    for (size_t i = 0; i < ask_commands_n; i++)
        if (span_is(cmd, ask_commands[i].cmd)) return &ask_commands[i];
    return NULL;
}

void answer_init(struct answer *a, const struct ask *ask, answer_page *send, void *arg)
{
    *a = (struct answer){.ask = *ask, .send = send, .arg = arg};
    a->state = mem_new(ask->command->state + 1);
    memset(a->state, 0, ask->command->state);
    buf_init(&a->page, PAGE_BYTES + ROW_BYTES);
    a->packer = packer_of(&a->page);
}

void answer_done(struct answer *a)
{
    buf_done(&a->page);
    if (a->state && a->ask.command->done) a->ask.command->done(a->state);
    mem_free(a->state);
    a->state = NULL;
}

void answer_flush(struct answer *a)
{
    must(!a->packer.bad);
    if (a->n > 0) a->send(a->arg, a->ask.id, a->n, buf_span(&a->page));
    buf_clear(&a->page);
    a->n = 0;
}

struct packer *answer_row(struct answer *a, uint32_t pairs)
{
    if (a->n == CTL_ROWS_MAX || buf_n(&a->page) >= PAGE_BYTES) answer_flush(a);
    a->n++;
    a->rows++;
    pack_map(&a->packer, pairs);
    return &a->packer;
}

void answer_fail(struct answer *a, int code, const char *fmt, ...)
{
    struct wr w = wr_of(a->text, sizeof(a->text));
    va_list ap;

    a->code = code;
    va_start(ap, fmt);
    wr_vfmt(&w, fmt, ap);
    va_end(ap);
    wr_cstr(&w);
}
