#include "worker/write_log.h"
#include "common/base/err.h"

#include <errno.h>

static unsigned kind_of(int err)
{
    static const struct {
        int err;
        unsigned kind;
    } kinds[] = {{-ENOSPC, 1}, {-EDQUOT, 1}, {-EROFS, 2}, {-EIO, 3}};

    for (size_t i = 0; i < ARRAY_N(kinds); i++)
        if (kinds[i].err == err) return kinds[i].kind;
    return 0;
}

void write_log_failed(struct write_log *l, const char *storage, int err, usec_t now_us)
{
    uint32_t held;

    l->failed++;
    if (!log_limited(&l->rate[kind_of(err)], now_us, &held)) return;
    l->said = true;
    log_error("write-failed", "storage=%s err=%s held=%u", log_q(span_of(storage)),
        log_q(span_of(err_text(err))), held);
}

void write_log_ok(struct write_log *l, const char *storage)
{
    if (!l->said) return;
    log_note("write-ok", "storage=%s failed=%u", log_q(span_of(storage)), l->failed);
    l->said = false;
    l->failed = 0;
}
