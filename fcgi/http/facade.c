/* Look-ups about the clients of older systems. */
#include "http/facade.h"

#include "http/route.h"

#include <string.h>

int
facade_status(const struct route *r, enum problem p)
{
	const struct facade *f = r ? r->facade : NULL;

	for (size_t i = 0; f && i < FACADE_STATUSES && f->statuses[i].problem; i++)
		if (f->statuses[i].problem == p)
			return f->statuses[i].status;
	return problem_info(p)->status;
}

const struct facade *
facade_by_name(const char *name)
{
	for (size_t i = 0; facades[i]; i++)
		if (strcmp(facades[i]->name, name) == 0)
			return facades[i];
	return NULL;
}
