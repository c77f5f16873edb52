/*
 * Records what the processes below it ask of the disk: every change of a file or a folder below SHIM_RECORD_ROOT, and every fsync, in their order.
 * Preloaded (LD_PRELOAD); `recording.ts` reads the file SHIM_RECORD_TO. One change and its record are made under one lock, so the order of the
 * records is that of the changes, over all processes.
 *
 * A record: kind (1 byte), inode (8), offset or flags (8), lengths of two texts (4 each), the texts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(name) *)real(#name))
#define MAX_FD 65536

static char root[PATH_MAX];
static size_t root_length;
static char trace_path[PATH_MAX];
/* Opened again after a fork: two processes must not share one lock. */
static int trace = -1;
static pid_t trace_owner;
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
/* Files and folders below the root; the inode of each. */
static uint64_t tracked[MAX_FD];

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) _exit(97);
  return found;
}

int close(int fd);

/* The system itself, past what is defined below. */
typedef long (*system_call)(long, ...);
static system_call found_call(void) {
  static system_call found;
  if (!found) found = (system_call)real("syscall");
  return found;
}
#define raw found_call()

__attribute__((constructor)) static void begin(void) {
  const char *at = getenv("SHIM_RECORD_ROOT");
  const char *to = getenv("SHIM_RECORD_TO");
  if (!at || !to || strlen(at) >= PATH_MAX || strlen(to) >= PATH_MAX) return;
  strcpy(trace_path, to);
  strcpy(root, at);
  root_length = strlen(root);
}

/* By name only: `.` and `..` go, links are not followed (there are none below the root). */
static int below_root(int folder, const char *path, char *out) {
  char whole[2 * PATH_MAX];
  if (root_length == 0 || !path) return 0;
  if (path[0] == '/') snprintf(whole, sizeof whole, "%s", path);
  else {
    char base[PATH_MAX];
    if (folder == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return 0;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return 0;
      base[length] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", base, path);
  }
  size_t length = 0;
  char *rest = NULL;
  for (char *part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0) {
      while (length > 0 && out[--length] != '/') {
      }
      continue;
    }
    size_t more = strlen(part);
    if (length + more + 2 > PATH_MAX) return 0;
    out[length++] = '/';
    memcpy(out + length, part, more);
    length += more;
  }
  out[length] = 0;
  return strncmp(out, root, root_length) == 0 && (out[root_length] == '/' || out[root_length] == 0);
}

static void lock(void) {
  pthread_mutex_lock(&mutex);
  if (trace < 0 || trace_owner != getpid()) {
    int opened = (int)raw(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Out of the way of programs that count on the lowest free number. */
    trace = opened < 0 ? -1 : (int)raw(SYS_fcntl, opened, F_DUPFD_CLOEXEC, 900);
    if (opened >= 0) raw(SYS_close, opened);
    trace_owner = getpid();
  }
  if (trace >= 0) flock(trace, LOCK_EX);
}

static void unlock(void) {
  int saved = errno;
  if (trace >= 0) flock(trace, LOCK_UN);
  pthread_mutex_unlock(&mutex);
  errno = saved;
}

static void record(char kind, uint64_t inode, uint64_t number, const void *a, size_t a_length, const void *b, size_t b_length) {
  int saved = errno;
  unsigned char head[25];
  uint32_t lengths[2] = {(uint32_t)a_length, (uint32_t)b_length};
  head[0] = (unsigned char)kind;
  memcpy(head + 1, &inode, 8);
  memcpy(head + 9, &number, 8);
  memcpy(head + 17, lengths, 8);
  struct iovec parts[3] = {{head, sizeof head}, {(void *)a, a_length}, {(void *)b, b_length}};
  size_t want = sizeof head + a_length + b_length;
  if (trace >= 0 && raw(SYS_writev, trace, parts, 3) != (ssize_t)want) _exit(98);
  errno = saved;
}

static void named(char kind, uint64_t inode, uint64_t number, const char *from, const char *to) {
  record(kind, inode, number, from, strlen(from), to ? to : "", to ? strlen(to) : 0);
}

static uint64_t inode_of(int fd) { return fd >= 0 && fd < MAX_FD ? tracked[fd] : 0; }

/* ---- opening ---- */

static int opened(int fd, const char *path, int flags) {
  struct stat about;
  if (fd < 0 || fd >= MAX_FD) return fd;
  int saved = errno;
  if (fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) {
    tracked[fd] = about.st_ino;
    named(S_ISDIR(about.st_mode) ? 'D' : 'O', about.st_ino, (uint64_t)(flags & O_TRUNC), path, NULL);
  }
  errno = saved;
  return fd;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
  char whole[PATH_MAX];
  if (!below_root(folder, path, whole)) {
    int fd = (int)raw(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && fd < MAX_FD) tracked[fd] = 0;
    return fd;
  }
  lock();
  int fd = opened((int)raw(SYS_openat, folder, path, flags, mode), whole, flags);
  unlock();
  return fd;
}

#define MODE_OF(flags)                                                                                                \
  mode_t mode = 0;                                                                                                    \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                              \
    va_list rest;                                                                                                     \
    va_start(rest, flags);                                                                                            \
    mode = va_arg(rest, mode_t);                                                                                      \
    va_end(rest);                                                                                                     \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_at(folder, path, flags, mode);
}
/* Offsets have 64 bits here, so that each pair is one function. */
#define SAME(copy, name) extern __typeof__(name) copy __attribute__((alias(#name)));
SAME(open64, open)
SAME(openat64, openat)

