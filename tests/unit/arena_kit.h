/* An arena that the tests of a group share. */
#ifndef PLAZA_TESTS_ARENA_KIT_H
#define PLAZA_TESTS_ARENA_KIT_H

#include "base/arena.h"
#include "unit.h"

#define GROUP_ARENA ((size_t)256 * 1024 * 1024)

static struct arena *arena;

static int
open_arena(void **state)
{
	(void)state;
	arena = arena_new(GROUP_ARENA);
	return 0;
}

static int
close_arena(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

#endif
