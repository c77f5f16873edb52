/*
 * What some network file systems do not have: locks (SHIM_LACKS=locks), or Unix sockets (SHIM_LACKS=sockets).
 * Preloaded (LD_PRELOAD); programs.ts compiles it.
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

static int refuse(int number) {
  errno = number;
  return -1;
}

#define CONTROL(name)                                                                        \
  int name(int file, int command, ...) {                                                     \
    va_list arguments;                                                                       \
    va_start(arguments, command);                                                            \
    void *argument = va_arg(arguments, void *);                                              \
    va_end(arguments);                                                                       \
    if ((command == F_SETLK || command == F_SETLKW) && lacks("locks")) return refuse(ENOLCK); \
    return ((int (*)(int, int, void *))dlsym(RTLD_NEXT, #name))(file, command, argument);    \
  }

CONTROL(fcntl)
CONTROL(fcntl64)

int bind(int socket, const struct sockaddr *address, socklen_t length) {
  if (address->sa_family == AF_UNIX && lacks("sockets")) return refuse(EOPNOTSUPP);
  return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind"))(socket, address, length);
}
