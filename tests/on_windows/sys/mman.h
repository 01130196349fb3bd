/* SPDX-License-Identifier: MIT */
/* In place of <sys/mman.h>: see posix.h. */
