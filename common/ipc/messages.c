#include "common/ipc/messages.h"
#include "common/base/types.h"

static const struct message_row rows[] = {
#define MESSAGE(name, number, from, to, most, fds) {#name, (number), (from), (to), (most), (fds)},
    MESSAGES(MESSAGE)
#undef MESSAGE
};

const struct message_row *message_row(unsigned number)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].number == number) return &rows[i];
    return NULL;
}

/* Two messages of one number are a warning here: an element that is initialised twice. */
__attribute__((unused)) static const char numbers[] = {
#define MESSAGE(name, number, from, to, most, fds) [(number)] = 1,
    MESSAGES(MESSAGE)
#undef MESSAGE
};
