/* The end of a process that met an impossible state. */
#include "base/check.h"

#include <stdlib.h>

#include "base/log.h"

static const char *context;

void
check_context(const char *text)
{
	context = text;
}

void
check_failed(const char *expr, const char *file, int line)
{
	log_event(LOG_ERROR, "check_failed", LZ("check", expr), LZ("file", file), LI("line", line),
		LZ("context", context));
	abort();
}
