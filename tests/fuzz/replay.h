/* SPDX-License-Identifier: MIT */
/* A main() for a fuzz target that replays the files and folders named. */
#ifndef REPLAY_H
#define REPLAY_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* In a block of just its size, so that reading past it is seen. */
static int replay_file(const char *path, size_t size) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = malloc(size != 0 ? size : 1);
  int ok = file != NULL && bytes != NULL && fread(bytes, 1, size, file) == size;
  if (file != NULL)
    fclose(file);
  if (ok)
    LLVMFuzzerTestOneInput(bytes, size);
  free(bytes);
  return ok;
}

static long replay_folder(const char *path);

/* How many files were replayed, or -1. */
static long replay(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0)
    return -1;
  if (S_ISDIR(st.st_mode))
    return replay_folder(path);
  return replay_file(path, (size_t)st.st_size) ? 1 : -1;
}

static long replay_folder(const char *path) {
  DIR *folder = opendir(path);
  const struct dirent *entry;
  long count = 0;
  if (folder == NULL)
    return -1;
  while (count >= 0 && (entry = readdir(folder)) != NULL) {
    char name[4096];
    if (entry->d_name[0] == '.')
      continue;
    int n = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    long more = n > 0 && (size_t)n < sizeof name ? replay(name) : -1;
    count = more < 0 ? -1 : count + more;
  }
  closedir(folder);
  return count;
}

int main(int argc, char **argv) {
  long count = 0;
  for (int i = 1; i < argc; i++) {
    long more = replay(argv[i]);
    if (more < 0) {
      fprintf(stderr, "cannot read all of %s\n", argv[i]);
      return 1;
    }
    count += more;
  }
  printf("%ld files\n", count);
  return count == 0;
}

#endif
