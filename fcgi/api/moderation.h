/* Shapes that the files of moderation share. */
#ifndef PLAZA_API_MODERATION_H
#define PLAZA_API_MODERATION_H

#include "http/schema.h"

/* What was done to a user. */
extern const struct schema sanction_out;

#endif
