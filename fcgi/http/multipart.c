/* Streaming reader of multipart/form-data bodies. */
#include "http/multipart.h"

#include "base/check.h"
#include "base/encode.h"
#include "http/app.h"
#include "http/route.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define WINDOW 32768 /* bytes held while looking for a boundary */
#define FIELD_MAX 65536

struct reader {
	struct arena *a;
	const struct multipart_source *src;
	struct err *err;
	char *window;
	size_t n;     /* bytes in the window */
	size_t total; /* bytes read from the source */
	bool ended;
	struct str delimiter; /* CR LF "--" boundary */
};

static enum problem
bad(struct reader *r, const char *why)
{
	return ERR_SAY(r->err, P_BAD_MULTIPART, "%s", why);
}

/* ---- the window ---- */

static enum problem
fill(struct reader *r)
{
	while (!r->ended && r->n < WINDOW) {
		long got = r->src->read(r->src->arg, r->window + r->n, WINDOW - r->n);
		if (got < 0)
			return ERR(r->err, P_BAD_BODY_LENGTH, "broken stream after %zu", r->total);
		r->ended = got == 0;
		r->n += (size_t)got;
		r->total += (size_t)got;
		if (r->total > r->src->max)
			return ERR(r->err, P_TOO_LARGE, "body over %zu", r->src->max);
	}
	return P_OK;
}

static void
consume(struct reader *r, size_t n)
{
	CHECK(n <= r->n);
	memmove(r->window, r->window + n, r->n - n);
	r->n -= n;
}

/* ---- where a part's bytes go ---- */

static void
close_fd(void *p)
{
	close((int)(intptr_t)p);
}

static enum problem
open_file(struct reader *r, struct part *part)
{
	part->fd = open(r->src->tmp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (part->fd < 0)
		return ERR(r->err, P_INTERNAL, "%s: %s", r->src->tmp_dir, strerror(errno));
	arena_defer(r->a, close_fd, (void *)(intptr_t)part->fd);
	return P_OK;
}

static enum problem
store(struct reader *r, struct part *part, struct buf *field, const char *p, size_t n)
{
	size_t max = part->is_file ? r->src->file_max : FIELD_MAX;

	part->size += n;
	if (part->size > max)
		return ERR(r->err, P_TOO_LARGE, "part over %zu", max);
	if (!part->is_file) {
		buf_put(field, p, n);
		return P_OK;
	}
	while (n > 0) {
		ssize_t w = write(part->fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return ERR(r->err, P_UNAVAILABLE, "temporary file: %s", strerror(errno));
		p += w;
		n -= (size_t)w;
	}
	return P_OK;
}

/* Moves everything before the next delimiter to the part, and eats the delimiter. */
static enum problem
read_content(struct reader *r, struct part *part, struct buf *field)
{
	for (;;) {
		enum problem p = fill(r);
		if (p)
			return p;
		const char *at = memmem(r->window, r->n, r->delimiter.p, r->delimiter.n);
		if (!at && r->ended)
			return bad(r, "no final boundary");
		/* The tail may be the beginning of a delimiter. */
		size_t n = at ? (size_t)(at - r->window) : r->n - (r->delimiter.n - 1);
		p = store(r, part, field, r->window, n);
		if (p)
			return p;
		consume(r, at ? n + r->delimiter.n : n);
		if (at)
			return P_OK;
	}
}

/* ---- part headers ---- */

/* A parameter of a header value, quoted or not (RFC 9110 section 5.6.6). Absent when missing. */
static struct str
header_param(struct arena *a, struct str value, const char *name)
{
	size_t i = str_find(value, ';', 0);

	while (i < value.n) {
		struct buf b;
		size_t eq = str_find(value, '=', i);
		struct str key = str_trim(str_sub(value, i + 1, eq));
		buf_init(&b, a, LIMIT_PART_HEADERS);
		i = eq + 1;
		bool quoted = i < value.n && value.p[i] == '"';
		for (i += quoted; i < value.n && value.p[i] != (quoted ? '"' : ';'); i++) {
			if (quoted && value.p[i] == '\\' && i + 1 < value.n)
				i++;
			buf_putc(&b, value.p[i]);
		}
		if (quoted)
			i = str_find(value, ';', i);
		if (str_ieqz(key, name))
			return b.p ? str_trim(buf_str(&b)) : STR("");
	}
	return (struct str){ 0 };
}

static enum problem
take_header(struct reader *r, struct part *part, struct str line)
{
	struct str name, value;

	if (!str_cut(line, ':', &name, &value))
		return bad(r, "part header without a colon");
	value = str_trim(value);
	if (str_ieqz(name, "Content-Type"))
		part->content_type = str_dup(r->a, value);
	if (str_ieqz(name, "Content-Type") && value.n >= 10 &&
		str_ieqz(str_sub(value, 0, 10), "multipart/"))
		return bad(r, "nested multipart");
	if (!str_ieqz(name, "Content-Disposition"))
		return P_OK;
	if (!str_ieqz(str_trim(str_sub(value, 0, str_find(value, ';', 0))), "form-data"))
		return bad(r, "part is no form-data");
	part->name = header_param(r->a, value, "name");
	part->filename = header_param(r->a, value, "filename");
	part->is_file = part->filename.p != NULL;
	return P_OK;
}

static enum problem
read_headers(struct reader *r, struct part *part)
{
	enum problem p = fill(r);
	if (p)
		return p;
	size_t limit = r->n < LIMIT_PART_HEADERS ? r->n : LIMIT_PART_HEADERS;
	const char *end = memmem(r->window, limit, "\r\n\r\n", 4);
	if (!end)
		return bad(r, "part headers do not end");
	struct str rest = { r->window, (size_t)(end - r->window) }, line;
	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		p = take_header(r, part, line);
		if (p)
			return p;
	}
	consume(r, (size_t)(end - r->window) + 4);
	if (!part->name.p || part->name.n == 0 || !text_valid(part->name))
		return bad(r, "part without a name");
	if (part->is_file && !text_valid(part->filename))
		return bad(r, "bad file name");
	return P_OK;
}

/* ---- parts ---- */

static bool
field_repeated(const struct multipart *m, const struct part *part)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->v[i].name, part->name) && !(m->v[i].is_file && part->is_file))
			return true;
	return false;
}

