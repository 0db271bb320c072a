/* Refuses what some file systems refuse; loaded before the C library (LD_PRELOAD).

   $REFUSE names one request: fsync_folder, flock, fallocate, rename_over, link. $REFUSAL is the
   errno that is answered. Everything else goes to the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char *request)
{
    const char *chosen = getenv("REFUSE");
    return chosen != NULL && strcmp(chosen, request) == 0;
}

static int answer(void)
{
    errno = atoi(getenv("REFUSAL"));
    return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file)
{
    struct stat status;
    if (refused("fsync_folder") && fstat(file, &status) == 0 && S_ISDIR(status.st_mode))
        return answer();
    return NEXT(fsync)(file);
}

int flock(int file, int how)
{
    return refused("flock") ? answer() : NEXT(flock)(file, how);
}

int posix_fallocate(int file, off_t start, off_t size)
{
    return refused("fallocate") ? atoi(getenv("REFUSAL")) : NEXT(posix_fallocate)(file, start, size);
}

int posix_fallocate64(int file, off64_t start, off64_t size)
{
    return refused("fallocate") ? atoi(getenv("REFUSAL")) : NEXT(posix_fallocate64)(file, start, size);
}

static int is_over(int folder, const char *to)
{
    struct stat status;
    return refused("rename_over") && fstatat(folder, to, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

int rename(const char *from, const char *to)
{
    return is_over(AT_FDCWD, to) ? answer() : NEXT(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return is_over(to_folder, to) ? answer() : NEXT(renameat)(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to)
{
    return refused("link") ? answer() : NEXT(link)(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return refused("link") ? answer() : NEXT(linkat)(from_folder, from, to_folder, to, flags);
}
