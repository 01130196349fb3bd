/* SPDX-License-Identifier: MIT */
/* A program that does nothing, for bench/cold_start.c. */
int main(void) { return 0; }