int close(int fd) {
  if (fd == trace && trace >= 0 && trace_owner == getpid()) return 0;
  if (fd >= 0 && fd < MAX_FD) tracked[fd] = 0;
  return (int)raw(SYS_close, fd);
}

/* ---- content ---- */

static ssize_t wrote(int fd, const void *data, ssize_t done, off_t at) {
  if (done > 0) record('W', inode_of(fd), (uint64_t)at, data, (size_t)done, "", 0);
  return done;
}

ssize_t write(int fd, const void *data, size_t length) {
  if (fd == 1 && root_length > 0 && length > 1 && ((const char *)data)[0] == '+') {
    lock();
    record('M', 0, 0, data, length, "", 0);
    unlock();
  }
  if (!inode_of(fd)) return (ssize_t)raw(SYS_write, fd, data, length);
  lock();
  ssize_t done = (ssize_t)raw(SYS_write, fd, data, length);
  if (done > 0) wrote(fd, data, done, (off_t)raw(SYS_lseek, fd, 0, SEEK_CUR) - done);
  unlock();
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
  if (!inode_of(fd)) return (ssize_t)raw(SYS_pwrite64, fd, data, length, at);
  lock();
  ssize_t done = wrote(fd, data, (ssize_t)raw(SYS_pwrite64, fd, data, length, at), at);
  unlock();
  return done;
}
SAME(pwrite64, pwrite)

/* Copies within the kernel are refused, so that the caller copies by read and write. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
  if (!inode_of(out)) return (ssize_t)raw(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
  errno = EXDEV;
  return -1;
}
/* libuv asks the system directly for these. */
long syscall(long number, ...) {
  va_list rest;
  long a[6];
  va_start(rest, number);
  for (int n = 0; n < 6; n++) a[n] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_close) return close((int)a[0]);
  if (number == SYS_copy_file_range && inode_of((int)a[2])) {
    errno = EXDEV;
    return -1;
  }
  return raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
ssize_t sendfile(int out, int in, off_t *at, size_t length) {
  if (!inode_of(out)) return (ssize_t)raw(SYS_sendfile, out, in, at, length);
  errno = EIO;
  return -1;
}
SAME(sendfile64, sendfile)

int ftruncate(int fd, off_t length) {
  if (!inode_of(fd)) return (int)raw(SYS_ftruncate, fd, length);
  lock();
  int result = (int)raw(SYS_ftruncate, fd, length);
  if (result == 0) record('T', inode_of(fd), (uint64_t)length, "", 0, "", 0);
  unlock();
  return result;
}
SAME(ftruncate64, ftruncate)

/* What stdio writes goes past us (git's HEAD): a small file is told whole before its sync and its rename. */
static void told_whole_at(const char *path) {
  char data[4096];
  struct stat about;
  int saved = errno;
  int fd = (int)raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size <= (off_t)sizeof data) {
    ssize_t length = (ssize_t)raw(SYS_pread64, fd, data, sizeof data, 0L);
    if (length > 0) record('W', about.st_ino, 0, data, (size_t)length, "", 0);
  }
  if (fd >= 0) raw(SYS_close, fd);
  errno = saved;
}

static int synced(int fd, long number) {
  if (!inode_of(fd)) return (int)raw(number, fd);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  lock();
  told_whole_at(link);
  int result = (int)raw(number, fd);
  if (result == 0) record('S', inode_of(fd), 0, "", 0, "", 0);
  unlock();
  return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* ---- names ---- */

static uint64_t inode_at(const char *path) {
  struct stat about;
  return lstat(path, &about) == 0 ? about.st_ino : 0;
}

int rename(const char *from, const char *to) {
  char a[PATH_MAX], b[PATH_MAX];
  if (!below_root(AT_FDCWD, from, a) || !below_root(AT_FDCWD, to, b)) return (int)raw(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  lock();
  told_whole_at(a);
  int result = (int)raw(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0) named('R', inode_at(b), 0, a, b);
  unlock();
  return result;
}
int link(const char *from, const char *to) {
  char a[PATH_MAX], b[PATH_MAX];
  if (!below_root(AT_FDCWD, from, a) || !below_root(AT_FDCWD, to, b)) return (int)raw(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  lock();
  int result = (int)raw(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0) named('L', inode_at(b), 0, a, b);
  unlock();
  return result;
}
int unlinkat(int folder, const char *path, int flags) {
  char whole[PATH_MAX];
  if (!below_root(folder, path, whole)) return (int)raw(SYS_unlinkat, folder, path, flags);
  lock();
  int result = (int)raw(SYS_unlinkat, folder, path, flags);
  if (result == 0) named('U', 0, 0, whole, NULL);
  unlock();
  return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  if (unlink(path) == 0) return 0;
  return errno == EISDIR || errno == EPERM ? rmdir(path) : -1;
}

int mkdir(const char *path, mode_t mode) {
  char whole[PATH_MAX];
  if (!below_root(AT_FDCWD, path, whole)) return (int)raw(SYS_mkdirat, AT_FDCWD, path, mode);
  lock();
  int result = (int)raw(SYS_mkdirat, AT_FDCWD, path, mode);
  if (result == 0) named('F', inode_at(whole), 0, whole, NULL);
  unlock();
  return result;
}

char *mkdtemp(char *pattern) {
  char whole[PATH_MAX];
  if (!below_root(AT_FDCWD, pattern, whole)) return REAL(mkdtemp)(pattern);
  lock();
  char *made = REAL(mkdtemp)(pattern);
  if (made && below_root(AT_FDCWD, made, whole)) named('F', inode_at(whole), 0, whole, NULL);
  unlock();
  return made;
}
