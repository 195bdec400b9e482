/* Randomness from getrandom(2) only. The process ends when the kernel refuses. */
#ifndef PLAZA_BASE_RAND_H
#define PLAZA_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
/* Uniform in [0, below); below > 0. */
uint32_t rand_below(uint32_t below);

#endif
