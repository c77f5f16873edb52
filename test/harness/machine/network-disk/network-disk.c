/*
 * What some network file systems do not have, for the processes below it: locks (SHIM_LACKS=locks), or Unix sockets (SHIM_LACKS=sockets).
 * Preloaded (LD_PRELOAD); network-disk.ts compiles it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int lacks(const char *what) {
  const char *lacking = getenv("SHIM_LACKS");
  return lacking && strcmp(lacking, what) == 0;
}

static int control(const char *name, int file, int command, void *argument) {
  if ((command == F_SETLK || command == F_SETLKW) && lacks("locks")) {
    errno = ENOLCK;
    return -1;
  }
  int (*next)(int, int, void *) = (int (*)(int, int, void *))dlsym(RTLD_NEXT, name);
  return next(file, command, argument);
}

#define CONTROL(name)                                   \
  int name(int file, int command, ...) {                \
    va_list arguments;                                  \
    va_start(arguments, command);                       \
    void *argument = va_arg(arguments, void *);         \
    va_end(arguments);                                  \
    return control(#name, file, command, argument);     \
  }

CONTROL(fcntl)
CONTROL(fcntl64)

int bind(int socket, const struct sockaddr *address, socklen_t length) {
  if (address->sa_family == AF_UNIX && lacks("sockets")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  int (*next)(int, const struct sockaddr *, socklen_t) =
      (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
  return next(socket, address, length);
}
