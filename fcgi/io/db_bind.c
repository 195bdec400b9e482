/* Parameters of named statements in PostgreSQL's binary form. */
#include "io/db_wire.h"

#include <endian.h>
#include <limits.h>

#include "base/buf.h"
#include "base/check.h"

#define ARRAY_MAX (16 * 1024 * 1024)

/* Object ids of built-in types never change (catalog/pg_type.dat). */
static const struct {
	Oid oid;
	Oid element;
} pg_types[] = {
	[DB_TEXT] = { 25, 0 },
	[DB_UUID] = { 2950, 0 },
	[DB_INT] = { 23, 0 },
	[DB_BIGINT] = { 20, 0 },
	[DB_BOOL] = { 16, 0 },
	[DB_UUID_ARRAY] = { 2951, 2950 },
	[DB_TEXT_ARRAY] = { 1009, 25 },
	[DB_BIGINT_ARRAY] = { 1016, 20 },
};

Oid
bind_oid(enum db_type type)
{
	return pg_types[type].oid;
}

static void
put_be32(struct buf *b, size_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	buf_put(b, &be, sizeof(be));
}

/* The binary form of a one-dimensional array (array_recv in PostgreSQL) needs no quoting. */
static void
array_open(struct buf *b, struct arena *a, enum db_type type, size_t n)
{
	buf_init(b, a, ARRAY_MAX);
	put_be32(b, n > 0 ? 1 : 0); /* dimensions */
	put_be32(b, 0);             /* no NULLs */
	put_be32(b, pg_types[type].element);
	if (n > 0) {
		put_be32(b, n);
		put_be32(b, 1); /* lower bound */
	}
}

static struct str
encode_array(struct arena *a, enum db_type type, const void *member)
{
	const struct uuid_array *uuids = member;
	const struct str_array *strs = member;
	const struct i64_array *ints = member;
	struct buf b;

	/* The three structs have one layout: a pointer and a count. */
	array_open(&b, a, type, uuids->n);
	for (size_t i = 0; i < uuids->n; i++) {
		if (type == DB_UUID_ARRAY) {
			put_be32(&b, sizeof(struct uuid));
			buf_put(&b, uuids->v[i].b, sizeof(struct uuid));
		} else if (type == DB_TEXT_ARRAY) {
			put_be32(&b, strs->v[i].n);
			buf_putstr(&b, strs->v[i]);
		} else {
			uint64_t be = htobe64((uint64_t)ints->v[i]);

			put_be32(&b, sizeof(be));
			buf_put(&b, &be, sizeof(be));
		}
	}
	return b.failed ? (struct str){ NULL, 0 } : buf_str(&b);
}

/* The binary value of a parameter; absent for NULL. Numbers are kept in *scratch. */
static struct str
encode_value(struct arena *a, const struct db_param *p, const void *member, uint64_t *scratch)
{
	bool by_pointer = p->nullable && p->type != DB_TEXT && !pg_types[p->type].element;
	const void *v = by_pointer ? *(const void *const *)member : member;
	const struct str *text = v;
	uint32_t be32;

	if (!v)
		return (struct str){ NULL, 0 };
	switch (p->type) {
	case DB_TEXT:
		return *text;
	case DB_UUID:
		return (struct str){ v, sizeof(struct uuid) };
	case DB_INT:
		be32 = htobe32((uint32_t) * (const int32_t *)v);
		memcpy(scratch, &be32, sizeof(be32));
		return (struct str){ (const char *)scratch, sizeof(be32) };
	case DB_BIGINT:
		*scratch = htobe64((uint64_t) * (const int64_t *)v);
		return (struct str){ (const char *)scratch, sizeof(*scratch) };
	case DB_BOOL:
		*(char *)scratch = *(const bool *)v;
		return (struct str){ (const char *)scratch, 1 };
	case DB_UUID_ARRAY:
	case DB_TEXT_ARRAY:
	case DB_BIGINT_ARRAY:
		if (p->nullable && !((const struct uuid_array *)v)->v)
			return (struct str){ NULL, 0 };
		return encode_array(a, p->type, v);
	}
	return (struct str){ NULL, 0 };
}

enum problem
bind_params(struct arena *a, struct step *s, const void *params, struct err *err)
{
	const struct query *q = s->q;
	struct bound *b = &s->bound;

	CHECK(q->param_count <= DB_PARAMS_MAX);
	for (size_t i = 0; i < q->param_count; i++) {
		const struct db_param *p = &q->params[i];
		const char *member = (const char *)params + p->offset;
		struct str v = encode_value(a, p, member, &b->scratch[i]);

		if ((!v.p && !p->nullable) || v.n > INT_MAX)
			return ERR(err, P_INTERNAL, "%s: parameter %s is absent or too long",
				q->name, p->name);
		b->values[i] = v.p;
		b->lengths[i] = (int)v.n;
		b->formats[i] = 1;
	}
	return P_OK;
}
