/* Bytes as hexadecimal digits. */
#ifndef WIRE_HEX_H
#define WIRE_HEX_H

#include "common/base/wr.h"

void hex_write(struct wr *w, struct span s); /* lower case */
int hex_digit(uint8_t c);                    /* 0 to 15, or -1 */

#endif
