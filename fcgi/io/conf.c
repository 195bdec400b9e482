/* Reads plaza.conf by the rows of conf.def, and prints them for people. */
#include "io/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/encode.h"

#define ARENA_MAX (1024 * 1024)
#define FILE_MAX (64 * 1024)
#define SECRET_MAX 4096
#define INCLUDE_DEPTH 8
#define SAMPLE_COLUMNS 80
#define MDOC_COLUMNS 75

enum kind { KIND_STR, KIND_INT };

static const struct key {
	const char *name;
	enum kind kind;
	const char *def;
	int64_t min, max;
	bool secret; /* the value is the path of a file with a secret */
	const char *text;
	size_t offset;
} keys[] = {
#define CONF(type, name, def, min, max, secret, text) \
	{ #name, KIND_##type, def, min, max, secret, text, offsetof(struct conf, name) },
#include "io/conf.def"
#undef CONF
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* Place in the files that are being read. */
struct place {
	const char *path;
	int line;
	int depth;
};

struct reader {
	struct conf *conf;
	struct err *err;
	bool seen[KEY_COUNT];
};

#define FAIL(r, at, fmt, ...) \
	ERR_SAY((r)->err, P_INTERNAL, "%s:%d: " fmt, (at)->path, (at)->line, __VA_ARGS__)

/* The whole of a regular file; errno says why not. Too long is EFBIG, readable by others EPERM. */
static bool
read_file(struct arena *a, const char *path, size_t max, bool secret, struct str *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool ok = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0)
		goto out;
	if (secret && (st.st_mode & S_IRWXO)) {
		errno = EPERM;
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max) {
		errno = EFBIG;
		goto out;
	}

	size_t size = (size_t)st.st_size;
	char *text = arena_alloc(a, size + 1);
	ssize_t got;
	size_t n = 0;

	while (n < size && (got = read(fd, text + n, size - n)) != 0) {
		if (got < 0)
			goto out;
		n += (size_t)got;
	}
	ok = true;
	*out = (struct str){ text, n };
out:
	close(fd);
	return ok;
}

static const char *
why(int error)
{
	if (error == EPERM)
		return "others have access to it: chmod o= FILE";
	return error == EFBIG ? "not a regular file, or too long" : strerror(error);
}

static void
store(struct conf *c, const struct key *k, struct str text, int64_t number)
{
	char *member = (char *)c + k->offset;
	const char *copy;

	if (k->kind == KIND_INT) {
		memcpy(member, &number, sizeof(number));
		return;
	}
	copy = str_z(c->arena, text);
	memcpy(member, &copy, sizeof(copy));
}

static enum problem
set(struct reader *r, const struct place *at, const struct key *k, struct str value)
{
	int64_t number = (int64_t)value.n;
	struct stat st;

	if (k->kind == KIND_INT && !str_i64(value, &number))
		return FAIL(r, at, "%s is not a whole number", k->name);
	if (k->kind == KIND_STR && !text_valid(value))
		return FAIL(r, at, "%s is not UTF-8 text", k->name);
	if (number < k->min || number > k->max)
		return FAIL(r, at, "%s%s is not in %lld to %lld", k->name,
			k->kind == KIND_STR ? " has a length that" : "", (long long)k->min,
			(long long)k->max);
	store(r->conf, k, value, number);
	/* A file that is missing or out of reach is the business of the program that needs it. */
	if (k->secret && value.n > 0 && stat(str_z(r->conf->arena, value), &st) == 0 &&
		(st.st_mode & S_IRWXO))
		return FAIL(r, at, "%s: %s", k->name, why(EPERM));
	return P_OK;
}

static enum problem
assign(struct reader *r, const struct place *at, struct str name, struct str value)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (!str_eqz(name, keys[i].name))
			continue;
		if (r->seen[i])
			return FAIL(r, at, "%s stands twice", keys[i].name);
		r->seen[i] = true;
		return set(r, at, &keys[i], value);
	}
	return FAIL(r, at, "unknown key '%.*s'", STR_ARG(name));
}

static enum problem read_conf(struct reader *r, const struct place *from, const char *path);

/* A relative path starts at the folder of the file that names it. */
static enum problem
include(struct reader *r, const struct place *at, struct str path)
{
	const char *slash = strrchr(at->path, '/');
	struct arena *a = r->conf->arena;

	if (path.n == 0)
		return FAIL(r, at, "include %s", "needs a path");
	if (at->depth == INCLUDE_DEPTH)
		return FAIL(r, at, "more than %d files include one another", INCLUDE_DEPTH);
	if (path.p[0] == '/' || !slash)
		return read_conf(r, at, str_z(a, path));
	return read_conf(r, at,
		arena_printf(a, "%.*s/%.*s", (int)(slash - at->path), at->path, STR_ARG(path)));
}

