/* The playlists of an HLS window as text. */
#ifndef HTTPD_WINDOW_TEXT_H
#define HTTPD_WINDOW_TEXT_H

#include "httpd/window.h"

/* NULL: memory is out. */
struct chunk *window_text(const struct window *w, enum window_form form);
/* Are the parts of the open segment listed? Of other tracks nothing is said before the playlist begins anew
 * with them (window.h). The window is not empty. */
bool window_shows_open(const struct window *w);

#endif
