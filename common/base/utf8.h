/* UTF-8 (RFC 3629), and text of foreign origin as a terminal, a log or a report may show it: what would move
 * the cursor, colour, end the line or turn the order of what is read is written as an escape. No character is
 * cut. Tests: tests/unit/base/test_utf8.c. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "common/base/wr.h"

#include <stdio.h>

#define UTF8_SHOWN_MAX 8

/* Bytes of the character at the front of s, which is not empty (no overlong forms, no surrogates, up to
 * U+10FFFF); 0: none. */
size_t utf8_len(struct span s);
/* Takes one character off the front, and returns it as it is, or as "\u202e": controls (C0, DEL, C1),
 * separators of lines and controls of writing direction (U+061C, U+200E/F, U+2028 to U+202E, U+2066 to
 * U+2069). A byte that is no UTF-8 is "\ufffd". JSON reads these escapes as what they stand for. Empty when s
 * is. */
struct span utf8_shown(struct span *s, char buf[static UTF8_SHOWN_MAX]);
/* All of s so, or as much as leaves one byte of w for the NUL of wr_cstr. */
void utf8_show(struct wr *w, struct span s);
void utf8_print(struct span s, FILE *to);

#endif
