/* From the errors of PostgreSQL to the problems of problems.def. */
#include "io/db_wire.h"

#include <limits.h>

#include "base/str.h"

#define RETRY_AFTER_S 1

static const struct constraint {
	const char *name;
	enum problem problem;
	const char *pointer;
	const char *code;
} constraints[] = {
#define CONSTRAINT(name, problem, pointer, code) { #name, P_##problem, pointer, code },
#include "io/db_problems.def"
#undef CONSTRAINT
	{ NULL, P_OK, NULL, NULL },
};

const char *
error_field(const PGresult *r, int code)
{
	const char *v = r ? PQresultErrorField(r, code) : NULL;

	return v ? v : "";
}

enum problem
error_unavailable(struct err *err, const char *text)
{
	err->retry_after_s = RETRY_AFTER_S;
	return ERR(err, P_UNAVAILABLE, "%s", text);
}

/* A problem raised on purpose, see sql/README.md; its detail is meant for the client. */
static enum problem
raised(const char *what, const PGresult *r, struct err *err)
{
	const char *slug = error_field(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = error_field(r, PG_DIAG_MESSAGE_DETAIL);
	const char *pointer = error_field(r, PG_DIAG_COLUMN_NAME);
	const char *code = error_field(r, PG_DIAG_CONSTRAINT_NAME);
	const char *retry = error_field(r, PG_DIAG_MESSAGE_HINT);
	enum problem p = problem_by_slug(slug);
	uint32_t seconds;

	if (p == P_OK)
		return ERR(err, P_INTERNAL, "%s: raised the unknown problem %s", what, slug);
	if (*detail)
		(void)ERR_SAY(err, p, "%s", detail);
	else
		(void)ERR(err, p, "%s: %s", what, slug);
	if (*pointer)
		err_field(err, pointer, *code ? code : "invalid", "%s", detail);
	if (str_starts(str_of(retry), "retry=") &&
		str_u32(str_of(retry + strlen("retry=")), &seconds))
		err->retry_after_s = (int)(seconds & INT_MAX);
	return p;
}

static enum problem
problem_of_state(const char *state)
{
	static const struct {
		const char *class;
		enum problem problem;
	} map[] = {
		{ "23505", P_CONFLICT },
		{ "23503", P_NOT_FOUND },
		{ "23514", P_INVALID },
		{ "23502", P_INVALID },
		{ "22", P_INVALID },
		{ "40001", P_UNAVAILABLE },
		{ "40P01", P_UNAVAILABLE },
		{ "55P03", P_UNAVAILABLE },
		{ "57014", P_UNAVAILABLE },
		{ "08", P_UNAVAILABLE },
		{ "57P", P_UNAVAILABLE },
		{ "53", P_UNAVAILABLE },
		{ "25006", P_UNAVAILABLE },
		{ "25P03", P_UNAVAILABLE },
		{ "26000", P_UNAVAILABLE },
		{ "0A000", P_UNAVAILABLE },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (strncmp(state, map[i].class, strlen(map[i].class)) == 0)
			return map[i].problem;
	}
	return P_INTERNAL;
}

/* The text of the database goes to the log only, without its DETAIL: that repeats data. */
static enum problem
map_failure(const char *what, const PGresult *r, struct err *err)
{
	const char *state = error_field(r, PG_DIAG_SQLSTATE);
	const char *name = error_field(r, PG_DIAG_CONSTRAINT_NAME);
	const struct constraint *c = constraints;
	enum problem p = problem_of_state(state);

	if (strcmp(state, "PZ000") == 0)
		return raised(what, r, err);
	if (strncmp(state, "23", 2) == 0) {
		while (c->name && strcmp(c->name, name) != 0)
			c++;
		if (c->name)
			p = c->problem;
	}
	(void)ERR(
		err, p, "%s: %s %s %s", what, state, error_field(r, PG_DIAG_MESSAGE_PRIMARY), name);
	if (strncmp(state, "23", 2) == 0 && c->name && *c->pointer)
		err_field(err, c->pointer, c->code, "%s", "");
	if (p == P_UNAVAILABLE)
		err->retry_after_s = RETRY_AFTER_S;
	return p;
}

static const char *
step_name(const struct exchange *x, size_t i)
{
	if (i >= x->n)
		return "commit";
	return x->steps[i].sql ? x->steps[i].sql : x->steps[i].q->name;
}

enum problem
error_problem(const struct wire *w, const struct exchange *x, struct err *err)
{
	if (x->failure && *error_field(x->failure, PG_DIAG_SQLSTATE))
		return map_failure(step_name(x, x->failed), x->failure, err);
	return error_unavailable(err, w->lost);
}
