/* Adding to a report. */
#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include "common/conf/conf.h"

#define REPORT_REMARKS_MAX 2000 /* kept; more are counted */

/* key: "" or the whole name, copied. The text is cut at 600 bytes. */
void report_add(struct conf_report *r, enum conf_level level, const char *file, unsigned line,
    const char *key, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* What stands in the file, for a remark: quoted, as utf8.h shows it, cut at 40 bytes. One of four
 * buffers in turn. Never for secrets and URLs. */
const char *report_q(struct span s);

#endif
