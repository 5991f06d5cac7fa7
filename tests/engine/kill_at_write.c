/* Preloaded into a process: kills it at the n-th operation that changes a directory.

   Counted are the C library's functions that create, write, sync, rename or remove a file
   below the directory given to arm(). A write that is killed leaves half of its bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[PATH_MAX];
static atomic_long performed;
static long last = -1;

void arm(const char *below, long kill_at) {
  strncpy(directory, below, PATH_MAX - 1);
  last = kill_at;
  atomic_store(&performed, 0);
}

long count(void) { return atomic_load(&performed); }

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Whether this is the operation to die in. */
static int counts(const char *path) {
  if (!directory[0] || !path || strncmp(path, directory, strlen(directory))) return 0;
  return atomic_fetch_add(&performed, 1) + 1 == last;
}

static const char *path_of(int fd, char *buffer) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, buffer, PATH_MAX - 1);
  buffer[size < 0 ? 0 : size] = 0;
  return buffer;
}

static int fd_counts(int fd) {
  char buffer[PATH_MAX];
  return directory[0] && counts(path_of(fd, buffer));
}

static int at_counts(int fd, const char *name) {
  char buffer[PATH_MAX], path[2 * PATH_MAX];
  if (name[0] == '/' || fd == AT_FDCWD) return counts(name);
  snprintf(path, sizeof path, "%s/%s", path_of(fd, buffer), name);
  return counts(path);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int changes(int flags) { return (flags & (O_WRONLY | O_RDWR)) && (flags & (O_CREAT | O_TRUNC)); }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    REAL(name); \
    if (changes(flags) && counts(path)) die(); \
    return real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int fd, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    REAL(name); \
    if (changes(flags) && at_counts(fd, path)) die(); \
    return real(fd, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
  FILE *name(const char *path, const char *mode) { \
    REAL(name); \
    if (mode[0] != 'r' && counts(path)) die(); \
    return real(path, mode); \
  }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  if (fd_counts(fd)) { real(fd, data, size / 2); die(); }
  return real(fd, data, size);
}

size_t fwrite(const void *data, size_t size, size_t items, FILE *file) {
  REAL(fwrite);
  if (fd_counts(fileno(file))) { real(data, size, items / 2, file); fflush(file); die(); }
  return real(data, size, items, file);
}

#define ON_FILE(name) \
  int name(FILE *file) { REAL(name); if (file && fd_counts(fileno(file))) die(); return real(file); }
ON_FILE(fflush)

#define ON_FD(name) \
  int name(int fd) { REAL(name); if (fd_counts(fd)) die(); return real(fd); }
ON_FD(fsync)
ON_FD(fdatasync)

#define ON_PATH(name) \
  int name(const char *path) { REAL(name); if (counts(path)) die(); return real(path); }
ON_PATH(unlink)
ON_PATH(rmdir)

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  if (counts(path)) die();
  return real(path, mode);
}

int unlinkat(int fd, const char *name, int flags) {
  REAL(unlinkat);
  if (at_counts(fd, name)) die();
  return real(fd, name, flags);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  if (counts(to)) die();
  return real(from, to);
}
