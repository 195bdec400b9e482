/* multipart/form-data: what is read, and each way of refusing it (R56). */
#include "http/multipart.h"

#include "base/buf.h"
#include "unit.h"

#define TYPE "multipart/form-data; boundary=\"xyz\""
#define FIELD_PART(name, value) \
	"--xyz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, file, value)                                                            \
	"--xyz\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" file "\"\r\n" \
	"Content-Type: image/png\r\n\r\n" value "\r\n"
#define END "--xyz--\r\n"

struct feed {
	const char *p;
	size_t n, step;
	bool breaks; /* ends as a broken stream does */
};

static long
feed_read(void *arg, char *p, size_t n)
{
	struct feed *f = arg;

	if (f->n == 0)
		return f->breaks ? -1 : 0;
	n = n < f->step ? n : f->step;
	n = n < f->n ? n : f->n;
	memcpy(p, f->p, n);
	f->p += n;
	f->n -= n;
	return (long)n;
}

static enum problem
parse(struct arena *a, struct str type, struct feed *f, struct multipart *m)
{
	struct multipart_source src = {
		.read = feed_read, .arg = f, .max = 200000, .file_max = 100000, .tmp_dir = "/tmp"
	};
	struct err err = { 0 };

	return multipart_parse(a, type, &src, m, &err);
}

static enum problem
parse_text(struct arena *a, const char *text, struct multipart *m)
{
	struct feed f = { text, strlen(text), 1000, false };

	return parse(a, STR(TYPE), &f, m);
}

static void
fields_and_files_are_told_apart(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct multipart m;
	char content[16];

	(void)state;
	assert_int_equal(parse_text(a,
				 FIELD_PART("title", "Silla")
					 FILE_PART("image", "a.png", "PNG--xyz\r\n--xy") END,
				 &m),
		P_OK);
	assert_int_equal(m.n, 2);
	assert_str(multipart_find(&m, "title")->text, "Silla");
	const struct part *file = multipart_find(&m, "image");
	assert_true(file->is_file);
	assert_str(file->filename, "a.png");
	assert_str(file->content_type, "image/png");
	assert_int_equal(file->size, 14);
	assert_int_equal(read(file->fd, content, sizeof(content)), 14);
	assert_memory_equal(content, "PNG--xyz\r\n--xy", 14);
	assert_null(multipart_find(&m, "other"));
	arena_free(a);
}

static void
the_size_of_the_pieces_does_not_matter(void **state)
{
	static const char body[] =
		FIELD_PART("a", "1\r\n2") FILE_PART("f", "x \\\"y\\\".png", "\r\n--xy\r\n-") END;

	(void)state;
	for (size_t step = 1; step < sizeof(body); step++) {
		struct arena *a = arena_new(1 << 20);
		struct feed f = { body, sizeof(body) - 1, step, false };
		struct multipart m;
		assert_int_equal(parse(a, STR(TYPE), &f, &m), P_OK);
		assert_str(m.v[0].text, "1\r\n2");
		assert_str(m.v[1].filename, "x \"y\".png");
		assert_int_equal(m.v[1].size, 9);
		arena_free(a);
	}
}

static void
broken_bodies_are_refused(void **state)
{
	static const char *const bodies[] = {
		"",
		"--xyz",
		"--xyz--",
		"preamble\r\n" FIELD_PART("a", "1") END,
		FIELD_PART("a", "1"),
		FIELD_PART("a", "1") "--xyz",
		FIELD_PART("a", "1") "--xyzz--",
		FIELD_PART("a", "1") END "more",
		FIELD_PART("a", "1") FIELD_PART("a", "2") END,
		FIELD_PART("a", "1") FILE_PART("a", "f.png", "2") END,
		FIELD_PART("", "1") END,
		"--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n" END,
		"--xyz\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n" END,
		"--xyz\r\nno colon\r\n\r\n1\r\n" END,
		"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: "
		"multipart/mixed\r\n\r\n1\r\n" END,
		"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n1\r\n" END,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct arena *a = arena_new(1 << 20);
		struct multipart m;
		enum problem p = parse_text(a, bodies[i], &m);
		/* The shortest whole body has no part at all. */
		assert_int_equal(p, i == 2 ? P_OK : P_BAD_MULTIPART);
		arena_free(a);
	}
}

static void
boundaries_are_checked(void **state)
{
	static const char *const types[] = {
		"multipart/form-data",
		"multipart/form-data; boundary=",
		"multipart/form-data; boundary=\"\"",
		"multipart/form-data; "
		"boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct arena *a = arena_new(1 << 20);
		struct feed f = { END, sizeof(END) - 1, 10, false };
		struct multipart m;
		assert_int_equal(parse(a, str_of(types[i]), &f, &m), P_BAD_MULTIPART);
		arena_free(a);
	}
}

static void
a_stream_that_breaks_is_told(void **state)
{
	static const char body[] = FIELD_PART("a", "1");
	struct arena *a = arena_new(1 << 20);
	struct feed f = { body, sizeof(body) - 1, 10, true };
	struct multipart m;

	(void)state;
	assert_int_equal(parse(a, STR(TYPE), &f, &m), P_BAD_BODY_LENGTH);
	arena_free(a);
}

static void
limits_of_parts_and_sizes_hold(void **state)
{
	struct arena *a = arena_new(4 << 20);
	struct multipart m;
	struct buf b;

	(void)state;
	buf_init(&b, a, 1 << 20);
	for (int i = 0; i <= LIMIT_PARTS; i++)
		buf_printf(&b, "--xyz\r\nContent-Disposition: form-data; name=\"f%d\"\r\n\r\nx\r\n",
			i);
	buf_puts(&b, END);
	assert_int_equal(parse_text(a, b.p, &m), P_BAD_MULTIPART);
	buf_clear(&b);
	buf_puts(&b, "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n");
	for (int i = 0; i < 100001; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\r\n" END);
	assert_int_equal(parse_text(a, b.p, &m), P_TOO_LARGE);
	buf_clear(&b);
	buf_puts(&b, "--xyz\r\nX-Long: ");
	for (int i = 0; i < LIMIT_PART_HEADERS; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\r\n\r\n1\r\n" END);
	assert_int_equal(parse_text(a, b.p, &m), P_BAD_MULTIPART);
	arena_free(a);
}

static void
several_files_may_share_a_name(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct multipart m;

	(void)state;
	assert_int_equal(
		parse_text(a, FILE_PART("files", "a.png", "1") FILE_PART("files", "b.png", "2") END,
			&m),
		P_OK);
	assert_int_equal(m.n, 2);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_files_are_told_apart),
		cmocka_unit_test(the_size_of_the_pieces_does_not_matter),
		cmocka_unit_test(broken_bodies_are_refused),
		cmocka_unit_test(boundaries_are_checked),
		cmocka_unit_test(a_stream_that_breaks_is_told),
		cmocka_unit_test(limits_of_parts_and_sizes_hold),
		cmocka_unit_test(several_files_may_share_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
