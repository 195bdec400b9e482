/* fcgi/base/arena */
#include "base/arena.h"

#include "unit.h"

#define ROOMY ((size_t)16 * 1024 * 1024)

static void
a_piece_is_aligned_for_any_type(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	for (size_t n = 0; n < 100; n++)
		assert_int_equal((uintptr_t)arena_alloc(a, n) % _Alignof(max_align_t), 0);
	arena_free(a);
}

static void
pieces_do_not_overlap(void **state)
{
	enum { PIECES = 3000 };
	static unsigned char *pieces[PIECES];
	struct arena *a = arena_new(ROOMY);

	(void)state;
	/* Sizes from 1 to 20 kB: shared blocks, new blocks and blocks of their own take turns. */
	for (size_t i = 0; i < PIECES; i++) {
		size_t n = i % 50 == 0 ? 20000 : i % 97 + 1;

		pieces[i] = arena_alloc(a, n);
		memset(pieces[i], (int)(i % 251), n);
	}
	for (size_t i = 0; i < PIECES; i++) {
		size_t n = i % 50 == 0 ? 20000 : i % 97 + 1;

		for (size_t k = 0; k < n; k++)
			assert_int_equal(pieces[i][k], i % 251);
	}
	arena_free(a);
}

static void
calloc_gives_zeros_also_after_a_clear(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	memset(arena_alloc(a, 4096), 0xFF, 4096);
	arena_clear(a);
	const unsigned char *p = arena_calloc(a, 64, 64);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(p[i], 0);
	arena_free(a);
}

static void
a_copy_ends_with_a_nul(void **state)
{
	struct arena *a = arena_new(ROOMY);
	const char source[] = { 'a', '\0', 'b' };

	(void)state;
	const char *copy = arena_dup(a, source, sizeof(source));
	assert_ptr_not_equal(copy, source);
	assert_memory_equal(copy, "a\0b\0", 4);
	assert_string_equal(arena_dup(a, NULL, 0), "");
	arena_free(a);
}

static void
printf_makes_text_of_any_length(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	assert_string_equal(arena_printf(a, "%s-%d", "id", 7), "id-7");
	assert_string_equal(arena_printf(a, "%s", ""), "");
	const char *wide = arena_printf(a, "%*d", 100000, 5);
	assert_int_equal(strlen(wide), 100000);
	assert_int_equal(wide[99999], '5');
	arena_free(a);
}

static void
used_counts_since_the_last_clear(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	assert_int_equal(arena_used(a), 0);
	arena_alloc(a, 1000);
	arena_alloc(a, 100000);
	assert_in_range(arena_used(a), 101000, 101000 + 64);
	arena_clear(a);
	assert_int_equal(arena_used(a), 0);
	arena_free(a);
}

static void
a_cleared_arena_uses_its_first_block_again(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	const void *first = arena_alloc(a, 100);
	for (int i = 0; i < 1000; i++)
		arena_alloc(a, 1000);
	arena_clear(a);
	assert_ptr_equal(arena_alloc(a, 100), first);
	arena_free(a);
}

static void
the_limit_can_be_reached_again_after_a_clear(void **state)
{
	struct arena *a = arena_new(100000);

	(void)state;
	for (int round = 0; round < 3; round++) {
		arena_alloc(a, 60000);
		arena_alloc(a, 40000);
		arena_clear(a);
	}
	arena_free(a);
}

static char order[8];

static void
note(void *p)
{
	order[strlen(order)] = *(char *)p;
}

static struct arena *again_arena;

static void
note_and_defer_again(void *p)
{
	note(p);
	arena_defer(again_arena, note, p);
}

static void
deferred_calls_run_last_first_and_once(void **state)
{
	static char names[] = "abc";
	struct arena *a = arena_new(ROOMY);

	(void)state;
	memset(order, 0, sizeof(order));
	for (int i = 0; i < 3; i++)
		arena_defer(a, note, &names[i]);
	arena_clear(a);
	assert_string_equal(order, "cba");
	arena_clear(a);
	assert_string_equal(order, "cba");
	arena_defer(a, note, &names[0]);
	arena_free(a);
	assert_string_equal(order, "cbaa");
}

static void
a_deferred_call_may_defer_another(void **state)
{
	static char name[] = "x";

	(void)state;
	memset(order, 0, sizeof(order));
	again_arena = arena_new(ROOMY);
	arena_defer(again_arena, note_and_defer_again, name);
	arena_free(again_arena);
	assert_string_equal(order, "xx");
}