static enum problem
read_part(struct reader *r, struct multipart *m)
{
	struct part part = { .fd = -1 };
	struct buf field;
	enum problem p = read_headers(r, &part);

	if (p)
		return p;
	if (m->n == LIMIT_PARTS)
		return bad(r, "too many parts");
	if (field_repeated(m, &part))
		return bad(r, "a field stands twice");
	buf_init(&field, r->a, FIELD_MAX + 1);
	if (part.is_file && (p = open_file(r, &part)))
		return p;
	p = read_content(r, &part, &field);
	if (p)
		return p;
	if (part.is_file && lseek(part.fd, 0, SEEK_SET) < 0)
		return ERR(r->err, P_INTERNAL, "lseek: %s", strerror(errno));
	if (!part.is_file)
		part.text = field.n ? buf_str(&field) : STR("");
	m->v[m->n++] = part;
	return P_OK;
}

/* After a delimiter: CR LF opens a part, "--" ends the body. */
static enum problem
read_parts(struct reader *r, struct multipart *m)
{
	for (;;) {
		enum problem p = fill(r);
		if (p)
			return p;
		if (r->n >= 2 && memcmp(r->window, "--", 2) == 0)
			break;
		if (r->n < 2 || memcmp(r->window, "\r\n", 2) != 0)
			return bad(r, "boundary without line end");
		consume(r, 2);
		if ((p = read_part(r, m)))
			return p;
	}
	consume(r, 2);
	enum problem p = fill(r);
	if (p)
		return p;
	if (!r->ended || (r->n != 0 && !(r->n == 2 && memcmp(r->window, "\r\n", 2) == 0)))
		return bad(r, "something follows the final boundary");
	return P_OK;
}

/* The first delimiter stands at the very beginning, without its CR LF. */
static enum problem
read_start(struct reader *r)
{
	size_t n = r->delimiter.n - 2;
	enum problem p = fill(r);

	if (p)
		return p;
	if (r->n < n || memcmp(r->window, r->delimiter.p + 2, n) != 0)
		return bad(r, "the body does not start with the boundary");
	consume(r, n);
	return P_OK;
}

enum problem
multipart_parse(struct arena *a, struct str content_type, const struct multipart_source *src,
	struct multipart *out, struct err *err)
{
	struct reader r = { .a = a, .src = src, .err = err };
	struct str boundary = header_param(a, content_type, "boundary");

	out->n = 0;
	if (!boundary.p || boundary.n == 0 || boundary.n > LIMIT_BOUNDARY || !text_valid(boundary))
		return bad(&r, "no usable boundary");
	r.delimiter = str_of(arena_printf(a, "\r\n--%.*s", STR_ARG(boundary)));
	r.window = arena_alloc(a, WINDOW);
	enum problem p = read_start(&r);
	return p ? p : read_parts(&r, out);
}

/* ---- requests ---- */

struct counted {
	struct request *req;
	int64_t total;
};

static long
read_counted(void *arg, char *p, size_t n)
{
	struct counted *c = arg;
	long got = c->req->door->read(c->req, p, n);

	c->total += got > 0 ? got : 0;
	return got;
}

enum problem
multipart_read(struct request *req, size_t file_max, struct multipart *out)
{
	struct counted counted = { .req = req };
	struct multipart_source src = { .read = read_counted,
		.arg = &counted,
		.max = req->route->body_max ? req->route->body_max : LIMIT_BODY_UPLOAD,
		.file_max = file_max,
		.tmp_dir = req->app->conf->blob_dir };
	enum problem p =
		multipart_parse(req->arena, req_header(req, "CONTENT_TYPE"), &src, out, &req->err);

	if (!p && req->content_length >= 0 && counted.total != req->content_length)
		return ERR(&req->err, P_BAD_BODY_LENGTH, "%" PRId64 " of %" PRId64, counted.total,
			req->content_length);
	return p;
}

const struct part *
multipart_find(const struct multipart *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eqz(m->v[i].name, name))
			return &m->v[i];
	return NULL;
}
