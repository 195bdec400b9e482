/*
 * CHECK(x): a condition that only a programming error can break. Active in
 * every build. A failure logs the place and the context set by check_context()
 * and ends the process; its supervisor starts a new one.
 */
#ifndef PLAZA_BASE_CHECK_H
#define PLAZA_BASE_CHECK_H

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))

/* NUL-terminated text printed by a failure, e.g. "route=POST /orders id=…"; the pointer is kept. */
void check_context(const char *text);
_Noreturn void check_failed(const char *expr, const char *file, int line);

#endif
