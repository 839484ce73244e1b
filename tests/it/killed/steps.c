// Kills the program before a step that it makes on disk, chosen by number: for tests that leave no instant out.
//
// Loaded before the C library (LD_PRELOAD), it stands in for the calls that change files. A call counts as a step if
// its path begins with STEPS_UNDER. Before the step with the number STEPS_BEFORE, counted from 0, the name of the step
// goes to the file STEPS_TOLD and the program ends as by `kill -9`; or it gets the signal with the number STEPS_SIGNAL, and
// goes on. SQLite's writes are not counted, its syncs, files
// and removals are. With STEPS_READS=1 only the reads are counted.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long left;
static const char *under;
static int reads;
static int sent = SIGKILL;

__attribute__((constructor)) static void begin(void) {
  const char *before = getenv("STEPS_BEFORE");
  under = getenv("STEPS_UNDER");
  reads = getenv("STEPS_READS") != NULL;
  if (getenv("STEPS_SIGNAL")) sent = atoi(getenv("STEPS_SIGNAL"));
  atomic_store(&left, before ? atol(before) : 0);
}

static void stop(const char *verb, const char *path) {
  char line[4200];
  int length = snprintf(line, sizeof line, "%s %s", verb, path);
  const char *told = getenv("STEPS_TOLD");
  if (told) {
    int file = syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    syscall(SYS_write, file, line, length);
  }
  syscall(SYS_kill, getpid(), sent);
}

static void step(const char *verb, const char *path) {
  if (!under || strncmp(path, under, strlen(under)) != 0) return;
  // A file without a name is gone with the program.
  if (strstr(path, " (deleted)")) return;
  long now = atomic_fetch_sub(&left, 1);
  if (now == 0) stop(verb, path);
  while (now <= 0 && sent == SIGKILL) pause();
}

static int place(int file, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, size - 1);
  path[length > 0 ? length : 0] = 0;
  return length > 0;
}

static void step_of(const char *verb, int file) {
  char path[4096];
  if (under && place(file, path, sizeof path)) step(verb, path);
}

static void change(const char *verb, const char *path) {
  if (!reads) step(verb, path);
}

static void change_of(const char *verb, int file) {
  if (!reads) step_of(verb, file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void opening(const char *path, int flags) {
  if ((flags & O_CREAT) && access(path, F_OK) != 0) change("create", path);
}

#define OPEN(name)                                                  \
  int name(const char *path, int flags, ...) {                      \
    va_list rest;                                                   \
    va_start(rest, flags);                                          \
    mode_t mode = va_arg(rest, mode_t);                             \
    va_end(rest);                                                   \
    opening(path, flags);                                           \
    return ((int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
  if (access(path, F_OK) != 0) change("mkdir", path);
  return REAL(mkdir)(path, mode);
}

int rename(const char *from, const char *to) {
  change("rename", from);
  return REAL(rename)(from, to);
}

int unlink(const char *path) {
  if (access(path, F_OK) == 0) change("remove", path);
  return REAL(unlink)(path);
}

int rmdir(const char *path) {
  change("remove", path);
  return REAL(rmdir)(path);
}

int unlinkat(int folder, const char *name, int flags) {
  char path[4096 + 256] = "";
  if (folder != AT_FDCWD && place(folder, path, 4096)) {
    strcat(path, "/");
    strncat(path, name, 255);
    change("remove", path);
  } else {
    change("remove", name);
  }
  return REAL(unlinkat)(folder, name, flags);
}

int fsync(int file) {
  change_of("sync", file);
  return REAL(fsync)(file);
}

int fdatasync(int file) {
  change_of("sync", file);
  return REAL(fdatasync)(file);
}

int ftruncate(int file, off_t length) {
  change_of("cut", file);
  return REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off_t length) {
  change_of("cut", file);
  return REAL(ftruncate)(file, length);
}

ssize_t write(int file, const void *bytes, size_t length) {
  change_of("write", file);
  return REAL(write)(file, bytes, length);
}

ssize_t read(int file, void *bytes, size_t length) {
  if (reads) step_of("read", file);
  return REAL(read)(file, bytes, length);
}
