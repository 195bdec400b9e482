/*
 * Shapes of inputs and outputs. One table of fields parses and binds a JSON
 * body or a query string into a struct, reports every fault with its JSON
 * pointer, and prints JSON Schema for the OpenAPI document.
 *
 * How a member of the bound struct must look:
 *   T_TEXT T_EMAIL T_ENUM T_URL   struct str           (p NULL when absent)
 *   T_TIME                        struct str           RFC 3339, as it was sent
 *   T_UUID                        struct uuid          required; else const struct uuid *
 *   T_INT                         int64_t              required or with .has_default; else const
 * int64_t * T_BOOL                        bool                 likewise; else const bool * T_MONEY
 * struct money         required; else const struct money * T_OBJECT                      the nested
 * struct    required; else a pointer to it T_ARRAY                       struct array of `item`s
 * (T_UUID, T_TEXT, T_INT) or of nested structs T_JSON                        const struct json *
 * anything A pointer is NULL when the member is absent or null. A schema whose struct starts with
 * `uint64_t present` gets bit i set for each field i that was sent, so that a merge patch can tell
 * null from absent.
 */
#ifndef PLAZA_HTTP_SCHEMA_H
#define PLAZA_HTTP_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct jsonw;

enum field_type {
	T_TEXT = 1,
	T_EMAIL,
	T_ENUM,
	T_URL,
	T_UUID,
	T_INT,
	T_BOOL,
	T_MONEY,
	T_OBJECT,
	T_ARRAY,
	T_JSON,
	T_TIME,
	T_NUMBER
};

/* Minor units of a currency (ISO 4217), e.g. 1999 USD = 19.99 dollars. */
struct money {
	int64_t amount;
	struct str currency;
};

struct array {
	void *v;
	size_t n;
};

struct field {
	const char *name; /* JSON name */
	enum field_type type;
	const struct schema *of;   /* T_OBJECT, T_ARRAY of objects */
	enum field_type item;      /* T_ARRAY of scalars */
	const char *const *values; /* T_ENUM, NULL-terminated */
	int64_t min, max; /* T_INT, T_MONEY: value; T_TEXT: code points; T_ARRAY: items; 0,0 =
			     type's default */
	bool required;
	bool nullable;
	bool has_default;
	int64_t def;       /* T_INT, T_BOOL */
	const char *alias; /* older name that is accepted too */
	const char *doc;
	size_t offset, size; /* of the struct's member; inputs only */
};

struct schema {
	const char *name; /* component name, e.g. "ProductCreate" */
	const struct field *fields;
	size_t count;
	size_t size; /* of the bound struct; 0 for outputs */
	bool has_present;
	bool open; /* unknown members are allowed */
	const char *doc;
};

/* The type comes first in what follows: FIELD(order, note, T_TEXT, .max = 200) */
#define FIELD(s, m, ...) FIELD_AS(s, m, #m, __VA_ARGS__)
/* As FIELD with a JSON name that is not the member's. */
#define FIELD_AS(s, m, json, ...)                                       \
	{                                                               \
		.name = (json), .offset = offsetof(struct s, m),        \
		.size = sizeof(((struct s *)0)->m), .type = __VA_ARGS__ \
	}
#define OUT(json, ...)                                                \
	{                                                             \
		.name = (json), .required = true, .type = __VA_ARGS__ \
	}
#define OUT_NULL(json, ...)                                                             \
	{                                                                               \
		.name = (json), .required = true, .nullable = true, .type = __VA_ARGS__ \
	}
#define OUT_OPT(json, ...)                          \
	{                                           \
		.name = (json), .type = __VA_ARGS__ \
	}

/* static const struct schema x = SCHEMA("Name", struct tag, x_fields); */
#define SCHEMA(n, s, f)                                                          \
	{                                                                        \
		.name = (n), .fields = (f), .count = sizeof(f) / sizeof((f)[0]), \
		.size = sizeof(struct s)                                         \
	}
#define SCHEMA_PATCH(n, s, f)                                                    \
	{                                                                        \
		.name = (n), .fields = (f), .count = sizeof(f) / sizeof((f)[0]), \
		.size = sizeof(struct s), .has_present = true                    \
	}
#define SCHEMA_OUT(n, f)                                                        \
	{                                                                       \
		.name = (n), .fields = (f), .count = sizeof(f) / sizeof((f)[0]) \
	}

/* Binds a JSON object. All faults are collected in err, then P_INVALID. *out is in the arena. */
enum problem schema_bind(const struct schema *s, struct arena *a, const struct json *in, void **out,
	struct err *err) __attribute__((warn_unused_result));

/*
 * Binds a raw query string ("a=1&b=2"): unknown names P_INVALID, repeated ones
 * P_DUPLICATE_PARAM.
 */
enum problem schema_bind_query(const struct schema *s, struct arena *a, struct str query,
	void **out, struct err *err) __attribute__((warn_unused_result));

/* Nothing is required of it, so a request may leave it out; a merge patch of nothing would be an
 * error. */
bool schema_may_miss(const struct schema *s);

/* CHECKs that offsets and sizes fit the types; called for every route at the start. */
void schema_check(const struct schema *s);
/* JSON Schema (2020-12) of the shape; nested schemas as $ref to components. */
void schema_print(const struct schema *s, struct jsonw *w);

#endif
