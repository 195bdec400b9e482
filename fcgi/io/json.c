/* The JSON reader: jansson behind limits of our own. */
#include "io/json.h"

#include <jansson.h>

#include "base/check.h"
#include "base/encode.h"

#define POINTER_MAX 160

/* Where a value stands, from the leaf up; lives on the stack of check_value(). */
struct place {
	const struct place *up;
	const char *key; /* NULL in an array */
	size_t i;
};

/* `struct json` is never defined: it is json_t under a name that other files may know. */
static const json_t *
native(const struct json *v)
{
	return (const json_t *)v;
}

static const struct json *
opaque(const json_t *v)
{
	return (const struct json *)v;
}

static void
release(void *root)
{
	json_decref(root);
}

/* Index of the quote that ends the string begun at `i`, or the end of the text. */
static size_t
skip_string(struct str t, size_t i)
{
	for (i++; i < t.n && t.p[i] != '"'; i++)
		if (t.p[i] == '\\')
			i++;
	return i < t.n ? i : t.n;
}

static enum problem
too_much(struct err *err, size_t at, const char *what, int limit)
{
	return ERR_SAY(err, P_BAD_JSON, "at byte %zu: more than %d %s", at, limit, what);
}

/*
 * Counts before anything is allocated, so that a hostile text costs one pass.
 * It does not judge the grammar: what is wrong here is refused by the parser.
 */
static enum problem
check_limits(struct str t, struct err *err)
{
	size_t commas[JSON_DEPTH_MAX + 1] = { 0 };
	size_t depth = 0, tokens = 0;
	bool scalar = false;

	for (size_t i = 0; i < t.n; i++) {
		bool in_scalar = scalar;

		scalar = false;
		switch (t.p[i]) {
		case ' ':
		case '\t':
		case '\n':
		case '\r':
		case ':':
			continue;
		case ',':
			if (++commas[depth] >= JSON_ITEMS_MAX)
				return too_much(err, i, "members or items", JSON_ITEMS_MAX);
			continue;
		case '}':
		case ']':
			depth -= depth > 0;
			continue;
		case '{':
		case '[':
			if (depth == JSON_DEPTH_MAX)
				return too_much(err, i, "levels", JSON_DEPTH_MAX);
			commas[++depth] = 0;
			break;
		case '"':
			i = skip_string(t, i);
			break;
		default:
			scalar = true;
			if (in_scalar)
				continue;
		}
		if (++tokens > JSON_TOKENS_MAX)
			return too_much(err, i, "tokens", JSON_TOKENS_MAX);
	}
	return P_OK;
}

/* The parser's own text quotes the input, which may be anything; the client gets a fixed one. */
static const char *
fault_text(enum json_error_code code)
{
	switch (code) {
	case json_error_premature_end_of_input:
		return "the text ends too early";
	case json_error_end_of_input_expected:
		return "something follows the value";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_null_byte_in_key:
	case json_error_null_character:
		return "NUL in a string";
	case json_error_duplicate_key:
		return "repeated key";
	case json_error_numeric_overflow:
		return "number out of range";
	default:
		return "not JSON";
	}
}

static enum problem
parse_fault(const json_error_t *je, struct err *err)
{
	/* The parser says nothing when it ran out of memory. */
	if (!je->text[0] || json_error_code(je) == json_error_out_of_memory)
		return ERR(err, P_INTERNAL, "json: out of memory");
	return ERR_SAY(
		err, P_BAD_JSON, "at byte %d: %s", je->position, fault_text(json_error_code(je)));
}

/* RFC 6901: '~' and '/' in a key are written ~0 and ~1. */
static void
put_pointer(struct buf *b, const struct place *at)
{
	if (!at)
		return;
	put_pointer(b, at->up);
	buf_putc(b, '/');
	if (!at->key) {
		buf_puti(b, (int64_t)at->i);
		return;
	}
	for (const char *k = at->key; *k; k++) {
		if (*k == '~' || *k == '/')
			buf_puts(b, *k == '~' ? "~0" : "~1");
		else
			buf_putc(b, *k);
	}
}

static enum problem
value_fault(struct arena *a, const struct place *at, const char *what, struct err *err)
{
	struct buf b;

	buf_init(&b, a, POINTER_MAX);
	put_pointer(&b, at);
	if (b.failed || b.n == 0)
		return ERR_SAY(err, P_BAD_JSON, "%s", what);
	return ERR_SAY(err, P_BAD_JSON, "%s: %s", b.p, what);
}

enum json_kind
json_kind_of(const struct json *v)
{
	static const enum json_kind kinds[] = {
		[JSON_OBJECT] = JSON_OBJ,
		[JSON_ARRAY] = JSON_ARR,
		[JSON_STRING] = JSON_STR,
		[JSON_INTEGER] = JSON_INT,
		[JSON_REAL] = JSON_NUM,
		[JSON_TRUE] = JSON_BOOL,
		[JSON_FALSE] = JSON_BOOL,
		[JSON_NULL] = JSON_NIL,
	};

	return v ? kinds[json_typeof(native(v))] : JSON_NIL;
}

