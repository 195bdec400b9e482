/*
 * The list of revoked sessions that the broker's plugin reads when it starts:
 * lines of "UID DID BEFORE". Written anew from PostgreSQL at every revocation.
 */
#ifndef PLAZA_INGEST_REVOKED_H
#define PLAZA_INGEST_REVOKED_H

#include "http/app.h"

/*
 * Does nothing when no revocations_file is configured; a failure is logged and the old
 * list stays.
 */
void revoked_write(struct app *app, struct arena *a);

#endif
