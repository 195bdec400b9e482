/* The JSON writer: keeps track of where it stands, so that only good grammar comes out. */
#include "io/json.h"

#include "base/check.h"
#include "base/encode.h"

void
jsonw_init(struct jsonw *w, struct buf *b)
{
	*w = (struct jsonw){ .b = b, .stack = { 'd' } };
}

/* Before any value: the comma in an array; in an object the key has put it already. */
static void
begin_value(struct jsonw *w)
{
	bool *written = &w->comma[w->depth];

	switch (w->stack[w->depth]) {
	case 'o':
		CHECK(w->key);
		w->key = false;
		break;
	case 'a':
		if (*written)
			buf_putc(w->b, ',');
		break;
	default:
		CHECK(!*written); /* one value a document */
	}
	*written = true;
}

static void
open_container(struct jsonw *w, char kind, char bracket)
{
	begin_value(w);
	CHECK(w->depth + 1 < JSONW_DEPTH);
	w->depth++;
	w->stack[w->depth] = kind;
	w->comma[w->depth] = false;
	buf_putc(w->b, bracket);
}

static void
close_container(struct jsonw *w, char kind, char bracket)
{
	CHECK(w->stack[w->depth] == kind && !w->key);
	w->depth--;
	buf_putc(w->b, bracket);
}

void
jsonw_obj(struct jsonw *w)
{
	open_container(w, 'o', '{');
}

void
jsonw_obj_end(struct jsonw *w)
{
	close_container(w, 'o', '}');
}

void
jsonw_arr(struct jsonw *w)
{
	open_container(w, 'a', '[');
}

void
jsonw_arr_end(struct jsonw *w)
{
	close_container(w, 'a', ']');
}

void
jsonw_key(struct jsonw *w, const char *name)
{
	CHECK(w->stack[w->depth] == 'o' && !w->key);
	if (w->comma[w->depth])
		buf_putc(w->b, ',');
	json_put(w->b, str_of(name));
	buf_putc(w->b, ':');
	w->key = true;
}

void
jsonw_str(struct jsonw *w, struct str s)
{
	begin_value(w);
	if (s.p)
		json_put(w->b, s);
	else
		buf_puts(w->b, "null");
}

void
jsonw_z(struct jsonw *w, const char *z)
{
	jsonw_str(w, str_of(z));
}

void
jsonw_int(struct jsonw *w, int64_t v)
{
	bool exact = v >= -JSON_INT_MAX && v <= JSON_INT_MAX;

	begin_value(w);
	if (!exact)
		buf_putc(w->b, '"');
	buf_puti(w->b, v);
	if (!exact)
		buf_putc(w->b, '"');
}

void
jsonw_bool(struct jsonw *w, bool v)
{
	begin_value(w);
	buf_puts(w->b, v ? "true" : "false");
}

void
jsonw_null(struct jsonw *w)
{
	begin_value(w);
	buf_puts(w->b, "null");
}

void
jsonw_raw(struct jsonw *w, struct str json)
{
	CHECK(json.n > 0);
	begin_value(w);
	buf_putstr(w->b, json);
}

void
jsonw_kstr(struct jsonw *w, const char *name, struct str s)
{
	jsonw_key(w, name);
	jsonw_str(w, s);
}

void
jsonw_kz(struct jsonw *w, const char *name, const char *z)
{
	jsonw_key(w, name);
	jsonw_z(w, z);
}

void
jsonw_kint(struct jsonw *w, const char *name, int64_t v)
{
	jsonw_key(w, name);
	jsonw_int(w, v);
}

void
jsonw_kbool(struct jsonw *w, const char *name, bool v)
{
	jsonw_key(w, name);
	jsonw_bool(w, v);
}
