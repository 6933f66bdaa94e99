/* Put before the C library with LD_PRELOAD: each sync takes MANA_SYNC_MICROS longer, as on a disk without a cache that
 * survives a power cut. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(int fd, const char *name) {
    const char *micros = getenv("MANA_SYNC_MICROS");
    if (micros) usleep((useconds_t)atol(micros));
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return slowly(fd, "fsync"); }
int fdatasync(int fd) { return slowly(fd, "fdatasync"); }
