/* The table of problems and the filling of error details. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct problem_info problems[P_COUNT] = {
	[P_OK] = { "", 200, "", "", "" },
#define PROBLEM(id, status, slug, title_en, title_es, meaning) \
	[P_##id] = { slug, status, title_en, title_es, meaning },
#include "base/problems.def"
#undef PROBLEM
};

const struct problem_info *
problem_info(enum problem p)
{
	/* A number that is no problem can only come from a bug here. */
	return &problems[p < P_COUNT ? p : P_INTERNAL];
}

enum problem
problem_by_slug(const char *slug)
{
	for (enum problem p = P_OK + 1; p < P_COUNT; p++) {
		if (strcmp(problems[p].slug, slug) == 0)
			return p;
	}
	return P_OK;
}

/* Cuts at `size`, but never inside a UTF-8 sequence: the text may become JSON. */
__attribute__((format(printf, 3, 0))) static void
format(char *out, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, size, fmt, ap);

	if (n < 0) {
		out[0] = '\0';
		return;
	}
	if ((size_t)n < size)
		return;

	size_t end = size - 1;
	size_t lead = end;

	while (lead > 0 && ((unsigned char)out[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (lead == 0 || (unsigned char)out[lead - 1] < 0xC0)
		return;

	unsigned char first = (unsigned char)out[lead - 1];
	size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;

	if (lead - 1 + length > end)
		out[lead - 1] = '\0';
}

__attribute__((format(printf, 3, 4))) static void
print(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(out, size, fmt, ap);
	va_end(ap);
}

static void
record(struct err *e, enum problem p, const char *file, int line)
{
	e->problem = p;
	e->file = file;
	e->line = line;
}

void
err_set(struct err *e, enum problem p, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	record(e, p, file, line);
	va_start(ap, fmt);
	format(e->log, sizeof(e->log), fmt, ap);
	va_end(ap);
}

void
err_say(struct err *e, enum problem p, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	record(e, p, file, line);
	va_start(ap, fmt);
	format(e->detail, sizeof(e->detail), fmt, ap);
	va_end(ap);
}

void
err_field(struct err *e, const char *pointer, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->field_count == ERR_FIELDS_MAX)
		return;

	struct err_field *field = &e->fields[e->field_count++];

	print(field->pointer, sizeof(field->pointer), "%s", pointer);
	print(field->code, sizeof(field->code), "%s", code);
	va_start(ap, fmt);
	format(field->detail, sizeof(field->detail), fmt, ap);
	va_end(ap);
}

void
err_clear(struct err *e)
{
	/* The fields are several kilobytes; their count says that none is set. */
	e->problem = P_OK;
	e->detail[0] = '\0';
	e->log[0] = '\0';
	e->file = NULL;
	e->line = 0;
	e->retry_after_s = 0;
	e->field_count = 0;
}
