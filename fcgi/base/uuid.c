/* UUIDs: making version 7, reading and writing the text form. */
#include "base/uuid.h"

#include "base/clock.h"
#include "base/rand.h"

#define TIME_BYTES 6

struct uuid
uuid_new(void)
{
	struct uuid u;
	uint64_t ms = (uint64_t)clock_unix_ms();

	for (int i = TIME_BYTES - 1; i >= 0; i--) {
		u.b[i] = (uint8_t)(ms & 0xFF);
		ms >>= 8;
	}
	rand_bytes(u.b + TIME_BYTES, sizeof(u.b) - TIME_BYTES);
	/* RFC 9562 section 5.7: version 7 and variant 10. */
	u.b[6] = (uint8_t)(0x70 | (u.b[6] & 0x0F));
	u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3F));
	return u;
}

static bool
is_hyphen_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

/* The value of a hexadecimal digit, or -1. */
static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
uuid_parse(struct str s, struct uuid *out)
{
	struct uuid u;
	size_t byte = 0;

	if (s.n != UUID_TEXT)
		return false;
	for (size_t i = 0; i < UUID_TEXT;) {
		if (is_hyphen_at(i)) {
			if (s.p[i++] != '-')
				return false;
			continue;
		}

		int high = nibble(s.p[i]);
		int low = nibble(s.p[i + 1]);

		if (high < 0 || low < 0)
			return false;
		u.b[byte++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	*out = u;
	return true;
}

void
uuid_text(const struct uuid *u, char out[UUID_TEXT + 1])
{
	static const char hex[] = "0123456789abcdef";
	size_t byte = 0;

	for (size_t i = 0; i < UUID_TEXT;) {
		if (is_hyphen_at(i)) {
			out[i++] = '-';
			continue;
		}
		out[i++] = hex[u->b[byte] >> 4];
		out[i++] = hex[u->b[byte++] & 0x0F];
	}
	out[UUID_TEXT] = '\0';
}

bool
uuid_eq(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
uuid_is_nil(const struct uuid *u)
{
	static const struct uuid nil;

	return uuid_eq(u, &nil);
}
