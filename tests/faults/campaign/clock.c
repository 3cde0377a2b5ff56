/* Shifts the wall clock of a process by the seconds that stand in the file CLOCK_SHIFT names, whenever it is asked. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int (*ask)(clockid_t, struct timespec *);
static volatile const long long *shift;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ask = dlsym(RTLD_NEXT, "clock_gettime");
    if (file >= 0) {
        void *seen = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
        shift = seen == MAP_FAILED ? 0 : seen;
    }
}

int clock_gettime(clockid_t which, struct timespec *at) {
    if (!ask)
        begin();
    int failed = ask(which, at);
    if (!failed && which == CLOCK_REALTIME && shift)
        at->tv_sec += *shift;
    return failed;
}

time_t time(time_t *seconds) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (seconds)
        *seconds = at.tv_sec;
    return at.tv_sec;
}
