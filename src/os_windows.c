/* SPDX-License-Identifier: MIT */
/* Windows for the command, by the functions for wide names. */
#include "os.h"

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <psapi.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PATH_UNITS 2048

/* ---- Text --------------------------------------------------------------- */

/* NULL and errno where a path is too long or no UTF-8. */
static wchar_t *widen(wchar_t out[PATH_UNITS], const char *path) {
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out,
                          PATH_UNITS) > 0)
    return out;
  errno = GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ENAMETOOLONG : EILSEQ;
  return NULL;
}

/* For free(). */
static char *narrow(const wchar_t *wide) {
  int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
  char *text = size > 0 ? malloc((size_t)size) : NULL;
  if (text != NULL)
    WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
  return text;
}

/* Of the console, whose other programs it is for again in the end. */
static UINT code_page;

static void restore_code_page(void) { SetConsoleOutputCP(code_page); }

static void use_utf8(void) {
  code_page = GetConsoleOutputCP();
  if (code_page != 0 && atexit(restore_code_page) == 0)
    SetConsoleOutputCP(CP_UTF8);
}

/* Lets a stream move the cursor and change colours. */
static void use_escapes(DWORD stream) {
  HANDLE h = GetStdHandle(stream);
  DWORD mode;
  if (GetConsoleMode(h, &mode))
    SetConsoleMode(h, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

/* Of the C library's start, with * and ? in names replaced by what there is,
 * as no shell does it here. */
extern int __wgetmainargs(int *argc, wchar_t ***argv, wchar_t ***environment,
                          int replace, int *new_mode);

char **os_begin(int *argc, char **argv) {
  wchar_t **wide, **environment;
  int count, new_mode = 0;
  _setmode(_fileno(stdout), _O_BINARY);
  _setmode(_fileno(stderr), _O_BINARY);
  use_utf8();
  use_escapes(STD_OUTPUT_HANDLE);
  use_escapes(STD_ERROR_HANDLE);
  if (__wgetmainargs(&count, &wide, &environment, 1, &new_mode) != 0)
    return argv;
  char **out = calloc((size_t)count + 1, sizeof *out);
  for (int i = 0; out != NULL && i < count; i++)
    if ((out[i] = narrow(wide[i])) == NULL)
      return argv;
  if (out == NULL)
    return argv;
  *argc = count;
  return out;
}

/* ---- Files -------------------------------------------------------------- */

FILE *os_open(const char *path, const char *mode) {
  wchar_t wide[PATH_UNITS], wide_mode[8] = L"";
  size_t n = 0;
  for (; mode[n] != '\0' && n < 6; n++)
    wide_mode[n] = (wchar_t)mode[n];
  if (strchr(mode, 'b') == NULL)
    wide_mode[n] = L'b';
  return widen(wide, path) != NULL ? _wfopen(wide, wide_mode) : NULL;
}

int os_sync(FILE *f) { return fflush(f) == 0 ? _commit(_fileno(f)) : -1; }

/* A byte that is never there, as locked ones cannot be read by others. */
int os_lock(FILE *f) {
  OVERLAPPED at;
  memset(&at, 0, sizeof at);
  at.OffsetHigh = 0x40000000;
  return LockFileEx((HANDLE)_get_osfhandle(_fileno(f)),
                    LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1,
                    0, &at) ||
         (GetLastError() != ERROR_LOCK_VIOLATION &&
          GetLastError() != ERROR_IO_PENDING);
}

int os_replace(const char *from, const char *to) {
  wchar_t wide_from[PATH_UNITS], wide_to[PATH_UNITS];
  if (widen(wide_from, from) == NULL || widen(wide_to, to) == NULL)
    return -1;
  if (MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING))
    return 0;
  errno = EACCES;
  return -1;
}

int os_remove(const char *path) {
  wchar_t wide[PATH_UNITS];
  return widen(wide, path) != NULL ? _wunlink(wide) : -1;
}

int os_make_folder(const char *path) {
  wchar_t wide[PATH_UNITS];
  if (widen(wide, path) == NULL)
    return -1;
  return _wmkdir(wide) == 0 || errno == EEXIST ? 0 : -1;
}

/* OS_*, and the size of a file.  Any path that is opened will do, and so one
 * that ends in a slash. */
static int look_at(const char *path, int64_t *size) {
  wchar_t wide[PATH_UNITS];
  BY_HANDLE_FILE_INFORMATION info;
  int kind = OS_OTHER;
  HANDLE h = INVALID_HANDLE_VALUE;
  *size = 0;
  if (widen(wide, path) != NULL)
    h = CreateFileW(wide, FILE_READ_ATTRIBUTES,
                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  if (h == INVALID_HANDLE_VALUE)
    return OS_NONE;
  if (GetFileType(h) == FILE_TYPE_DISK &&
      GetFileInformationByHandle(h, &info)) {
    *size = (int64_t)((uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow);
    kind =
        info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? OS_FOLDER : OS_FILE;
  }
  CloseHandle(h);
  return kind;
}

int os_kind(const char *path) {
  int64_t size;
  return look_at(path, &size);
}

int64_t os_size(const char *path) {
  int64_t size;
  look_at(path, &size);
  return size;
}

/* What may be written where is known to those who try. */
int os_writable(const char *folder) { return os_kind(folder) == OS_FOLDER; }

void os_list(const char *folder, void (*each)(void *user, const char *name),
             void *user) {
  wchar_t wide[PATH_UNITS];
  WIN32_FIND_DATAW d;
  if (widen(wide, folder) == NULL || wcslen(wide) + 3 > PATH_UNITS)
    return;
  wcscat(wide, L"\\*");
  HANDLE h = FindFirstFileW(wide, &d);
  if (h == INVALID_HANDLE_VALUE)
    return;
  do {
    char *name = narrow(d.cFileName);
    if (name != NULL)
      each(user, name);
    free(name);
  } while (FindNextFileW(h, &d));
  FindClose(h);
}

size_t os_folder_length(const char *path) {
  size_t n = strlen(path);
  while (n > 0 && strchr("/\\", path[n - 1]) == NULL &&
         !(n == 2 && path[1] == ':'))
    n--;
  return n;
}

char *os_full_path(const char *path) {
  wchar_t wide[PATH_UNITS], whole[PATH_UNITS];
  if (widen(wide, path) == NULL ||
      GetFullPathNameW(wide, PATH_UNITS, whole, NULL) - 1 >= PATH_UNITS - 1)
    return NULL;
  return narrow(whole);
}

/* A file that is gone when it is closed, and not written before it must be. */
static FILE *open_scratch(void) {
  wchar_t folder[MAX_PATH + 1], name[MAX_PATH + 1];
  if (GetTempPathW(MAX_PATH + 1, folder) == 0 ||
      GetTempFileNameW(folder, L"img", 0, name) == 0)
    return NULL;
  return _wfopen(name, L"w+bTD");
}

char *os_print(void (*put)(FILE *f, void *user), void *user) {
  FILE *f = open_scratch();
  char *text = NULL;
  if (f == NULL)
    return NULL;
  put(f, user);
  long n = ferror(f) == 0 ? ftell(f) : -1;
  rewind(f);
  if (n >= 0 && (text = malloc((size_t)n + 1)) != NULL) {
    text[n] = '\0';
    if (fread(text, 1, (size_t)n, f) != (size_t)n) {
      free(text);
      text = NULL;
    }
  }
  fclose(f);
  return text;
}

/* ---- Terminal ----------------------------------------------------------- */

int os_is_terminal(FILE *f) { return _isatty(_fileno(f)); }

int os_columns(void) {
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_ERROR_HANDLE), &info))
    return 80;
  return info.srWindow.Right - info.srWindow.Left + 1;
}

