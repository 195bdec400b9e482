/* UUIDs (RFC 9562). Plaza makes version 7 ids: 48 bits of Unix milliseconds, then random bits. */
#ifndef PLAZA_BASE_UUID_H
#define PLAZA_BASE_UUID_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT 36

struct uuid {
	uint8_t b[16];
};

/* A new version 7 UUID from the wall clock and getrandom(2). */
struct uuid uuid_new(void);
/* The hyphenated form, either case; anything else gives false and leaves *out alone. */
bool uuid_parse(struct str s, struct uuid *out);
/* Lower-case text with a NUL. */
void uuid_text(const struct uuid *u, char out[UUID_TEXT + 1]);
bool uuid_eq(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *u);

#endif
