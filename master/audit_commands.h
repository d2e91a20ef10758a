/* Commands in the audit log: who asks is taken from the question, what became of it is written at its end. */
#ifndef MASTER_AUDIT_COMMANDS_H
#define MASTER_AUDIT_COMMANDS_H

#include "common/base/wr.h"
#include "common/ipc/pack.h"

struct session;

#define AUDIT_WHO_MAX   65
#define AUDIT_WORD_MAX  300 /* bytes of a word; of a longer one only its length is written */
#define AUDIT_WORDS_MAX 1500

/* Of a command that changes something; the others are not written down. */
struct audit_command {
    bool on; /* it is written down at its end */
    const char *cmd;
    char who[AUDIT_WHO_MAX], role[8], from[48], by[8];
    char words[AUDIT_WORDS_MAX];
    bool named; /* by the command itself: what it is about, and w over words */
    char subject[AUDIT_WHO_MAX];
    struct wr w;
};
/* Before it runs, which may take its words apart. */
void audit_command_begin(struct session *s, const struct packed *body);
void audit_command_end(struct session *s);
/* A command whose words stand in its body names what it is about, and writes them here; NULL: nobody writes
 * it down. */
struct wr *audit_command_words(struct session *s, const char *subject);
/* It changes nothing after all. */
void audit_command_forget(struct session *s);

#endif