static volatile sig_atomic_t caught_signal;

/* The C library has let go of the signal by now: the second one kills. */
static void catch_signal(int number) { caught_signal = number; }

int stop_signal(void) { return caught_signal; }

void catch_stop_signals(void) {
  signal(SIGINT, catch_signal);
  signal(SIGBREAK, catch_signal);
}

void release_stop_signals(void) {
  signal(SIGINT, SIG_DFL);
  signal(SIGBREAK, SIG_DFL);
}

/* ---- The machine -------------------------------------------------------- */

int os_processors(void) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwNumberOfProcessors < 1 ? 1 : (int)info.dwNumberOfProcessors;
}

uint64_t os_memory(void) {
  MEMORYSTATUSEX m = {.dwLength = sizeof m};
  return GlobalMemoryStatusEx(&m) ? m.ullTotalPhys : 0;
}

uint64_t os_last_cache(void) {
  SYSTEM_LOGICAL_PROCESSOR_INFORMATION all[512];
  DWORD size = sizeof all;
  uint64_t most = 0;
  if (!GetLogicalProcessorInformation(all, &size))
    return 0;
  for (size_t i = 0; i < size / sizeof all[0]; i++)
    if (all[i].Relationship == RelationCache && all[i].Cache.Size > most)
      most = all[i].Cache.Size;
  return most;
}

uint64_t os_peak_memory(void) {
  PROCESS_MEMORY_COUNTERS c;
  return GetProcessMemoryInfo(GetCurrentProcess(), &c, sizeof c)
             ? c.PeakWorkingSetSize
             : 0;
}

void *os_map(size_t size) {
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void os_unmap(void *p, size_t size) {
  (void)size;
  VirtualFree(p, 0, MEM_RELEASE);
}

#endif
