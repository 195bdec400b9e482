/* The JSON reader: jansson behind limits of our own. */
#include "io/json.h"

#include <jansson.h>

#include "base/check.h"
#include "base/encode.h"

#define POINTER_MAX 160

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

/* A container on the way down to a value, and where it stands among its children. */
struct level {
	const struct json *container;
	void *it;
	const char *key; /* NULL in an array */
	size_t next;     /* item of an array */
};

/* A place in a document. Documents are walked with it, not by recursion. */
struct walk {
	struct level level[JSON_DEPTH_MAX];
	size_t depth;
};

static bool
next_child(struct level *l, const struct json **v)
{
	if (json_kind_of(l->container) == JSON_OBJ)
		return json_next(l->container, &l->it, &l->key, v);
	*v = json_item(l->container, l->next++);
	return *v != NULL;
}

/* From *v to the value that follows it in the text; false after the last. */
static bool
walk_on(struct walk *w, const struct json **v)
{
	if (json_size(*v) > 0) {
		CHECK(w->depth < JSON_DEPTH_MAX);
		w->level[w->depth++] = (struct level){ .container = *v };
	}
	for (; w->depth > 0; w->depth--)
		if (next_child(&w->level[w->depth - 1], v))
			return true;
	return false;
}

/* RFC 6901: '~' and '/' in a key are written ~0 and ~1. */
static void
put_pointer(struct buf *b, const struct level *l)
{
	buf_putc(b, '/');
	if (!l->key) {
		buf_puti(b, (int64_t)l->next - 1);
		return;
	}
	for (const char *k = l->key; *k; k++) {
		if (*k == '~' || *k == '/')
			buf_puts(b, *k == '~' ? "~0" : "~1");
		else
			buf_putc(b, *k);
	}
}

static enum problem
value_fault(struct arena *a, const struct walk *w, const char *what, struct err *err)
{
	struct buf b;

	buf_init(&b, a, POINTER_MAX);
	for (size_t i = 0; i < w->depth; i++)
		put_pointer(&b, &w->level[i]);
	if (b.failed || b.n == 0)
		return ERR_SAY(err, P_BAD_JSON, "%s", what);
	return ERR_SAY(err, P_BAD_JSON, "%s: %s", b.p, what);
}

/* What jansson lets through and we do not: NULL, or what is wrong. */
static const char *
value_error(const struct json *v)
{
	switch (json_kind_of(v)) {
	case JSON_STR:
		return text_valid(json_str(v)) ? NULL : "forbidden character";
	case JSON_INT:
		return json_int(v) >= -JSON_INT_MAX && json_int(v) <= JSON_INT_MAX
			       ? NULL
			       : "number out of range";
	default:
		return NULL;
	}
}

static enum problem
check_values(struct arena *a, const struct json *root, struct err *err)
{
	struct walk w = { .depth = 0 };
	const struct json *v = root;

	do {
		const char *key = w.depth ? w.level[w.depth - 1].key : NULL;
		const char *what = value_error(v);

		if (key && !text_valid(str_of(key))) {
			w.depth--; /* a key that cannot be shown: point to its object */
			return value_fault(a, &w, "forbidden character in a key", err);
		}
		if (what)
			return value_fault(a, &w, what, err);
	} while (walk_on(&w, &v));
	return P_OK;
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
	p = check_values(a, opaque(root), err);
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

/* The most digits that any real in `v` needs: jansson prints all with the same number. */
static int
most_digits(const struct json *v)
{
	struct walk w = { .depth = 0 };
	int most = 0;

	do {
		int n = json_kind_of(v) == JSON_NUM ? digits_of(json_num(v)) : 0;
		most = n > most ? n : most;
	} while (walk_on(&w, &v));
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
