#include "worker/worker.h"

#include <malloc.h>

#define MMAP_BYTES (48 << 10) /* larger blocks go back to the kernel when freed */
#define TRIM_BYTES (64 << 10)

/* Hundreds of these run: one heap for both threads, and nothing kept that is not used. */
int main(int argc, char **argv)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    mallopt(M_TOP_PAD, 16 << 10);
    worker_run(argc > 1 ? argv[1] : "");
}
