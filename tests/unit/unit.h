/*
 * What every unit test includes: cmocka with what it needs, and tests of a process
 * that must end.
 */
#ifndef PLAZA_TESTS_UNIT_H
#define PLAZA_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define assert_str(s, z)                                               \
	do {                                                           \
		struct str got_ = (s);                                 \
		assert_non_null(got_.p);                               \
		assert_int_equal(got_.n, sizeof(z) - 1);               \
		if (sizeof(z) > 1)                                     \
			assert_memory_equal(got_.p, z, sizeof(z) - 1); \
	} while (0)

/*
 * Runs fn in a child; true when it ended by abort(). What it wrote to standard
 * error comes back in `text`, cut to its size.
 */
static inline bool
aborts(void (*fn)(void), char *text, size_t size)
{
	int fds[2];
	int status = 0;
	size_t n = 0;
	ssize_t got;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (n < size - 1 && (got = read(fds[0], text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
