/* The documents that are written from the key table of common/conf. */
#ifndef SUPPORT_CONF_DOC_H
#define SUPPORT_CONF_DOC_H

#include "common/base/buf.h"

#define CONF_DOC_REFERENCE "docs/reference/configuration.md"
#define CONF_DOC_MAN       "conf/man/media-server.ini.5"
/* The generated part of the man page stands between lines that hold these. */
#define CONF_DOC_BEGIN ".\\\" keys: begin"
#define CONF_DOC_END   ".\\\" keys: end"

void conf_doc_reference(struct buf *to); /* the whole file */
void conf_doc_man(struct buf *to);       /* the lines between begin and end */

#endif
