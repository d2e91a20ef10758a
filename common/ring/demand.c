#include "common/ring/ring_layout.h"

#include <errno.h>
#include <sys/mman.h>

int demand_create(int *ret_fd)
{
    return ring_sealed_memory("ms-demand", RING_PAGE, ret_fd);
}

int demand_map(int fd, bool writable, struct demand **ret)
{
    size_t bytes = 0;
    void *mem;
    int err = ring_sealed_size(fd, &bytes);

    if (err != 0) return err;
    if (bytes != RING_PAGE) return RING_E_BAD;
    mem = mmap(NULL, RING_PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (mem == MAP_FAILED) return -errno;
    *ret = mem;
    return 0;
}

void demand_unmap(struct demand *d)
{
    if (d) munmap(d, RING_PAGE);
}
