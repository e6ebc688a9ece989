/* Makes the disk slow for one program: fsync and fdatasync of a Valkey or Redis take the milliseconds in a file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char knob[4096];

/* At the start, since the server overwrites its environment. */
__attribute__((constructor)) static void remember(void)
{
    const char *path = getenv("SLOW_DISK_KNOB");
    const char *name = program_invocation_short_name;
    if (path && (strstr(name, "valkey") || strstr(name, "redis")))
        snprintf(knob, sizeof knob, "%s", path);
}

static void wait_for_disk(void)
{
    int ms = 0;
    FILE *file = knob[0] ? fopen(knob, "r") : NULL;
    if (file) {
        if (fscanf(file, "%d", &ms) != 1)
            ms = 0;
        fclose(file);
    }
    while (ms-- > 0)
        usleep(1000);
}

int fsync(int fd)
{
    wait_for_disk();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd)
{
    wait_for_disk();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
