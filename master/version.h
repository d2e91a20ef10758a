#ifndef MASTER_VERSION_H
#define MASTER_VERSION_H

extern const char version_number[];   /* "0.1.0" */
extern const char version_revision[]; /* commit it was built from */
extern const char version_build[];    /* compiler and its version */

#endif
