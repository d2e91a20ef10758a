/* The static files of the browser side: read once at the start, with their gzip form, so that no loop ever
 * waits for a disk for them. Served below /cpanel/; embed.html is the player page. Tests:
 * tests/e2e/test_browser.py. */
#ifndef HTTPD_ASSETS_H
#define HTTPD_ASSETS_H

#include "common/base/span.h"

#define ASSETS_MAX     256
#define ASSET_SIZE_MAX (4u << 20)
#define ASSET_PATH_MAX 160

struct assets;
struct asset_chunks;

/* dir: the checkout's or the installation's cpanel folder; site: that of the site, whose files stand before
 * ours of the same path; NULL, or none there: no such. Hidden files, node_modules and what has no known media
 * type are left out. A missing dir gives no files of ours and -errno in *ret_err. */
struct assets *assets_load(const char *dir, const char *site, int *ret_err);
void assets_free(struct assets *a);

struct asset {
    char path[ASSET_PATH_MAX]; /* below the folder */
    const char *type;
    char etag[24], etag_packed[28];
    struct span plain, packed; /* packed.n 0: not worth it */
};
const struct asset *assets_find(const struct assets *a, struct span path); /* NULL */
size_t assets_n(const struct assets *a);

void asset_chunks_free(struct asset_chunks *c);

#endif
