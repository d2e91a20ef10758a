/* Files of state-dir/revisions: what is taken of one lies in it, has names, and can be shown. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/conf/edit.h"
#include "common/conf/mask.h"
#include "master/revisions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SHOWN_MAX 16 /* changes of one input */

static void show(void *arg, const char *section, const struct source_item *item)
{
    char masked[CONF_SHOWN_MAX];

    (void)arg;
    must(strlen(conf_mask(section, item, masked)) < CONF_SHOWN_MAX);
}

static void look(struct span all, struct span text)
{
    if (!text.p || text.n == 0) return;
    must(text.p >= all.p && text.p + text.n <= all.p + all.n);
    conf_show_site(text, show, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct revision_file f;
    struct buf bytes;

    buf_init(&bytes, REVISION_BYTES_MAX);
    if (!buf_put(&bytes, span(data, n))) return 0;
    if (revision_file_read(&bytes, &f) == 0) {
        for (size_t i = 0; i < f.n; i++) {
            must(f.changes[i].uid[0] && f.changes[i].file[0]);
            if (i >= SHOWN_MAX) continue;
            look(buf_span(&f.bytes), f.changes[i].before);
            look(buf_span(&f.bytes), f.changes[i].after);
        }
        revision_file_done(&f);
    }
    return 0;
}
