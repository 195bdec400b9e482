/*
 * Problems and error details.
 *
 * `enum problem` names every way in which a request can fail; 0 (P_OK) is
 * success. The rows are in problems.def: a code is stable, is part of the
 * public contract and becomes the `type` and `code` of an RFC 9457 document.
 * A function that can fail returns an enum problem and puts what the log or
 * the client may want to know into `struct err`.
 */
#ifndef PLAZA_BASE_ERR_H
#define PLAZA_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum problem {
	P_OK = 0,
#define PROBLEM(id, status, slug, title_en, title_es, meaning) P_##id,
#include "base/problems.def"
#undef PROBLEM
	P_COUNT,
	/* Not a problem, never rendered: a stored answer replaces the handler's (db_claim). */
	P_REPLAYED
};

struct problem_info {
	const char *slug;     /* kebab-case code, last part of the type URI */
	int status;           /* HTTP status */
	const char *title_en; /* RFC 9457 section 3.1.4 title */
	const char *title_es;
	const char *meaning; /* one line for the manual and OpenAPI */
};

/* The row of a problem; P_OK has an empty slug and status 200. Never NULL. */
const struct problem_info *problem_info(enum problem p);

/* The problem with this slug, or P_OK. */
enum problem problem_by_slug(const char *slug);

#define ERR_FIELDS_MAX 32

/* One faulty member of the input: RFC 6901 pointer and a short code ("required", "too_long"). */
struct err_field {
	char pointer[96];
	char code[32];
	char detail[128];
};

/*
 * Filled on failure, untouched on success. `detail` may be shown to the
 * client; `log` may not: it holds database and library texts.
 */
struct err {
	enum problem problem;
	char detail[256];
	char log[512];
	const char *file;
	int line;
	int retry_after_s; /* for 429 and 503; 0 = say nothing */
	size_t field_count;
	struct err_field fields[ERR_FIELDS_MAX];
};

/*
 * Records and returns the problem: return ERR(err, P_NOT_FOUND, "no chat %s", id);
 * the text goes to `log`. A NULL err only returns the problem. `p` is evaluated
 * twice: an analyser that sees the value knows that the caller left on an error.
 */
#define ERR(e, p, ...) (err_set((e), (p), __FILE__, __LINE__, __VA_ARGS__), (p))
void err_set(struct err *e, enum problem p, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* As ERR, but the text is meant for the client and goes to `detail`. */
#define ERR_SAY(e, p, ...) (err_say((e), (p), __FILE__, __LINE__, __VA_ARGS__), (p))
void err_say(struct err *e, enum problem p, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Adds a faulty field; beyond ERR_FIELDS_MAX they are dropped. */
void err_field(struct err *e, const char *pointer, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void err_clear(struct err *e);

#endif
