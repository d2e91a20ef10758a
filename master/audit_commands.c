#include "master/audit_commands.h"
#include "common/base/clock.h"
#include "master/audit.h"
#include "master/master.h"

/* These change nothing. */
static bool only_reads(const char *cmd)
{
    static const char *const names[] = {"status", "streams", "logs", "storage list", "key show", "events",
        "archive list", "cluster", "cluster streams", "api exports", "archive plan", "archive locks",
        "archive ranges", "archive segments", "token revoked", "stream check", "audit", "api audit",
        "api streams", "api stream", "api config", "api revisions", "api revision", "api server",
        "api history", "api keys", "api probe", "api tokens", "api accounts", "api layouts", "api layout get",
        "api signing keys", "config show", "config check"};

    for (size_t i = 0; i < ARRAY_N(names); i++)
        if (strcmp(names[i], cmd) == 0) return true;
    return strncmp(cmd, "cluster", strlen("cluster")) == 0 || strcmp(cmd, "transfers") == 0;
}

static void whose(struct session *s, const struct packed *body)
{
    struct audit_command *a = &s->audit;
    unsigned uid = 0;
    int pid;

    if (s->api) {
        span_copy(packed_str(body, "who"), a->who, sizeof(a->who));
        span_copy(packed_str(body, "role"), a->role, sizeof(a->role));
        span_copy(packed_str(body, "from"), a->from, sizeof(a->from));
        span_copy(packed_str(body, "by"), a->by, sizeof(a->by));
        return;
    }
    (void)channel_peer(s->ch, &pid, &uid);
    snprintf(a->who, sizeof(a->who), "user %u", uid);
    snprintf(a->by, sizeof(a->by), "msctl");
}

void audit_command_begin(struct session *s, const struct packed *body)
{
    struct audit_command *a = &s->audit;
    struct wr w = wr_of(a->words, sizeof(a->words) - 1);

    whose(s, body);
    a->on = !only_reads(s->command->cmd);
    if (!a->on) return;
    a->cmd = s->command->cmd;
    for (size_t i = 1; i < s->n_args; i++) {
        size_t n = strlen(s->args[i]);

        if (i > 1) wr_text(&w, " ");
        if (n > AUDIT_WORD_MAX)
            wr_fmt(&w, "(%zu bytes)", n);
        else
            audit_word(&w, span_of(s->args[i]));
    }
    if (!wr_ok(&w)) snprintf(a->words, sizeof(a->words), "(%zu words)", s->n_args - 1);
}

struct wr *audit_command_words(struct session *s, const char *subject)
{
    struct audit_command *a = &s->audit;

    if (!a->on) return NULL;
    a->named = true;
    span_copy(span_sub(span_of(subject), 0, sizeof(a->subject) - 1), a->subject, sizeof(a->subject));
    memset(a->words, 0, sizeof(a->words));
    a->w = wr_of(a->words, sizeof(a->words) - 1);
    return &a->w;
}

void audit_command_forget(struct session *s)
{
    s->audit.on = false;
}

static struct span subject_of(const struct session *s)
{
    if (s->audit.named) return span_of(s->audit.subject);
    return s->n_args > 0 ? span_sub(span_of(s->args[0]), 0, AUDIT_WORD_MAX) : SPAN_NONE;
}

void audit_command_end(struct session *s)
{
    struct audit_command *a = &s->audit;
    bool too_long = a->named && !wr_ok(&a->w);
    const struct audit_entry e = {.who = a->who,
        .role = a->role,
        .from = a->from,
        .by = a->by,
        .what = a->cmd,
        .on = subject_of(s),
        .args = too_long ? SPAN_LIT("(too many to name)") : span_of(a->words),
        .result = s->code == CTL_OK ? "done"
            : s->code == CTL_FAILED ? "failed"
                                    : "refused",
        .text = span_of(s->text)};

    if (!a->on) return;
    a->on = false;
    audit_add(&s->m->audit, clock_wall_us(), &e);
}
