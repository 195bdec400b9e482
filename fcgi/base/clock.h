/* Time. Durations use the monotonic clock; wall time only where a standard wants it. */
#ifndef PLAZA_BASE_CLOCK_H
#define PLAZA_BASE_CLOCK_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_us(void);
/* Unix time. */
int64_t clock_unix_s(void);
int64_t clock_unix_ms(void);
/* RFC 3339 UTC with milliseconds, 24 characters and a NUL: 2026-01-31T09:30:00.000Z */
#define RFC3339_TEXT 24
void clock_rfc3339(int64_t unix_ms, char out[RFC3339_TEXT + 1]);
/* A moment as RFC 3339 writes it, with capital T and Z: 2026-01-31T09:30:00Z, fractions and offsets
 * too; a day that exists, in the years 1000 to 9999. No leap seconds. */
bool clock_rfc3339_valid(struct str s);

#endif
