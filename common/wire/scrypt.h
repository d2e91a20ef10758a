/* Passwords as they are kept: "$scrypt$ln=15,r=8,p=1$<salt>$<hash>", base64 without padding (PHC string
 * format), the hash by RFC 7914. Making and checking one takes some 50 ms and 32 MiB: never on a loop. Apart
 * from crypto.c, so that only who handles passwords pays for EVP. Tests: tests/unit/wire/test_scrypt.c. */
#ifndef WIRE_SCRYPT_H
#define WIRE_SCRYPT_H

#include "common/base/wr.h"

#define SCRYPT_TEXT_MAX 160 /* of those we make, with a NUL */
#define SCRYPT_LN       15  /* log2 of N of those we make: 32 MiB */
#define SCRYPT_LN_MAX   17  /* of those we take: 128 MiB */

bool scrypt_is(struct span kept);
/* false: out of memory, or no room. */
bool scrypt_write(struct span password, struct wr *w);
bool scrypt_check(struct span kept, struct span given);

#endif
