/* SPDX-License-Identifier: MIT */
/* Memory, threads and files of Windows, by the functions for wide names.  errno
 * is the host's here too, and set back; what GetLastError() says is not: hardly
 * a function of Windows leaves it as it was. */
#include "base.h"

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <errno.h>
#include <malloc.h>
#include <process.h>
#include <string.h>

/* ---- Memory ------------------------------------------------------------- */

void *imgrec__system_alloc(size_t size, size_t align) {
  int kept = errno;
  void *p = _aligned_malloc(size, align);
  errno = kept;
  return p;
}

void imgrec__system_free(void *p) { _aligned_free(p); }

void *imgrec__system_map(size_t size) {
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void imgrec__system_unmap(void *p, size_t size) {
  (void)size;
  VirtualFree(p, 0, MEM_RELEASE);
}

/* ---- Threads ------------------------------------------------------------ */

_Static_assert(sizeof(SRWLOCK) == sizeof(struct lock), "a lock's size");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(struct condition),
               "a condition's size");

void imgrec__lock_init(struct lock *l) {
  InitializeSRWLock((PSRWLOCK)(void *)l);
}

void imgrec__lock_destroy(struct lock *l) { (void)l; }

void imgrec__lock(struct lock *l) {
  AcquireSRWLockExclusive((PSRWLOCK)(void *)l);
}

void imgrec__unlock(struct lock *l) {
  ReleaseSRWLockExclusive((PSRWLOCK)(void *)l);
}

void imgrec__condition_init(struct condition *c) {
  InitializeConditionVariable((PCONDITION_VARIABLE)(void *)c);
}

void imgrec__condition_destroy(struct condition *c) { (void)c; }

void imgrec__condition_wait(struct condition *c, struct lock *l) {
  SleepConditionVariableSRW((PCONDITION_VARIABLE)(void *)c, (PSRWLOCK)(void *)l,
                            INFINITE, 0);
}

void imgrec__condition_signal(struct condition *c) {
  WakeConditionVariable((PCONDITION_VARIABLE)(void *)c);
}

void imgrec__condition_broadcast(struct condition *c) {
  WakeAllConditionVariable((PCONDITION_VARIABLE)(void *)c);
}

static unsigned __stdcall run_thread(void *arg) {
  struct thread *t = arg;
  t->run(t->arg);
  return 0;
}

int imgrec__thread_start(struct thread *t, void (*run)(void *arg), void *arg) {
  int kept = errno;
  t->run = run;
  t->arg = arg;
  t->handle = (HANDLE)_beginthreadex(NULL, 0, run_thread, t, 0, NULL);
  errno = kept;
  return t->handle != NULL;
}

void imgrec__thread_join(struct thread *t) {
  WaitForSingleObject(t->handle, INFINITE);
  CloseHandle(t->handle);
}

int imgrec__system_processors(void) {
  DWORD_PTR ours, all;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) || ours == 0)
    return 1;
  return __builtin_popcountll(ours);
}

/* ---- Time ---------------------------------------------------------------- */

uint64_t imgrec__system_clock(void) {
  LARGE_INTEGER ticks, second;
  QueryPerformanceFrequency(&second);
  QueryPerformanceCounter(&ticks);
  uint64_t t = (uint64_t)ticks.QuadPart, s = (uint64_t)second.QuadPart;
  return t / s * 1000000000 + t % s * 1000000000 / s;
}

/* ---- Failures ----------------------------------------------------------- */

/* Windows' own number for it is newer than mingw-w64's headers. */
#define IS_FOLDER 336

