/* What tests ask of the text of a playlist. */
#ifndef SUPPORT_PLAYLIST_H
#define SUPPORT_PLAYLIST_H

#include "common/base/span.h"

/* The number behind the first tag that begins so; 0: there is none. */
uint64_t playlist_tag(struct span text, const char *tag);
/* How often that is in it. */
unsigned playlist_count(struct span text, const char *what);

#endif
