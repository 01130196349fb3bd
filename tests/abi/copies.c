/* SPDX-License-Identifier: MIT */
/* Two copies of the library in one process, of other versions: both are right,
 * each calls its own functions. */
#include "copies.h"

#include <stdio.h>
#include <string.h>

int main(void) {
  struct answers now[2], old[2];
  for (int i = 0; i < 2; i++)
    if (side_now(&now[i]) != 5 || side_old(&old[i]) != 5) {
      puts("a copy fails");
      return 1;
    }
  if (now[0].version == old[0].version) {
    printf("both are version %x\n", (unsigned)now[0].version);
    return 1;
  }
  old[0].version = old[1].version = now[0].version;
  if (memcmp(&now[0], &old[0], sizeof now[0]) != 0 ||
      memcmp(&now[1], &old[1], sizeof now[1]) != 0 ||
      memcmp(&now[0], &now[1], sizeof now[0]) != 0) {
    puts("the copies do not agree");
    return 1;
  }
  return 0;
}
