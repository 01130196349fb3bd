/* SPDX-License-Identifier: MIT */
/* The layout of the public structs is that of layout.h, and so are the values
 * of enumerators: compiling this is the test.  A struct may grow at its end,
 * which adds lines there and changes its SIZE; no other line ever changes. */
#include <imgrec/imgrec.h>
#include <limits.h>

#if UINTPTR_MAX > 0xffffffffu
#define OF(bits64, i386, bits32) (bits64)
#else
#define OF(bits64, i386, bits32) (_Alignof(uint64_t) == 4 ? (i386) : (bits32))
#endif

#define MEMBER(type, name, bits64, i386, bits32)                               \
  _Static_assert(offsetof(type, name) == OF(bits64, i386, bits32),             \
                 #type "." #name " has moved");
#define SIZE(type, bits64, i386, bits32)                                       \
  _Static_assert(sizeof(type) == OF(bits64, i386, bits32),                     \
                 "the size of " #type " is another");
#define VALUE(name, number)                                                    \
  _Static_assert(name == number, #name " has another value");

#include "layout.h"

/* Enumerators, and what structs are made of, are of these sizes. */
_Static_assert(CHAR_BIT == 8 && sizeof(int) == 4 && sizeof(float) == 4,
               "int and float have 32 bits");
_Static_assert(sizeof(size_t) == sizeof(void *), "size_t is as a pointer");
