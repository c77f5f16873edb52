/*
 * A disk that fails while the file SHIM_DISK_FAILS exists: below SHIM_HOME files are refused with the number of the
 * error that it holds, when they are opened to be written, and when they are written. Preloaded (LD_PRELOAD).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is_below(const char *path) {
  const char *home = getenv("SHIM_HOME");
  return home && strncmp(path, home, strlen(home)) == 0;
}

/* Zero: the disk works. */
static int failure(void) {
  const char *path = getenv("SHIM_DISK_FAILS");
  char text[16] = "";
  if (!path) return 0;
  int saved = errno, file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (syscall(SYS_read, file, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, file);
  }
  errno = saved;
  return atoi(text);
}

static int is_refused(int file) {
  int number = failure();
  if (!number || number == EMFILE || number == ENFILE) return 0;
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!is_below(path)) return 0;
  errno = number;
  return 1;
}

#define OPEN(name)                                                                        \
  int name(const char *path, int flags, ...) {                                            \
    va_list arguments;                                                                    \
    va_start(arguments, flags);                                                           \
    mode_t mode = va_arg(arguments, mode_t);                                              \
    va_end(arguments);                                                                    \
    int number = flags & (O_WRONLY | O_RDWR | O_CREAT) && is_below(path) ? failure() : 0; \
    if (number) return errno = number, -1;                                                \
    return ((int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
  }

OPEN(open)
OPEN(open64)

ssize_t write(int file, const void *data, size_t size) {
  return is_refused(file) ? -1 : ((ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write"))(file, data, size);
}

#define PWRITE(name)                                                                     \
  ssize_t name(int file, const void *data, size_t size, off_t at) {                      \
    if (is_refused(file)) return -1;                                                     \
    return ((ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, #name))(file, data, size, at); \
  }

PWRITE(pwrite)
PWRITE(pwrite64)
