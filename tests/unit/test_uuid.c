/* fcgi/base/uuid */
#include "base/uuid.h"

#include "base/clock.h"
#include "unit.h"

/* The example of RFC 9562, appendix A.6. */
static const char example[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

static void
text_and_bytes_convert_both_ways(void **state)
{
	static const uint8_t bytes[16] = { 0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3, 0x98,
		0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f };
	struct uuid u;
	char text[UUID_TEXT + 1];

	(void)state;
	assert_true(uuid_parse(str_of(example), &u));
	assert_memory_equal(u.b, bytes, sizeof(bytes));
	uuid_text(&u, text);
	assert_string_equal(text, example);
}

static void
capitals_are_read_but_not_written(void **state)
{
	struct uuid u;
	char text[UUID_TEXT + 1];

	(void)state;
	assert_true(uuid_parse(STR("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), &u));
	uuid_text(&u, text);
	assert_string_equal(text, example);
}

static void
anything_else_leaves_the_output_alone(void **state)
{
	static const char *const bad[] = {
		NULL,
		"",
		"017f22e2",
		"017f22e279b07cc398c4dc0c0c07398f",
		"{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"017f22e2 79b0-7cc3-98c4-dc0c0c07398f",
		"017f22e-279b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4--c0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c0739 f",
	};
	struct uuid before;
	struct uuid u;

	(void)state;
	memset(&before, 0x5A, sizeof(before));
	u = before;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_false(uuid_parse(str_of(bad[i]), &u));
		assert_true(uuid_eq(&u, &before));
	}
}

static void
every_place_refuses_every_foreign_byte(void **state)
{
	struct uuid u;

	(void)state;
	for (size_t at = 0; at < UUID_TEXT; at++) {
		for (int c = 0; c < 256; c++) {
			char text[UUID_TEXT + 1];
			bool hyphen = at == 8 || at == 13 || at == 18 || at == 23;
			bool digit = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;

			memcpy(text, example, sizeof(text));
			text[at] = (char)c;
			assert_int_equal(uuid_parse((struct str){ text, UUID_TEXT }, &u),
				hyphen ? c == '-' : digit);
		}
	}
}

static void
a_new_id_has_version_7_and_the_time(void **state)
{
	int64_t before = clock_unix_ms();
	struct uuid u = uuid_new();
	int64_t after = clock_unix_ms();
	int64_t ms = 0;

	(void)state;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u.b[i];
	assert_in_range(ms, before, after);
	assert_int_equal(u.b[6] >> 4, 7);
	assert_int_equal(u.b[8] >> 6, 2);
}

static void
new_ids_differ_and_sort_by_time(void **state)
{
	enum { IDS = 500 };
	struct uuid ids[IDS];

	(void)state;
	for (size_t i = 0; i < IDS; i++)
		ids[i] = uuid_new();
	for (size_t i = 0; i < IDS; i++) {
		for (size_t k = 0; k < i; k++)
			assert_false(uuid_eq(&ids[i], &ids[k]));
	}
	assert_int_equal(usleep(2000), 0);
	struct uuid later = uuid_new();
	for (size_t i = 0; i < IDS; i++)
		assert_true(memcmp(later.b, ids[i].b, 6) > 0);
}

static void
all_other_bits_are_random(void **state)
{
	uint8_t set[10] = { 0 };
	uint8_t clear[10] = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct uuid u = uuid_new();

		for (size_t k = 0; k < 10; k++) {
			set[k] |= u.b[k + 6];
			clear[k] |= (uint8_t)~u.b[k + 6];
		}
	}
	for (size_t k = 0; k < 10; k++) {
		/* Fixed: the version in the upper half of byte 6, the variant in two bits of 8. */
		uint8_t fixed = k == 0 ? 0xF0 : k == 2 ? 0xC0 : 0;

		assert_int_equal((set[k] & clear[k]) | fixed, 0xFF);
	}
}

static void
only_zeros_are_nil(void **state)
{
	struct uuid u = { { 0 } };

	(void)state;
	assert_true(uuid_is_nil(&u));
	u.b[15] = 1;
	assert_false(uuid_is_nil(&u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_bytes_convert_both_ways),
		cmocka_unit_test(capitals_are_read_but_not_written),
		cmocka_unit_test(anything_else_leaves_the_output_alone),
		cmocka_unit_test(every_place_refuses_every_foreign_byte),
		cmocka_unit_test(a_new_id_has_version_7_and_the_time),
		cmocka_unit_test(new_ids_differ_and_sort_by_time),
		cmocka_unit_test(all_other_bits_are_random),
		cmocka_unit_test(only_zeros_are_nil),
	};

	return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
