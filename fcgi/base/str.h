/*
 * String views. A `struct str` points into memory that somebody else owns and
 * that outlives it (the arena, a literal, a mapped file). It is not
 * NUL-terminated unless the source says so. A null pointer means "absent",
 * which differs from empty.
 */
#ifndef PLAZA_BASE_STR_H
#define PLAZA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct str {
	const char *p;
	size_t n;
};

/* View of a string literal. */
#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

/* View of a NUL-terminated string; NULL gives the absent view. */
static inline struct str
str_of(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}

bool str_eq(struct str a, struct str b);
bool str_eqz(struct str a, const char *z);
/* ASCII case-insensitive, for header names and media types. */
bool str_ieqz(struct str a, const char *z);
bool str_starts(struct str a, const char *prefix);
bool str_ends(struct str a, const char *suffix);
/* Index of the first `c` at or after `from`, or a.n when there is none. */
size_t str_find(struct str a, char c, size_t from);
/* The part [from, to); bounds beyond the end are clipped. */
struct str str_sub(struct str a, size_t from, size_t to);
/* Without leading and trailing spaces and tabs. */
struct str str_trim(struct str a);
/*
 * Cuts at the first `sep`: *head gets what stands before it and *rest what
 * follows. Returns false, with everything in *head, when there is none.
 */
bool str_cut(struct str a, char sep, struct str *head, struct str *rest);
/* NUL-terminated copy in the arena. */
char *str_z(struct arena *a, struct str s);
/* Copy in the arena; absent stays absent. */
struct str str_dup(struct arena *a, struct str s);
/* Lower-case ASCII copy. */
struct str str_lower(struct arena *a, struct str s);

/*
 * Decimal integers, the whole view, optional leading '-', no spaces, no plus.
 * Returns false and leaves *out alone when it is not one or does not fit.
 */
bool str_i64(struct str s, int64_t *out);
bool str_u32(struct str s, uint32_t *out);

#endif