static const struct {
  int number, status;
  const char *words;
} reasons[] = {
    {ERROR_FILE_NOT_FOUND, IMGREC_ERR_NOT_FOUND, "no such file or folder"},
    {ERROR_PATH_NOT_FOUND, IMGREC_ERR_NOT_FOUND, "no such file or folder"},
    {ERROR_INVALID_NAME, IMGREC_ERR_NOT_FOUND, "no file can have this name"},
    {ERROR_BAD_PATHNAME, IMGREC_ERR_NOT_FOUND, "no file can have this name"},
    {ERROR_NO_UNICODE_TRANSLATION, IMGREC_ERR_NOT_FOUND,
     "the path is not UTF-8"},
    {ERROR_BAD_NETPATH, IMGREC_ERR_NOT_FOUND, "no such computer"},
    {ERROR_BAD_NET_NAME, IMGREC_ERR_NOT_FOUND, "no such share"},
    {IS_FOLDER, IMGREC_ERR_IO, "it is a folder"},
    {ERROR_DIRECTORY, IMGREC_ERR_NOT_FOUND,
     "a part of the path is not a folder"},
    {ERROR_ACCESS_DENIED, IMGREC_ERR_IO, "permission denied"},
    {ERROR_SHARING_VIOLATION, IMGREC_ERR_IO, "another program has it open"},
    {ERROR_LOCK_VIOLATION, IMGREC_ERR_IO, "another program has it locked"},
    {ERROR_WRITE_PROTECT, IMGREC_ERR_IO, "the disk is read-only"},
    {ERROR_DISK_FULL, IMGREC_ERR_IO, "no space left"},
    {ERROR_HANDLE_DISK_FULL, IMGREC_ERR_IO, "no space left"},
    {ERROR_NOT_READY, IMGREC_ERR_IO, "there is no disk in the drive"},
    {ERROR_CRC, IMGREC_ERR_IO, "the device reports an error"},
    {ERROR_IO_DEVICE, IMGREC_ERR_IO, "the device reports an error"},
    {ERROR_TOO_MANY_OPEN_FILES, IMGREC_ERR_IO,
     "this process has too many files open"},
    {ERROR_FILENAME_EXCED_RANGE, IMGREC_ERR_IO, "the name is too long"},
    {ERROR_CANT_RESOLVE_FILENAME, IMGREC_ERR_IO, "too many symbolic links"},
};

int imgrec__system_reason(int number, const char **words) {
  *words = NULL;
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (reasons[i].number == number) {
      *words = reasons[i].words;
      return reasons[i].status;
    }
  return IMGREC_ERR_IO;
}

static int last_number(void) { return (int)GetLastError(); }

/* ---- Paths -------------------------------------------------------------- */

#define WIDE_MAX 2048 /* units of a path; without \\?\ Windows takes 260 */

static int widen(wchar_t out[WIDE_MAX], const char *path) {
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out,
                          WIDE_MAX) > 0)
    return 0;
  int number = last_number();
  return number == ERROR_INSUFFICIENT_BUFFER ? ERROR_FILENAME_EXCED_RANGE
                                             : number;
}

/* FILE_FLAG_BACKUP_SEMANTICS is what opens folders. */
static int open_wide(intptr_t *out, const char *path, DWORD access, DWORD how) {
  wchar_t wide[WIDE_MAX];
  int number = widen(wide, path);
  if (number != 0)
    return number;
  HANDLE h = CreateFileW(wide, access,
                         FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                         NULL, how, FILE_FLAG_BACKUP_SEMANTICS, NULL);
  *out = (intptr_t)h;
  return h == INVALID_HANDLE_VALUE ? last_number() : 0;
}

int imgrec__path_info(const char *path, struct file_info *out) {
  intptr_t file;
  int number = open_wide(&file, path, FILE_READ_ATTRIBUTES, OPEN_EXISTING);
  if (number != 0)
    return number;
  number = imgrec__file_info(file, out);
  imgrec__file_close(file);
  return number;
}

/* As it is in the folder, links not followed. */
static int entry_kind(const WIN32_FIND_DATAW *d) {
  if (d->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT &&
      (d->dwReserved0 == IO_REPARSE_TAG_SYMLINK ||
       d->dwReserved0 == IO_REPARSE_TAG_MOUNT_POINT))
    return FILE_LINK;
  return d->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? FILE_FOLDER
                                                        : FILE_REGULAR;
}

/* 1 for "." and "..", and what each() says of others; a name that is no
 * UTF-16 gets a sign in its place, and reading it will fail. */
