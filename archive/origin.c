#include "archive/origin.h"
#include "common/base/span.h"

#include <stdio.h>
#include <sys/xattr.h>

#define NAME "user.media-server.node"

void origin_note(int fd, uint16_t node)
{
    char text[8];
    int n = snprintf(text, sizeof(text), "%u", node);

    (void)!fsetxattr(fd, NAME, text, (size_t)n, 0); /* where there are none it is not known later */
}

uint32_t origin_flags(int fd)
{
    char text[8];
    ssize_t n = fgetxattr(fd, NAME, text, sizeof(text));
    uint64_t node;

    if (n <= 0 || !span_u64(span(text, (size_t)n), UINT16_MAX, &node) || node == 0) return 0;
    return origin_bits((uint16_t)node);
}
