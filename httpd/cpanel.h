/* The pages of the control panel: modules/cpanel/cpanel.lua (LUAHOST_CPANEL) makes them, httpd says who asks
 * and what the browser may load. Everything else a page needs are assets and calls of the API. Tests:
 * tests/e2e/test_cpanel.py. */
#ifndef HTTPD_CPANEL_H
#define HTTPD_CPANEL_H

#include "httpd/http.h"

/* cpanel-enable, cpanel-whitelist. false: it was answered. */
bool cpanel_open(struct http *h);

#endif
