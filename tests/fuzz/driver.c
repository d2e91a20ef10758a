/* Runs a fuzz target as an ordinary test: over every file of the folders and files named, each whole, cut at
 * the front half, and with one byte changed, so that also a small corpus leaves the happy path. */
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t runs;

static void run(const uint8_t *p, size_t n)
{
    /* A block of its own, so that one byte past the end is seen. */
    uint8_t *copy = mem_dup(p, n);

    LLVMFuzzerTestOneInput(copy, n);
    mem_free(copy);
    runs++;
}

static void run_file(const char *path)
{
    CLEANUP(mem_freep) uint8_t *p = NULL;
    size_t n = 0;

    if (fd_read_file(AT_FDCWD, path, FILE_MAX, &p, &n) < 0) return;
    run(p, n);
    run(p, n / 2);
    for (size_t i = 0; i < n; i += n / 16 + 1) {
        p[i] ^= 0xff;
        run(p, n);
        p[i] ^= 0xff;
    }
}

static void run_path(const char *path)
{
    struct stat st;
    DIR *dir;

    if (stat(path, &st) < 0) return;
    if (!S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    dir = opendir(path);
    if (!dir) return;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char sub[4096];

        if (e->d_name[0] == '.') continue;
        snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
        run_path(sub);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    run((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) run_path(argv[i]);
    printf("%zu inputs\n", runs);
    return runs > 1 ? 0 : 1;
}
