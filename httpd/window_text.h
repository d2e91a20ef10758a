/* The playlists of an HLS window as text. */
#ifndef HTTPD_WINDOW_TEXT_H
#define HTTPD_WINDOW_TEXT_H

#include "httpd/window.h"

/* NULL: memory is out; of WINDOW_DELTA also: there is nothing to leave out. */
struct chunk *window_text(const struct window *w, enum window_form form);
/* Of low latency: of what is listed something has changed. */
void window_low_changed(struct window *w);
/* Of segment i. */
unsigned window_kinds_at(const struct window *w, size_t i);
/* Are the parts of the open segment listed? Of other tracks nothing is said before the playlist begins anew
 * with them (window.h). The window is not empty. */
bool window_shows_open(const struct window *w);

#endif
