/*
 * Hits counted by this process alone, for the time in which Redis is away. The
 * counters are few and keys share them, so a count may be too high, never too low.
 */
#ifndef PLAZA_HTTP_TALLY_H
#define PLAZA_HTTP_TALLY_H

#include "base/str.h"

#include <stdint.h>

/* Counters for each length of a window; a power of two. */
#define TALLY_SLOTS 16384

/* Adds one hit. Returns those in the window so far, *left_s = seconds until it ends. */
int64_t tally_hit(struct str key, int window_s, int64_t *left_s);

#endif
