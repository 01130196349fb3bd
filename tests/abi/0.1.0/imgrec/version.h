/* SPDX-License-Identifier: MIT */
/* The release number of libimgrec: the only place where it is written. */
#ifndef IMGREC_VERSION_H
#define IMGREC_VERSION_H

#define IMGREC_VERSION_MAJOR 0
#define IMGREC_VERSION_MINOR 1
#define IMGREC_VERSION_PATCH 0

#endif