static int report_entry(const WIN32_FIND_DATAW *d,
                        int (*each)(void *user, const char *name, int kind),
                        void *user) {
  char name[3 * MAX_PATH + 1];
  if (WideCharToMultiByte(CP_UTF8, 0, d->cFileName, -1, name, sizeof name, NULL,
                          NULL) == 0 ||
      strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return 1;
  return each(user, name, entry_kind(d));
}

int imgrec__folder_list(const char *folder,
                        int (*each)(void *user, const char *name, int kind),
                        void *user) {
  wchar_t wide[WIDE_MAX];
  WIN32_FIND_DATAW d;
  int number = widen(wide, folder), more = 1;
  size_t n = number == 0 ? wcslen(wide) : 0;
  if (number != 0)
    return number;
  if (n + 3 > WIDE_MAX)
    return ERROR_FILENAME_EXCED_RANGE;
  memcpy(wide + n, L"\\*", 3 * sizeof *wide);
  HANDLE h = FindFirstFileW(wide, &d);
  if (h == INVALID_HANDLE_VALUE)
    return last_number();
  do
    more = report_entry(&d, each, user);
  while (more && FindNextFileW(h, &d));
  number = more ? last_number() : 0;
  FindClose(h);
  return number == ERROR_NO_MORE_FILES ? 0 : number;
}

void imgrec__path_remove(const char *path) {
  wchar_t wide[WIDE_MAX];
  if (widen(wide, path) == 0)
    DeleteFileW(wide);
}

static int is_folder(const wchar_t *wide) {
  DWORD attributes = GetFileAttributesW(wide);
  return attributes != INVALID_FILE_ATTRIBUTES &&
         (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* Scanners open new files for a moment, in which they cannot be moved. */
int imgrec__path_replace(const char *from, const char *to) {
  wchar_t wide_from[WIDE_MAX], wide_to[WIDE_MAX];
  int number = widen(wide_from, from);
  if (number == 0)
    number = widen(wide_to, to);
  for (DWORD wait = 0; number == 0; wait = 2 * wait + 1) {
    if (MoveFileExW(wide_from, wide_to,
                    MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
      return 0;
    int failure = last_number();
    if (is_folder(wide_to))
      return IS_FOLDER;
    if (wait > 300 ||
        (failure != ERROR_ACCESS_DENIED && failure != ERROR_SHARING_VIOLATION))
      return failure;
    Sleep(wait);
  }
  return number;
}

/* imgrec__path_replace has written it through. */
int imgrec__path_sync(const char *path) {
  (void)path;
  return 0;
}

/* There is no such request. */
void imgrec__path_ahead(const char *path) { (void)path; }

static int is_separator(char c) { return c == '/' || c == '\\'; }

/* "\name" and "C:name" too depend on what is current, but are not relative to
 * any other folder. */
int imgrec__path_absolute(const char *path) {
  return is_separator(path[0]) || (path[0] != '\0' && path[1] == ':');
}

size_t imgrec__folder_length(const char *path) {
  size_t n = strlen(path);
  while (n > 0 && !is_separator(path[n - 1]) && !(n == 2 && path[1] == ':'))
    n--;
  return n;
}

/* ---- Files -------------------------------------------------------------- */

int imgrec__file_open(intptr_t *out, const char *path) {
  return open_wide(out, path, GENERIC_READ, OPEN_EXISTING);
}

int imgrec__file_create(intptr_t *out, const char *path) {
  int number = open_wide(out, path, GENERIC_WRITE, CREATE_NEW);
  return number == ERROR_FILE_EXISTS ? IMGREC__EXISTS : number;
}

int imgrec__file_info(intptr_t file, struct file_info *out) {
  BY_HANDLE_FILE_INFORMATION info;
  *out = (struct file_info){.kind = FILE_OTHER};
  if (GetFileType((HANDLE)file) != FILE_TYPE_DISK)
    return 0;
  if (!GetFileInformationByHandle((HANDLE)file, &info))
    return last_number();
  out->size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
  out->kind = info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? FILE_FOLDER
                                                               : FILE_REGULAR;
  return 0;
}

int imgrec__file_get(intptr_t file, void *bytes, size_t n, size_t *done) {
  DWORD got = 0;
  int good = ReadFile((HANDLE)file, bytes, (DWORD)n, &got, NULL);
  *done = got;
  return good ? 0 : last_number();
}

int imgrec__file_put(intptr_t file, const void *bytes, size_t n, size_t *done) {
  DWORD put = 0;
  int good = WriteFile((HANDLE)file, bytes, (DWORD)n, &put, NULL);
  *done = put;
  return good ? 0 : last_number();
}

int imgrec__file_sync(intptr_t file) {
  return FlushFileBuffers((HANDLE)file) ? 0 : last_number();
}

int imgrec__file_close(intptr_t file) {
  return CloseHandle((HANDLE)file) ? 0 : last_number();
}

long imgrec__system_process(void) { return (long)GetCurrentProcessId(); }

#endif
