/*
 * Faults of the system, put before the C library with LD_PRELOAD and switched while the program runs.
 *
 * MANA_FAULT_FSYNC: while this file exists, no sync succeeds (EIO), and what was written since the last good one is
 *                   taken back, as the kernel may drop pages that it could not write. 1 in the file: of the database
 *                   file alone, as at a checkpoint; 0: of every file.
 * MANA_FAULT_WRITE: while this file exists, the database files take no writes; it holds the number of the error.
 * MANA_FAULT_CLOCK: the wall clock is off by the number of seconds in this file.
 * MANA_KILL_IN, MANA_KILL_AT: the process is killed before its n-th change of a file whose path has this text.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A change of a file is about to happen: the process may end before it. */
static void step(const char *path) {
    static int steps;
    const char *dir = getenv("MANA_KILL_IN"), *at = getenv("MANA_KILL_AT");
    if (!dir || !at || !path || !strstr(path, dir) || strstr(path, ".lock")) return;
    if (__sync_add_and_fetch(&steps, 1) == atoi(at)) kill(getpid(), SIGKILL);
}

static void step_of(int fd) {
    if (!getenv("MANA_KILL_IN")) return;
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0) return;
    path[n] = 0;
    step(path);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (mode_t)va_arg(more, int); \
        va_end(more); \
        if (flags & (O_CREAT | O_TRUNC)) step(path); \
        return REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int unlink(const char *path) { step(path); return REAL(unlink)(path); }
int rename(const char *from, const char *to) { step(to); return REAL(rename)(from, to); }
int link(const char *from, const char *to) { step(to); return REAL(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { step(to); return REAL(linkat)(a, from, b, to, flags); }

/* A range that was written and not yet synced, and what it held before. */
struct unsynced {
    dev_t device;
    ino_t inode;
    off_t at;
    size_t length;
    char *before;
    struct unsynced *older;
};

static struct unsynced *newest;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The number in the file that a variable names; `otherwise` where there is no such file. */
static long number(const char *variable, long otherwise) {
    static __typeof__(&open) real_open;
    static __typeof__(&read) real_read;
    if (!real_open) real_open = REAL(open);
    if (!real_read) real_read = REAL(read);
    int saved = errno;
    const char *path = getenv(variable);
    int file = path ? real_open(path, O_RDONLY | O_CLOEXEC) : -1;
    errno = saved;
    if (file < 0) return otherwise;
    char text[32] = {0};
    ssize_t n = real_read(file, text, sizeof text - 1);
    close(file);
    errno = saved;
    return n > 0 ? atol(text) : 0;
}

/* Whether a descriptor is a file of the database. The shared memory file is never synced, so it is not taken back. */
static int is_ours(int fd, int with_shared_memory) {
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n <= 0) return 0;
    path[n] = 0;
    const char *name = strstr(path, "/mana-ai.db");
    return name && (with_shared_memory || !strstr(name, "-shm"));
}

static int is_database_file(int fd) {
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    return n > 11 && !strncmp(path + n - 11, "/mana-ai.db", 11);
}

static void remember(int fd, off_t at, size_t length) {
    struct stat about;
    if (!getenv("MANA_FAULT_FSYNC") || !is_ours(fd, 0) || fstat(fd, &about)) return;
    struct unsynced *range = malloc(sizeof *range);
    *range = (struct unsynced){about.st_dev, about.st_ino, at, length, calloc(1, length + 1), NULL};
    /* The end of a file that was shorter reads as zeros. */
    if (pread(fd, range->before, length, at) < 0) abort();
    pthread_mutex_lock(&mutex);
    range->older = newest;
    newest = range;
    pthread_mutex_unlock(&mutex);
}

/* Forgets what is on the disk now, or takes it back. */
static int sync_with(int fd, int (*real)(int)) {
    long fault = number("MANA_FAULT_FSYNC", -1);
    int fails = fault == 0 || (fault == 1 && is_database_file(fd));
    struct stat about;
    if (!fails && real(fd)) return -1;
    if (fstat(fd, &about)) return -1;
    pthread_mutex_lock(&mutex);
    for (struct unsynced **at = &newest; *at;) {
        struct unsynced *range = *at;
        if (range->device != about.st_dev || range->inode != about.st_ino) {
            at = &range->older;
            continue;
        }
        if (fails && REAL(pwrite)(fd, range->before, range->length, range->at) < 0) abort();
        *at = range->older;
        free(range->before);
        free(range);
    }
    pthread_mutex_unlock(&mutex);
    if (fails) errno = EIO;
    return fails ? -1 : 0;
}

int fsync(int fd) {
    step_of(fd);
    return sync_with(fd, REAL(fsync));
}

int fdatasync(int fd) {
    step_of(fd);
    return sync_with(fd, REAL(fdatasync));
}

/* Whether a write must fail now; errno says why. */
static int refused(int fd) {
    long error = number("MANA_FAULT_WRITE", 0);
    if (!error || !is_ours(fd, 1)) return 0;
    errno = (int)error;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    static __typeof__(&write) real;
    if (!real) real = REAL(write);
    step_of(fd);
    if (refused(fd)) return -1;
    remember(fd, lseek(fd, 0, SEEK_CUR), length);
    return real(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    step_of(fd);
    if (refused(fd)) return -1;
    remember(fd, at, length);
    return REAL(pwrite)(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    step_of(fd);
    if (refused(fd)) return -1;
    remember(fd, at, length);
    return REAL(pwrite64)(fd, bytes, length, at);
}

int ftruncate(int fd, off_t length) {
    step_of(fd);
    return refused(fd) ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    step_of(fd);
    return refused(fd) ? -1 : REAL(ftruncate64)(fd, length);
}

int posix_fallocate(int fd, off_t at, off_t length) {
    return refused(fd) ? errno : REAL(posix_fallocate)(fd, at, length);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += number("MANA_FAULT_CLOCK", 0);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec time;
    int failed = clock_gettime(CLOCK_REALTIME, &time);
    *now = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
