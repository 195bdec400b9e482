/* What handlers of PATCH and PUT have in common. */
#include "api/patch.h"

#include "base/check.h"

enum problem
patch_nulls(struct request *req, const struct schema *s, size_t clearable,
	struct str names[PATCH_NULLS_MAX], size_t *n)
{
	const char *body = req->body;
	uint64_t present = *(const uint64_t *)req->body;
	size_t count = 0;

	CHECK(s->has_present && clearable <= PATCH_NULLS_MAX);
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];
		const void *value;

		/* A view and an optional value both begin with the pointer that says if they are
		 * there. */
		memcpy(&value, body + f->offset, sizeof(value));
		if (!(present >> i & 1) || value)
			continue;
		if (i >= clearable) {
			err_field(&req->err, arena_printf(req->arena, "/%s", f->name), "wrong_type",
				"must not be null");
			return req->err.problem = P_INVALID;
		}
		names[count++] = str_of(f->name);
	}
	*n = count;
	return P_OK;
}

enum problem
patch_version(struct request *req, int32_t *version)
{
	int64_t v = 0;

	if (req->method == HTTP_PATCH) {
		enum problem p = req_if_match(req, &v);
		if (p)
			return p;
	}
	if (v > INT32_MAX)
		return ERR(&req->err, P_PRECONDITION, "no such version");
	*version = (int32_t)v;
	return P_OK;
}
