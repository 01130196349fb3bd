/* SPDX-License-Identifier: MIT */
/* Unix for the command. */
#include "os.h"

#if !defined(_WIN32)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A closed descriptor 0, 1 or 2 would be given to the next file opened, and
 * our output written into it.  Stand-ins that cannot be written to make the
 * output fail instead. */
static void hold_standard_descriptors(void) {
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) != fd)
      _exit(1);
}

char **os_begin(int *argc, char **argv) {
  (void)argc;
  hold_standard_descriptors();
  signal(SIGPIPE, SIG_IGN); /* a reader that left is a failed write */
  return argv;
}

/* ---- Files -------------------------------------------------------------- */

FILE *os_open(const char *path, const char *mode) { return fopen(path, mode); }

int os_sync(FILE *f) { return fflush(f) == 0 ? fsync(fileno(f)) : -1; }

int os_lock(FILE *f) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(fileno(f), F_SETLK, &lock) == 0 ||
         (errno != EAGAIN && errno != EACCES); /* some file systems have none */
}

int os_replace(const char *from, const char *to) { return rename(from, to); }

int os_remove(const char *path) { return unlink(path); }

int os_make_folder(const char *path) {
  return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : -1;
}

int os_kind(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0)
    return OS_NONE;
  return S_ISREG(st.st_mode)   ? OS_FILE
         : S_ISDIR(st.st_mode) ? OS_FOLDER
                               : OS_OTHER;
}

int64_t os_size(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

int os_writable(const char *folder) { return access(folder, W_OK | X_OK) == 0; }

void os_list(const char *folder, void (*each)(void *user, const char *name),
             void *user) {
  DIR *d = opendir(folder);
  const struct dirent *entry;
  while (d != NULL && (entry = readdir(d)) != NULL)
    each(user, entry->d_name);
  if (d != NULL)
    closedir(d);
}

size_t os_folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* What is not there yet is put behind the folder that we are in. */
char *os_full_path(const char *path) {
  char *whole = realpath(path, NULL), *here = NULL;
  if (whole != NULL || path[0] == '/')
    return whole != NULL ? whole : strdup(path);
  here = getcwd(NULL, 0);
  if (here != NULL) {
    size_t size = strlen(here) + strlen(path) + 2;
    whole = malloc(size);
    if (whole != NULL)
      snprintf(whole, size, "%s/%s", here, path);
  }
  free(here);
  return whole;
}

char *os_print(void (*put)(FILE *f, void *user), void *user) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  if (f == NULL)
    return NULL;
  put(f, user);
  int failed = ferror(f);
  if (fclose(f) != 0 || failed) {
    free(text);
    return NULL;
  }
  return text;
}

/* ---- Terminal ----------------------------------------------------------- */

int os_is_terminal(FILE *f) { return isatty(fileno(f)); }

int os_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

/* The one thing that a signal handler can reach. */
static volatile sig_atomic_t caught_signal;

static void catch_signal(int number) { caught_signal = number; }

int stop_signal(void) { return caught_signal; }

void catch_stop_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = catch_signal;
  /* the second one kills; system calls go on */
  action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

void release_stop_signals(void) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

/* ---- The machine -------------------------------------------------------- */

int os_processors(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > INT32_MAX ? INT32_MAX : (int)n;
}

uint64_t os_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

uint64_t os_last_cache(void) {
#if defined(_SC_LEVEL3_CACHE_SIZE)
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return cache > 0 ? (uint64_t)cache : 0;
#else
  return 0;
#endif
}

/* Linux counts in getrusage what the program had that started this one. */
static uint64_t high_water_mark(void) {
  char line[256];
  unsigned long long kibibytes = 0;
  FILE *f = fopen("/proc/self/status", "r");
  if (f == NULL)
    return 0;
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "VmHWM: %llu kB", &kibibytes) == 1)
      break;
  fclose(f);
  return (uint64_t)kibibytes * 1024;
}

uint64_t os_peak_memory(void) {
  struct rusage usage;
  uint64_t bytes = high_water_mark();
  if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
    bytes = (uint64_t)usage.ru_maxrss * 1024;
  return bytes;
}

void *os_map(size_t size) {
  void *p = aligned_alloc((size_t)2 << 20, size);
#if defined(MADV_HUGEPAGE)
  if (p != NULL)
    madvise(p, size, MADV_HUGEPAGE); /* or not: slower by little */
#endif
  return p;
}

void os_unmap(void *p, size_t size) {
  (void)size;
  free(p);
}

#endif
