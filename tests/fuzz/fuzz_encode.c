/*
 * Fuzz target of the text decoders and of json_put(). Every input goes through
 * all of them; what a decoder accepts must come back from its writer.
 */
#include "base/encode.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define BUF_BYTES ((size_t)8 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_base64url(struct arena *a, struct str in)
{
	struct buf b;
	struct str out;

	buf_init(&b, a, BUF_BYTES);
	if (base64url_get(a, in, &out)) {
		base64url_put(&b, out.p, out.n);
		/* Canonical: there is one text for each value. */
		CHECK(!b.failed && buf_str(&b).n == in.n);
		CHECK(in.n == 0 || memcmp(b.p, in.p, in.n) == 0);
	}
}

static void
try_hex(struct arena *a, struct str in)
{
	struct buf b;
	struct str out;

	buf_init(&b, a, BUF_BYTES);
	if (hex_get(a, in, &out)) {
		hex_put(&b, out.p, out.n);
		CHECK(!b.failed && buf_str(&b).n == in.n);
		CHECK(in.n == 0 || memcmp(b.p, in.p, in.n) == 0);
	}
}

static void
try_url(struct arena *a, struct str in, bool plus)
{
	struct buf b;
	struct str out;
	struct str again;

	if (!url_get(a, in, plus, &out))
		return;
	CHECK(utf8_valid(out));
	CHECK(memchr(out.p, '\0', out.n) == NULL);
	CHECK(out.n <= in.n && out.p[out.n] == '\0');
	buf_init(&b, a, BUF_BYTES);
	url_put(&b, out);
	CHECK(!b.failed);
	CHECK(url_get(a, buf_str(&b), plus, &again));
	CHECK(str_eq(out, again));
}

static void
try_utf8(struct str in)
{
	bool valid = utf8_valid(in);

	CHECK(utf8_length(in) <= in.n);
	CHECK(valid || !text_valid(in));
	/* Well-formed text stays so when it is cut between two of its characters. */
	for (size_t i = 0; valid && i <= in.n && i < 64; i++) {
		if (i == in.n || ((unsigned char)in.p[i] & 0xC0) != 0x80)
			CHECK(utf8_valid(str_sub(in, 0, i)) && utf8_valid(str_sub(in, i, in.n)));
	}
}

/* The output is one JSON string on one line, whatever the input is. */
static void
try_json(struct arena *a, struct str in)
{
	struct buf b;

	buf_init(&b, a, BUF_BYTES);
	json_put(&b, in);
	CHECK(!b.failed && b.n >= 2 && b.p[0] == '"' && b.p[b.n - 1] == '"');
	CHECK(utf8_valid(buf_str(&b)));
	for (size_t i = 1; i < b.n - 1; i++) {
		unsigned char c = (unsigned char)b.p[i];

		CHECK(c >= 0x20 && c != 0x7F && c != '"');
		if (c == '\\') {
			i++;
			CHECK(i < b.n - 1 && strchr("\"\\bfnrtu", b.p[i]) != NULL);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	/* A copy of the exact length: reading past the end becomes visible. */
	char *copy = malloc(size + 1);

	CHECK(copy != NULL);
	struct str in = { copy + 1, size };

	if (size > 0)
		memcpy(copy + 1, data, size);
	try_base64url(a, in);
	try_hex(a, in);
	try_url(a, in, false);
	try_url(a, in, true);
	try_utf8(in);
	try_json(a, in);
	free(copy);
	arena_free(a);
	return 0;
}
