/* SPDX-License-Identifier: MIT */
/* In place of <sys/resource.h>: see posix.h. */
