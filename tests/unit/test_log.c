/* fcgi/base/log */
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/encode.h"
#include "unit.h"

#define RECORD_MAX 8192
#define TAIL_TRUNCATED ",\"truncated\":true}"

static char record[4 * RECORD_MAX];

/*
 * While a record is made, standard error is one end of a datagram socket: each
 * write(2) arrives as one datagram, so the datagrams count the writes.
 */
static int sockets[2];
static int saved_stderr;

static int
open_sockets(void **state)
{
	(void)state;
	saved_stderr = dup(STDERR_FILENO);
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sockets);
}

static int
close_sockets(void **state)
{
	(void)state;
	close(saved_stderr);
	close(sockets[0]);
	close(sockets[1]);
	return 0;
}

static int
reset_log(void **state)
{
	(void)state;
	log_init("unit", LOG_INFO);
	return 0;
}

#define RECORDED(call)                             \
	do {                                       \
		dup2(sockets[1], STDERR_FILENO);   \
		call;                              \
		dup2(saved_stderr, STDERR_FILENO); \
	} while (0)

/* The next record without its newline; NULL when there is none. */
static const char *
next_record(void)
{
	ssize_t n = read(sockets[0], record, sizeof(record) - 1);

	if (n < 0)
		return NULL;
	assert_true(n > 2);
	record[n] = '\0';
	/* One line: nothing is a control byte but the last, and all of it is UTF-8. */
	for (ssize_t i = 0; i < n - 1; i++)
		assert_false(iscntrl((unsigned char)record[i]));
	assert_int_equal(record[n - 1], '\n');
	record[n - 1] = '\0';
	assert_int_equal(strlen(record), n - 1);
	assert_true(utf8_valid(str_of(record)));
	assert_int_equal(record[0], '{');
	assert_int_equal(record[n - 2], '}');
	return record;
}

static void
a_record_begins_with_time_level_component_and_event(void **state)
{
	(void)state;
	RECORDED(log_event(LOG_WARN, "started", LI("pid", 7)));
	const char *r = next_record();
	assert_non_null(r);
	assert_memory_equal(r, "{\"time\":\"20", 11);
	assert_string_equal(strchr(r, ',') + 1,
		"\"level\":\"warn\",\"component\":\"unit\",\"event\":\"started\",\"pid\":7}");
	assert_null(next_record());
}

static void
each_kind_of_value_has_its_json_form(void **state)
{
	(void)state;
	RECORDED(log_event(LOG_ERROR, "e", LZ("z", "text"), LSTR("s", ((struct str){ "abc", 2 })),
		LI("min", INT64_MIN), LB("yes", true), LB("no", false), LZ("none", (char *)NULL)));
	const char *r = next_record();
	assert_non_null(r);
	assert_string_equal(strstr(r, "\"z\""), "\"z\":\"text\",\"s\":\"ab\",\"min\":-"
						"9223372036854775808,\"yes\":true,\"no\":false,"
						"\"none\":null}");
}

static void
levels_below_the_threshold_write_nothing(void **state)
{
	static const enum log_level levels[] = { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

	(void)state;
	for (size_t set = 0; set < COUNT(levels); set++) {
		log_init("unit", levels[set]);
		for (size_t use = 0; use < COUNT(levels); use++) {
			assert_int_equal(log_enabled(levels[use]), use <= set);
			RECORDED(log_event(levels[use], "e", LI("i", 1)));
			if (use <= set)
				assert_non_null(next_record());
			assert_null(next_record());
		}
	}
}

static void
no_value_can_start_a_second_record(void **state)
{
	static const char forged[] = "x\"}\n{\"level\":\"error\",\"event\":\"forged\"}\r\n";

	(void)state;
	RECORDED(log_event(LOG_INFO, "request", LZ("path", forged)));
	const char *r = next_record();
	assert_non_null(r);
	assert_null(strstr(r, "\"event\":\"forged\""));
	assert_non_null(strstr(r, "\\n{\\\"level\\\""));
	assert_null(next_record());
}

static void
every_byte_is_safe_in_every_place(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char raw[] = { 'a', (char)c, 'b', (char)c, '\0' };
		struct str s = { raw, 4 };

		RECORDED(log_event(LOG_INFO, raw, LSTR(raw, s), LSTR("\n", s)));
		assert_non_null(next_record());
		assert_null(next_record());
	}
}

static void
line_ends_beyond_ascii_are_escaped(void **state)
{
	(void)state;
	RECORDED(log_event(LOG_INFO, "e",
		LZ("v", "a\xC2\x85"
			"b\xE2\x80\xA8"
			"c\xE2\x80\xA9"
			"d")));
	const char *r = next_record();
	assert_non_null(r);
	assert_non_null(strstr(r, "\"a\\u0085b\\u2028c\\u2029d\""));
}

static void
a_long_record_loses_its_last_members_only(void **state)
{
	static char big[3 * RECORD_MAX];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	RECORDED(log_event(LOG_INFO, "e", LI("first", 1), LZ("big", big), LI("last", 2)));
	const char *r = next_record();
	assert_non_null(r);
	assert_string_equal(strstr(r, "\"first\""), "\"first\":1" TAIL_TRUNCATED);
	assert_null(next_record());
}

/* Values of `fill` around the length at which the record becomes too long. */
static void
grow_through_the_limit(char fill, size_t middle)
{
	static char big[2 * RECORD_MAX];
	unsigned whole = 0;
	unsigned marked = 0;

	memset(big, fill, sizeof(big));
	for (size_t n = middle - 150; n < middle + 150; n++) {
		struct str s = { big, n };

		RECORDED(log_event(LOG_INFO, "e", LSTR("big", s)));
		const char *r = next_record();
		assert_non_null(r);
		assert_true(strlen(r) + 1 <= RECORD_MAX);
		assert_null(next_record());
		if (strstr(r, "\"big\"")) {
			assert_null(strstr(r, TAIL_TRUNCATED));
			whole++;
		} else {
			assert_non_null(strstr(r, "\"event\":\"e\"" TAIL_TRUNCATED));
			marked++;
		}
	}
	assert_in_range(whole, 1, 299);
	assert_int_equal(whole + marked, 300);
}

static void
a_record_of_any_length_is_whole_or_marked(void **state)
{
	(void)state;
	grow_through_the_limit('x', RECORD_MAX - 130);
	/* Quotes double when they are escaped; no cut may fall between the two bytes. */
	grow_through_the_limit('"', RECORD_MAX / 2 - 65);
}

static void
a_log_that_cannot_be_written_is_no_reason_to_stop(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	log_event(LOG_INFO, "e", LI("i", 1));
	int error = errno;
	dup2(saved_stderr, STDERR_FILENO);
	assert_int_equal(error, EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			a_record_begins_with_time_level_component_and_event, reset_log),
		cmocka_unit_test_setup(each_kind_of_value_has_its_json_form, reset_log),
		cmocka_unit_test_setup(levels_below_the_threshold_write_nothing, reset_log),
		cmocka_unit_test_setup(no_value_can_start_a_second_record, reset_log),
		cmocka_unit_test_setup(every_byte_is_safe_in_every_place, reset_log),
		cmocka_unit_test_setup(line_ends_beyond_ascii_are_escaped, reset_log),
		cmocka_unit_test_setup(a_long_record_loses_its_last_members_only, reset_log),
		cmocka_unit_test_setup(a_record_of_any_length_is_whole_or_marked, reset_log),
		cmocka_unit_test_setup(
			a_log_that_cannot_be_written_is_no_reason_to_stop, reset_log),
	};

	return cmocka_run_group_tests_name("log", tests, open_sockets, close_sockets);
}
