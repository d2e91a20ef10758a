/* Values as they are shown: what is secret in them is "***". And back: what was shown and is sent back means
 * what stands there; in a URL to another host it means nothing, for a password goes to no host that it was
 * not for. Which part that is, the key table says (keys.h: KIND_SECRET, KIND_URL, KIND_USER, the free
 * sections); of a key that it does not know all is. Tests: tests/unit/conf/test_mask.c. */
#ifndef CONF_MASK_H
#define CONF_MASK_H

#include "common/base/wr.h"
#include "common/conf/source.h"

#define CONF_MASK      "***"
#define CONF_SHOWN_MAX (CONF_VALUE_MAX + 64) /* a value, masked */

/* section: NULL for a stream's file. Returns dst. */
const char *conf_mask(const char *section, const struct source_item *item, char dst[static CONF_SHOWN_MAX]);
/* The value that is meant with `value` for this key, where `was` stands there now (NULL: nothing does).
 * false: it is masked, and nothing is known that stands for it there. */
bool conf_unmask(
    const char *section, const char *key, struct span value, const struct source_item *was, struct wr *to);

#endif
