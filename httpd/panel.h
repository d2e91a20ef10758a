/* Who asks for what is not media: the API, metrics, health. The address is the viewer's behind trusted
 * proxies, as everywhere; api-whitelist says from where. Tests: tests/unit/httpd/test_panel.c. */
#ifndef HTTPD_PANEL_H
#define HTTPD_PANEL_H

#include "httpd/http.h"

/* false: it has none. */
bool panel_address(const struct http *h, struct addr *ret);
/* false: this address may not ask, and that was answered. */
bool panel_open(struct http *h);

#endif
