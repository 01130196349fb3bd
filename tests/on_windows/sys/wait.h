/* SPDX-License-Identifier: MIT */
/* In place of <sys/wait.h>: see posix.h. */
