/* Who did what: every command that changes something, of msctl and of the API, every sign-in. Lines of JSON
 * in state-dir/audit.log, which nobody but root reads and no process but the master writes; each holds the
 * digest of the one before, so that a line that is changed or taken away shows (msctl audit verify). Secrets
 * stay out: passwords in URLs, values of keys that are secrets. Tests: tests/unit/master/test_audit.c,
 * tests/unit/wire/test_chain.c, tests/e2e/test_signin.py. */
#ifndef MASTER_AUDIT_H
#define MASTER_AUDIT_H

#include "common/base/wr.h"
#include "common/ipc/pack.h"
#include "common/wire/chain.h"

#define AUDIT_FILE     "audit.log"
#define AUDIT_FILE_MAX (8u << 20)
#define AUDIT_KEPT     1000 /* lines in memory, for who asks */
#define AUDIT_LINE_MAX 4096

struct state_file;
struct audit {
    struct state_file *file;
    char *kept[AUDIT_KEPT]; /* a ring of whole lines */
    uint64_t n;             /* ever kept */
    uint64_t seq, lost;     /* of the newest; lines that the disk did not take in time */
    char digest[CHAIN_DIGEST];
};
struct audit_entry {
    const char *who, *role, *from, *by; /* "" where nobody knows */
    const char *what, *result;          /* "stream set"; "done", "refused", "failed" */
    struct span on, args, text;
};

/* Reads the end of what there is. -errno: it cannot be read. */
int audit_open(struct audit *a, int state_dir);
void audit_close(struct audit *a);
void audit_add(struct audit *a, usec_t wall_us, const struct audit_entry *e);
/* The i-th newest as a map; false: there are no more. */
bool audit_pack(const struct audit *a, size_t i, struct packer *p);
/* What of a word of a command may be written down: "stream-url=rtsp://u:***@h/". */
void audit_word(struct wr *w, struct span word);
/* The same of a key that is set or goes: " stream-url=rtsp://u:***@h/". */
struct conf_set;
void audit_set(struct wr *w, const struct conf_set *set);

#endif
