/* Any bytes as a multipart/form-data body, fed in pieces of changing size. */
#include "http/multipart.h"

#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
	const char *p;
	size_t n, step;
};

static long
feed_read(void *arg, char *p, size_t n)
{
	struct feed *f = arg;

	f->step = f->step * 7 % 251 + 1;
	if (n > f->step)
		n = f->step;
	if (n > f->n)
		n = f->n;
	memcpy(p, f->p, n);
	f->p += n;
	f->n -= n;
	return (long)n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *a;
	struct feed f = { .p = (const char *)data, .n = size, .step = size % 13 + 1 };
	struct multipart_source src = {
		.read = feed_read, .arg = &f, .max = 1 << 20, .file_max = 1 << 16, .tmp_dir = "/tmp"
	};
	struct multipart m;
	struct err err = { 0 };

	if (!a)
		a = arena_new(16 << 20);
	if (multipart_parse(a, STR("multipart/form-data; boundary=\"B\""), &src, &m, &err) ==
		P_OK) {
		CHECK(f.n == 0 && m.n <= LIMIT_PARTS);
		for (size_t i = 0; i < m.n; i++)
			CHECK(m.v[i].name.n > 0 && (m.v[i].is_file == (m.v[i].fd >= 0)));
	} else {
		CHECK(err.problem != P_OK);
	}
	arena_clear(a);
	return 0;
}
