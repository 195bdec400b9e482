/* fcgi/base/buf */
#include "base/buf.h"

#include "arena_kit.h"

static struct buf
make(size_t limit)
{
	struct buf b;

	buf_init(&b, arena, limit);
	return b;
}

static void
a_new_buffer_is_empty_text(void **state)
{
	struct buf b = make(10);

	(void)state;
	assert_false(b.failed);
	assert_str(buf_str(&b), "");
}

static void
every_writer_appends(void **state)
{
	struct buf b = make(1000);

	(void)state;
	buf_put(&b, "a\0b", 3);
	buf_puts(&b, "cd");
	buf_putstr(&b, STR("ef"));
	buf_putstr(&b, (struct str){ NULL, 0 });
	buf_putc(&b, 'g');
	buf_printf(&b, "%s=%03d", "h", 7);
	buf_puti(&b, -42);
	assert_false(b.failed);
	assert_str(buf_str(&b), "a\0bcdefgh=007-42");
	assert_int_equal(b.p[b.n], '\0');
}

static void
integers_are_written_up_to_their_bounds(void **state)
{
	struct buf b = make(1000);

	(void)state;
	buf_puti(&b, 0);
	buf_putc(&b, ' ');
	buf_puti(&b, INT64_MAX);
	buf_putc(&b, ' ');
	buf_puti(&b, INT64_MIN);
	assert_str(buf_str(&b), "0 9223372036854775807 -9223372036854775808");
}

static void
content_survives_growth(void **state)
{
	struct buf b = make(1000000);

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, (char)('a' + i % 26));
	assert_false(b.failed);
	assert_int_equal(b.n, 100000);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], 'a' + i % 26);
	assert_int_equal(b.p[b.n], '\0');
}

static void
a_view_made_before_a_write_stays_readable(void **state)
{
	struct buf b = make(100000);

	(void)state;
	buf_puts(&b, "first");
	struct str view = buf_str(&b);
	for (int i = 0; i < 5000; i++)
		buf_puts(&b, "more");
	assert_str(view, "first");
	/* A buffer may also be appended to itself. */
	buf_putstr(&b, buf_str(&b));
	assert_int_equal(b.n, 2 * (5 + 4 * 5000));
	assert_memory_equal(b.p + b.n / 2, "firstmore", 9);
}

static void
the_limit_can_be_reached_but_not_passed(void **state)
{
	static const size_t limits[] = { 0, 1, 2, 255, 256, 257, 511, 512, 513, 5000 };

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct buf b = make(limits[i]);

		for (size_t n = 0; n < limits[i]; n++)
			buf_putc(&b, 'x');
		assert_false(b.failed);
		assert_int_equal(b.n, limits[i]);
		buf_putc(&b, 'y');
		assert_true(b.failed);
		assert_int_equal(b.n, limits[i]);
	}
}

static void
a_write_that_does_not_fit_is_left_out_whole(void **state)
{
	struct buf b = make(8);

	(void)state;
	buf_puts(&b, "12345");
	buf_puts(&b, "6789");
	assert_true(b.failed);
	assert_str(buf_str(&b), "12345");
}

static void
nothing_is_written_after_a_failure(void **state)
{
	struct buf b = make(4);

	(void)state;
	buf_puts(&b, "12");
	buf_puts(&b, "345");
	buf_putc(&b, '3');
	buf_puti(&b, 4);
	buf_printf(&b, "%d", 5);
	assert_null(buf_reserve(&b, 1));
	buf_commit(&b, 1);
	assert_true(b.failed);
	assert_str(buf_str(&b), "12");
	assert_int_equal(b.p[2], '\0');
}

static void
formatted_text_respects_the_limit(void **state)
{
	struct buf b = make(5);

	(void)state;
	buf_printf(&b, "%s", "12345");
	assert_false(b.failed);
	buf_printf(&b, "%s", "");
	assert_false(b.failed);
	buf_printf(&b, "%c", '6');
	assert_true(b.failed);
	assert_str(buf_str(&b), "12345");
}

static void
huge_requests_fail_without_wrapping_around(void **state)
{
	struct buf b = make(100);

	(void)state;
	buf_puts(&b, "abc");
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_clear(&b);
	assert_null(buf_reserve(&b, 101));
	buf_clear(&b);
	assert_non_null(buf_reserve(&b, 100));
}

static void
a_clear_forgets_content_and_failure_but_keeps_the_memory(void **state)
{
	struct buf b = make(4);

	(void)state;
	buf_puts(&b, "1234");
	const char *memory = b.p;
	buf_putc(&b, '5');
	buf_clear(&b);
	assert_false(b.failed);
	assert_str(buf_str(&b), "");
	buf_puts(&b, "ab");
	assert_ptr_equal(b.p, memory);
	assert_string_equal(b.p, "ab");

	struct buf unused = make(4);
	buf_clear(&unused);
	assert_str(buf_str(&unused), "");
}

static void
reserved_room_becomes_content_by_commit(void **state)
{
	struct buf b = make(1000);

	(void)state;
	buf_puts(&b, "ab");
	char *room = buf_reserve(&b, 500);
	memset(room, 'c', 500);
	assert_int_equal(b.n, 2);
	buf_commit(&b, 3);
	assert_str(buf_str(&b), "abccc");
	assert_int_equal(b.p[5], '\0');
}

static void
commit_more_than_reserved(void)
{
	struct buf b = make(1000);

	buf_reserve(&b, 10);
	buf_commit(&b, 1000);
}

static void
commit_without_memory(void)
{
	struct buf b = make(1000);

	buf_commit(&b, 0);
}

static void
init_without_limit(void)
{
	struct buf b;

	buf_init(&b, arena, SIZE_MAX);
}

static void
misuse_ends_the_process(void **state)
{
	static void (*const ways[])(
		void) = { commit_more_than_reserved, commit_without_memory, init_without_limit };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		assert_true(aborts(ways[i], text, sizeof(text)));
		assert_non_null(strstr(text, "buf.c"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_buffer_is_empty_text),
		cmocka_unit_test(every_writer_appends),
		cmocka_unit_test(integers_are_written_up_to_their_bounds),
		cmocka_unit_test(content_survives_growth),
		cmocka_unit_test(a_view_made_before_a_write_stays_readable),
		cmocka_unit_test(the_limit_can_be_reached_but_not_passed),
		cmocka_unit_test(a_write_that_does_not_fit_is_left_out_whole),
		cmocka_unit_test(nothing_is_written_after_a_failure),
		cmocka_unit_test(formatted_text_respects_the_limit),
		cmocka_unit_test(huge_requests_fail_without_wrapping_around),
		cmocka_unit_test(a_clear_forgets_content_and_failure_but_keeps_the_memory),
		cmocka_unit_test(reserved_room_becomes_content_by_commit),
		cmocka_unit_test(misuse_ends_the_process),
	};

	return cmocka_run_group_tests_name("buf", tests, open_arena, close_arena);
}
