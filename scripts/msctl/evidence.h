/* Footage that leaves the server as evidence: FILE.mp4, beside it FILE.mp4.json, which says what is in it
 * (archive/manifest.h), and FILE.mp4.sig, the 64 bytes of an Ed25519 signature of exactly that text. Export
 * is root's: the key is. Verify needs neither a server nor rights. Tests: tests/e2e/test_evidence.py. */
#ifndef MSCTL_EVIDENCE_H
#define MSCTL_EVIDENCE_H

#include "archive/manifest.h"
#include "scripts/msctl/local.h"

#define EVIDENCE_MANIFEST  ".json"
#define EVIDENCE_SIGNATURE ".sig"

/* CTL_*; CTL_FAILED also when something is wrong with what is verified. */
int local_export(const struct local *l);
int local_verify(const struct local *l);

#endif
