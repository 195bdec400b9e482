/*
 * JSON in and out: whatever the reader accepts keeps its limits, is dumped and
 * read again to the same text, and can be written by the writer and read again.
 */
#include "io/json.h"

#include "base/check.h"
#include "base/encode.h"

#define ARENA_LIMIT (64u << 20)
#define TEXT_LIMIT (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies a value through the writer; false when it is deeper than the writer goes. */
static bool
copy(struct jsonw *w, const struct json *v, int depth)
{
	const struct json *value;
	const char *name;
	void *it = NULL;

	CHECK(depth <= JSON_DEPTH_MAX && json_size(v) <= JSON_ITEMS_MAX);
	switch (json_kind_of(v)) {
	case JSON_NIL:
		jsonw_null(w);
		return true;
	case JSON_BOOL:
		jsonw_bool(w, json_bool(v));
		return true;
	case JSON_INT:
		CHECK(json_int(v) <= JSON_INT_MAX && json_int(v) >= -JSON_INT_MAX);
		jsonw_int(w, json_int(v));
		return true;
	case JSON_NUM:
		jsonw_raw(w, json_dump(w->b->arena, v));
		return true;
	case JSON_STR:
		CHECK(text_valid(json_str(v)));
		jsonw_str(w, json_str(v));
		return true;
	case JSON_ARR:
		if (w->depth + 1 == JSONW_DEPTH)
			return false;
		jsonw_arr(w);
		for (size_t i = 0; i < json_size(v); i++)
			if (!copy(w, json_item(v, i), depth + 1))
				return false;
		jsonw_arr_end(w);
		return true;
	case JSON_OBJ:
		if (w->depth + 1 == JSONW_DEPTH)
			return false;
		jsonw_obj(w);
		while (json_next(v, &it, &name, &value)) {
			CHECK(json_member(v, name) == value);
			jsonw_key(w, name);
			if (!copy(w, value, depth + 1))
				return false;
		}
		jsonw_obj_end(w);
		return true;
	}
	return false;
}

static struct str
read_and_dump(struct arena *a, struct str text)
{
	const struct json *v = NULL;
	struct err err = { 0 };

	CHECK(json_parse(a, text, &v, &err) == P_OK);
	return json_dump(a, v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct arena *a = arena_new(ARENA_LIMIT);
	const struct json *v = NULL;
	struct err err = { 0 };
	struct jsonw w;
	struct buf b;

	if (json_parse(a, text, &v, &err) != P_OK) {
		CHECK(v == NULL && err.problem == P_BAD_JSON && utf8_valid(str_of(err.detail)));
		arena_free(a);
		return 0;
	}
	struct str dump = json_dump(a, v);
	CHECK(str_eq(read_and_dump(a, dump), dump));

	buf_init(&b, a, TEXT_LIMIT);
	jsonw_init(&w, &b);
	if (copy(&w, v, 1))
		CHECK(!b.failed && str_eq(read_and_dump(a, buf_str(&b)), dump));
	arena_free(a);
	return 0;
}