const struct json *
json_member(const struct json *obj, const char *name)
{
	return opaque(json_object_get(native(obj), name));
}

size_t
json_size(const struct json *v)
{
	return json_is_object(native(v)) ? json_object_size(native(v)) : json_array_size(native(v));
}

const struct json *
json_item(const struct json *arr, size_t i)
{
	return opaque(json_array_get(native(arr), i));
}

bool
json_next(const struct json *obj, void **it, const char **name, const struct json **value)
{
	json_t *o = (json_t *)native(obj); /* the iterator only reads */

	*it = *it ? json_object_iter_next(o, *it) : json_object_iter(o);
	if (!*it)
		return false;
	*name = json_object_iter_key(*it);
	*value = opaque(json_object_iter_value(*it));
	return true;
}

struct str
json_str(const struct json *v)
{
	return (struct str){ json_string_value(native(v)), json_string_length(native(v)) };
}

int64_t
json_int(const struct json *v)
{
	return json_integer_value(native(v));
}

double
json_num(const struct json *v)
{
	return json_number_value(native(v));
}

bool
json_bool(const struct json *v)
{
	return json_is_true(native(v));
}

static enum problem check_value(
	struct arena *a, const struct json *v, const struct place *at, struct err *err);

static enum problem
check_items(struct arena *a, const struct json *v, const struct place *at, struct err *err)
{
	enum problem p = P_OK;

	for (size_t i = 0; !p && i < json_size(v); i++)
		p = check_value(a, json_item(v, i), &(struct place){ at, NULL, i }, err);
	return p;
}

static enum problem
check_members(struct arena *a, const struct json *v, const struct place *at, struct err *err)
{
	const struct json *value;
	const char *name;
	void *it = NULL;
	enum problem p = P_OK;

	while (!p && json_next(v, &it, &name, &value)) {
		if (!text_valid(str_of(name)))
			return value_fault(a, at, "forbidden character in a key", err);
		p = check_value(a, value, &(struct place){ at, name, 0 }, err);
	}
	return p;
}

/* What jansson lets through and we do not. The depth is bounded by check_limits(). */
static enum problem
check_value(struct arena *a, const struct json *v, const struct place *at, struct err *err)
{
	switch (json_kind_of(v)) {
	case JSON_STR:
		return text_valid(json_str(v)) ? P_OK
					       : value_fault(a, at, "forbidden character", err);
	case JSON_INT:
		if (json_int(v) > JSON_INT_MAX || json_int(v) < -JSON_INT_MAX)
			return value_fault(a, at, "number out of range", err);
		return P_OK;
	case JSON_ARR:
		return check_items(a, v, at, err);
	case JSON_OBJ:
		return check_members(a, v, at, err);
	default:
		return P_OK;
	}
}

enum problem
json_parse(struct arena *a, struct str text, const struct json **out, struct err *err)
{
	enum problem p = check_limits(text, err);
	if (p)
		return p;

	json_error_t je = { 0 };
	json_t *root = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return parse_fault(&je, err);
	arena_defer(a, release, root);
	p = check_value(a, opaque(root), NULL, err);
	if (p)
		return p;
	*out = opaque(root);
	return P_OK;
}

/* Digits (15 to 17) that bring back exactly this real: 0.1 stays 0.1 and nothing is lost. */
static int
digits_of(double real)
{
	char text[40];
	int n = 15;

	for (; n < 17; n++) {
		snprintf(text, sizeof(text), "%.*g", n, real);
		if (strtod(text, NULL) >= real && strtod(text, NULL) <= real)
			break;
	}
	return n;
}

/* The most digits that any real below `v` needs: jansson prints all with the same number. */
static int
most_digits(const struct json *v)
{
	const struct json *value;
	const char *name;
	void *it = NULL;
	int most = json_kind_of(v) == JSON_NUM ? digits_of(json_num(v)) : 0;

	for (size_t i = 0; json_kind_of(v) == JSON_ARR && i < json_size(v); i++) {
		int n = most_digits(json_item(v, i));
		most = n > most ? n : most;
	}
	while (json_kind_of(v) == JSON_OBJ && json_next(v, &it, &name, &value)) {
		int n = most_digits(value);
		most = n > most ? n : most;
	}
	return most;
}

struct str
json_dump(struct arena *a, const struct json *v)
{
	size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY |
		       JSON_REAL_PRECISION((size_t)most_digits(v));
	size_t n = json_dumpb(native(v), NULL, 0, flags);
	char *p = arena_alloc(a, n + 1);

	CHECK(n > 0 && json_dumpb(native(v), p, n, flags) == n);
	p[n] = '\0';
	return (struct str){ p, n };
}
