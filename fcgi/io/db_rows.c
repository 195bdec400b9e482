/* Results of named statements. */
#include "io/db_wire.h"

#include "base/arena.h"
#include "base/check.h"

static void
clear_result(void *r)
{
	PQclear(r);
}

struct rows *
rows_new(struct arena *a, PGresult *r)
{
	struct rows *rows = ARENA_NEW(a, struct rows);

	rows->result = r;
	if (r)
		arena_defer(a, clear_result, r);
	return rows;
}

size_t
rows_count(const struct rows *r)
{
	return (size_t)PQntuples(r->result);
}

struct str
rows_str(const struct rows *r, size_t row, size_t col)
{
	int i = (int)row;
	int k = (int)col;

	CHECK(row < rows_count(r) && col < (size_t)PQnfields(r->result));
	if (PQgetisnull(r->result, i, k))
		return (struct str){ NULL, 0 };
	return (struct str){ PQgetvalue(r->result, i, k), (size_t)PQgetlength(r->result, i, k) };
}

int64_t
rows_i64(const struct rows *r, size_t row, size_t col)
{
	struct str s = rows_str(r, row, col);
	int64_t v = 0;

	CHECK(!s.p || str_i64(s, &v));
	return v;
}

bool
rows_bool(const struct rows *r, size_t row, size_t col)
{
	struct str s = rows_str(r, row, col);

	CHECK(!s.p || str_eqz(s, "t") || str_eqz(s, "f"));
	return str_eqz(s, "t");
}

struct uuid
rows_uuid(const struct rows *r, size_t row, size_t col)
{
	struct str s = rows_str(r, row, col);
	struct uuid u = { { 0 } };

	CHECK(!s.p || uuid_parse(s, &u));
	return u;
}

int
rows_column(const struct rows *r, const char *name)
{
	return r->result ? PQfnumber(r->result, name) : -1;
}
