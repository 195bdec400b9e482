/* Randomness from the kernel. */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/check.h"

void
rand_bytes(void *p, size_t n)
{
	unsigned char *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		CHECK(got > 0 || (got < 0 && errno == EINTR));
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
	}
}

uint32_t
rand_below(uint32_t below)
{
	uint32_t v;

	CHECK(below > 0);

	/* 2^32 mod below: so many values at the bottom would make the remainder uneven. */
	uint32_t uneven = (0 - below) % below;

	do {
		rand_bytes(&v, sizeof(v));
	} while (v < uneven);
	return v % below;
}