static enum problem
read_line(struct reader *r, const struct place *at, struct str line)
{
	struct str name;
	struct str value;

	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return P_OK;
	if (str_starts(line, "include ") || str_starts(line, "include\t"))
		return include(r, at, str_trim(str_sub(line, strlen("include"), line.n)));
	if (!str_cut(line, '=', &name, &value))
		return FAIL(r, at, "'%.*s' is not key = value", STR_ARG(line));
	return assign(r, at, str_trim(name), str_trim(value));
}

static enum problem
read_conf(struct reader *r, const struct place *from, const char *path)
{
	struct place at = { path, 0, from ? from->depth + 1 : 0 };
	struct str text;
	enum problem p = P_OK;
	bool more = true;

	if (!read_file(r->conf->arena, path, FILE_MAX, false, &text))
		return from ? FAIL(r, from, "%s: %s", path, why(errno))
			    : ERR_SAY(r->err, P_INTERNAL, "%s: %s", path, why(errno));
	while (!p && more) {
		struct str line;

		at.line++;
		more = str_cut(text, '\n', &line, &text);
		p = read_line(r, &at, line);
	}
	return p;
}

struct conf *
conf_load(const char *path, struct err *err)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct conf *c = ARENA_NEW(a, struct conf);
	struct reader r = { .conf = c, .err = err };

	c->arena = a;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		int64_t number = 0;

		(void)str_i64(str_of(keys[i].def), &number); /* not a number: a text key */
		store(c, &keys[i], str_of(keys[i].def), number);
	}
	if (path && read_conf(&r, NULL, path)) {
		conf_free(c);
		return NULL;
	}
	return c;
}

void
conf_free(struct conf *c)
{
	if (c)
		arena_free(c->arena);
}

size_t
conf_items(const char *list)
{
	size_t n = 1;

	for (const char *c = list; *c; c++)
		n += *c == ',';
	return n;
}

struct str
conf_item(const char *list, size_t n)
{
	struct str rest = str_of(list), item = { 0 };

	if (n >= conf_items(list))
		return item;
	for (size_t i = 0; i <= n; i++)
		str_cut(rest, ',', &item, &rest);
	return str_trim(item);
}

enum problem
conf_secret(struct conf *c, const char *path, size_t min, const char **out, struct err *err)
{
	struct str text;
	struct str line;

	if (!read_file(c->arena, path, SECRET_MAX, true, &text))
		return ERR_SAY(err, P_INTERNAL, "%s: %s", path, why(errno));
	str_cut(text, '\n', &line, &text);
	if (memchr(line.p, '\0', line.n))
		return ERR_SAY(err, P_INTERNAL, "%s: has a NUL in its first line", path);
	if (line.n < min)
		return ERR_SAY(
			err, P_INTERNAL, "%s: the first line has less than %zu bytes", path, min);
	*out = str_z(c->arena, line);
	return P_OK;
}

/* A comment of lines that are not too long. */
static void
put_wrapped(struct buf *b, const char *text)
{
	struct str rest = str_of(text);
	struct str word;
	size_t column = 0;
	bool more = true;

	while (more) {
		more = str_cut(rest, ' ', &word, &rest);
		if (column > 0 && column + 1 + word.n > SAMPLE_COLUMNS) {
			buf_putc(b, '\n');
			column = 0;
		}
		if (column == 0)
			buf_putc(b, '#');
		buf_putc(b, ' ');
		buf_putstr(b, word);
		column += word.n + (column == 0 ? 2 : 1);
	}
	buf_putc(b, '\n');
}

void
conf_print_sample(struct buf *b)
{
	buf_puts(b, "# plaza.conf: every key with its default, see plaza.conf(5).\n");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		buf_putc(b, '\n');
		put_wrapped(b, keys[i].text);
		buf_printf(b, "#%s = %s\n", keys[i].name, keys[i].def);
	}
}

/* A sentence a line, lines that are not too long, and none that looks like a macro. */
static void
put_mdoc(struct buf *b, const char *text)
{
	size_t start = b->n;

	for (const char *c = text; *c; c++) {
		if (*c == ' ' &&
			(c[-1] == '.' || b->n - start + strcspn(c + 1, " ") > MDOC_COLUMNS)) {
			buf_putc(b, '\n');
			start = b->n;
		} else if (*c == '\\') {
			buf_puts(b, "\\e");
		} else if ((*c == '.' || *c == '\'') && b->n == start) {
			buf_printf(b, "\\&%c", *c);
		} else {
			buf_putc(b, *c);
		}
	}
	buf_putc(b, '\n');
}

void
conf_print_mdoc(struct buf *b)
{
	buf_puts(b, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *k = &keys[i];

		buf_printf(b, ".It Ic %s Ns = Ns Ar %s\n", k->name,
			k->kind == KIND_INT ? "number" : "text");
		put_mdoc(b, k->text);
		if (k->kind == KIND_INT)
			buf_printf(b, "From %lld to %lld.\n", (long long)k->min, (long long)k->max);
		if (*k->def)
			buf_printf(b, "The default is\n.Li %s .\n", k->def);
	}
	buf_puts(b, ".El\n");
}
