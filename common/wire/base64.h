/* Base64. Source: RFC 4648 section 4, and 5 for the URL-safe alphabet without padding. */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "common/base/wr.h"

#define BASE64_N(n) (((n) + 2) / 3 * 4) /* characters for n bytes */

void base64_write(struct wr *w, struct span s);
void base64url_write(struct wr *w, struct span s);
/* Either alphabet, padding optional, blanks and line ends skipped. false: another character, a length that no
 * byte string has, or does not fit; w then holds the part before it. */
bool base64_read(struct span s, struct wr *w);

#endif
