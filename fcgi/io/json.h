/*
 * JSON in (jansson) and out.
 *
 * Input: one object or array, RFC 8259 with the limits of RFC 7493: no
 * repeated keys, no numbers beyond +-(2^53-1), no reals unless asked for, depth
 * 32, 1,000 members or items a container, 10,000 tokens, text per text_valid().
 *
 * Output: a writer that cannot make bad grammar: it inserts commas, knows
 * whether it stands in an object or an array and CHECKs misuse.
 */
#ifndef PLAZA_IO_JSON_H
#define PLAZA_IO_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32
#define JSON_ITEMS_MAX 1000
#define JSON_TOKENS_MAX 10000
/* RFC 7493 section 2.2: whole numbers up to here are exact for every reader. */
#define JSON_INT_MAX ((int64_t)9007199254740991)

struct json; /* a value inside a parsed document; lives as long as the arena */

/*
 * JSON_INT is a number written without fraction and exponent, JSON_NUM any other.
 * (jansson exports json_real() and has JSON_REAL and JSON_NULL; defining them
 * again would replace its own.)
 */
enum json_kind { JSON_NIL, JSON_BOOL, JSON_INT, JSON_NUM, JSON_STR, JSON_ARR, JSON_OBJ };

/* Parses the whole text; P_BAD_JSON with the place in err->detail. */
enum problem json_parse(struct arena *a, struct str text, const struct json **out, struct err *err)
	__attribute__((warn_unused_result));
/*
 * The readers take NULL (a missing member) and values of another kind, and then
 * give JSON_NIL, 0, false, the absent view or NULL.
 */
enum json_kind json_kind_of(const struct json *v);
/* Member of an object, or NULL. */
const struct json *json_member(const struct json *obj, const char *name);
size_t json_size(const struct json *v); /* members or items */
const struct json *json_item(const struct json *arr, size_t i);
/* Iterates an object's members: start with *it = NULL; false at the end. */
bool json_next(const struct json *obj, void **it, const char **name, const struct json **value);
struct str json_str(const struct json *v); /* view; absent unless JSON_STR */
int64_t json_int(const struct json *v);
double json_num(const struct json *v); /* also of JSON_INT */
bool json_bool(const struct json *v);
/* The value as compact JSON text in the arena, keys sorted. */
struct str json_dump(struct arena *a, const struct json *v);

#define JSONW_DEPTH 16
struct jsonw {
	struct buf *b;
	int depth;
	char stack[JSONW_DEPTH]; /* 'd' the document, then 'o' or 'a' */
	bool comma[JSONW_DEPTH]; /* something was written at this level */
	bool key;                /* a key waits for its value */
};
void jsonw_init(struct jsonw *w, struct buf *b);
void jsonw_obj(struct jsonw *w);
void jsonw_obj_end(struct jsonw *w);
void jsonw_arr(struct jsonw *w);
void jsonw_arr_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *name);
void jsonw_str(struct jsonw *w, struct str s); /* absent becomes null */
void jsonw_z(struct jsonw *w, const char *z);
void jsonw_int(struct jsonw *w, int64_t v); /* beyond +-(2^53-1) as a string */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, struct str json); /* trusted JSON text, e.g. from SQL */
/* key and value in one call */
void jsonw_kstr(struct jsonw *w, const char *name, struct str s);
void jsonw_kz(struct jsonw *w, const char *name, const char *z);
void jsonw_kint(struct jsonw *w, const char *name, int64_t v);
void jsonw_kbool(struct jsonw *w, const char *name, bool v);

#endif
