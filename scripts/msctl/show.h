/* Rows of an answer to text. Everything that came from the server is printed without control characters. */
#ifndef MSCTL_SHOW_H
#define MSCTL_SHOW_H

#include "common/ipc/pack.h"

#include <stdio.h>

enum show_form {
    SHOW_TEXT,
    SHOW_NUMBER,
    SHOW_BITRATE, /* bits per second */
    SHOW_BYTES,
    SHOW_PERIOD, /* seconds */
    SHOW_TIME,   /* unix seconds */
};
struct show_column {
    const char *key, *title;
    enum show_form form;
};

/* Rows are kept as the messages that brought them: their values live until show_done. */
struct show_message {
    struct buf *bytes;
    struct unpack *unpacked;
};
struct show {
    const struct packed **rows;
    size_t n;
    struct show_message *messages;
    size_t n_messages;
    bool (*take)(void *arg, const struct packed *rows); /* true: these are not kept; NULL: all are */
    void *take_arg;
};
void show_done(struct show *s);
/* Takes message and u. rows: an array in it; anything else is none. */
void show_add(struct show *s, struct buf *message, struct unpack *u, const struct packed *rows);

/* Columns ended by a key of NULL. A table has a line of titles; a list has one line for each value. */
void show_table(const struct show *s, const struct show_column *columns, FILE *out);
void show_list(const struct show *s, const struct show_column *columns, FILE *out);
void show_lines(const struct show *s, const char *key, FILE *out);
/* "FILE:LINE: level: key: text"; mistakes first, and without a level before them. */
void show_remarks(const struct show *s, FILE *out);
/* An array of objects, with every key that came. */
void show_json(const struct show *s, FILE *out);
/* A string, with its quotes. */
void show_json_text(struct span s, FILE *out);

/* One value as a cell; at least SHOW_CELL_MAX bytes; returns dst. */
#define SHOW_CELL_MAX 256
const char *show_cell(const struct packed *row, const struct show_column *column, char *dst);

#endif