static void
read_a_deferred_piece(void *p)
{
	order[0] = *(char *)p;
}

static void
a_deferred_call_can_still_read_the_arena(void **state)
{
	struct arena *a = arena_new(ROOMY);

	(void)state;
	memset(order, 0, sizeof(order));
	arena_defer(a, read_a_deferred_piece, arena_dup(a, "z", 1));
	arena_free(a);
	assert_string_equal(order, "z");
}

static void
freeing_nothing_is_fine(void **state)
{
	(void)state;
	arena_free(NULL);
}

static void
pass_the_limit(void)
{
	arena_alloc(arena_new(1000), 1009);
}

static void
pass_the_limit_in_steps(void)
{
	struct arena *a = arena_new(1000);

	for (int i = 0; i < 64; i++)
		arena_alloc(a, 16);
}

static void
ask_for_everything(void)
{
	struct arena *a = arena_new(ROOMY);

	arena_alloc(a, 1);
	arena_alloc(a, SIZE_MAX);
}

static void
overflow_the_product(void)
{
	arena_calloc(arena_new(ROOMY), SIZE_MAX / 2, 3);
}

static void
copy_everything(void)
{
	arena_dup(arena_new(ROOMY), "", SIZE_MAX);
}

static void
make_without_limit(void)
{
	arena_new(SIZE_MAX);
}

static void
passing_the_limit_ends_the_process_with_a_message(void **state)
{
	static void (*const ways[])(void) = { pass_the_limit, pass_the_limit_in_steps,
		ask_for_everything, overflow_the_product, copy_everything, make_without_limit };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		assert_true(aborts(ways[i], text, sizeof(text)));
		assert_non_null(strstr(text, "\"check_failed\""));
		assert_non_null(strstr(text, "arena.c"));
	}
}

static void
every_request_up_to_the_limit_is_served(void **state)
{
	enum { LIMIT = 70000 };
	struct arena *a = arena_new(LIMIT);

	(void)state;
	/* One byte, one block, all: the sum of the parts is the limit whatever the parts are. */
	for (size_t part = 1; part <= LIMIT; part = part * 3 + 1) {
		size_t rounded = (part + 15) / 16 * 16;

		for (size_t left = LIMIT; left >= rounded; left -= rounded)
			memset(arena_alloc(a, part), 1, part);
		arena_clear(a);
	}
	arena_free(a);
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static void
only_what_was_handed_out_may_be_touched(void **state)
{
	static const size_t sizes[] = { 1, 5, 16, 100, 8000, 40000 };
	struct arena *a = arena_new(ROOMY);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *p = arena_alloc(a, sizes[i]);

		assert_null(__asan_region_is_poisoned(p, sizes[i]));
		assert_true(__asan_address_is_poisoned(p + sizes[i]));
	}
	const char *stale = arena_alloc(a, 1);
	arena_clear(a);
	assert_true(__asan_address_is_poisoned(stale));
	arena_free(a);
}
#else
static void
ask_for_more_than_the_machine_has(void)
{
	arena_alloc(arena_new(SIZE_MAX / 2), SIZE_MAX / 4);
}

/* The sanitizer ends the process in malloc() itself, in its own way. */
static void
a_machine_without_memory_ends_the_process(void **state)
{
	char text[1024];

	(void)state;
	assert_true(aborts(ask_for_more_than_the_machine_has, text, sizeof(text)));
	assert_non_null(strstr(text, "block != NULL"));
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_is_aligned_for_any_type),
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(calloc_gives_zeros_also_after_a_clear),
		cmocka_unit_test(a_copy_ends_with_a_nul),
		cmocka_unit_test(printf_makes_text_of_any_length),
		cmocka_unit_test(used_counts_since_the_last_clear),
		cmocka_unit_test(a_cleared_arena_uses_its_first_block_again),
		cmocka_unit_test(the_limit_can_be_reached_again_after_a_clear),
		cmocka_unit_test(deferred_calls_run_last_first_and_once),
		cmocka_unit_test(a_deferred_call_may_defer_another),
		cmocka_unit_test(a_deferred_call_can_still_read_the_arena),
		cmocka_unit_test(freeing_nothing_is_fine),
		cmocka_unit_test(passing_the_limit_ends_the_process_with_a_message),
		cmocka_unit_test(every_request_up_to_the_limit_is_served),
#ifdef __SANITIZE_ADDRESS__
		cmocka_unit_test(only_what_was_handed_out_may_be_touched),
#else
		cmocka_unit_test(a_machine_without_memory_ends_the_process),
#endif
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
