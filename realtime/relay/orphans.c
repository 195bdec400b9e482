/* Stored files that no row names are removed when they are a day old. */
#include "relay/relay.h"

#include "base/clock.h"
#include "io/blob.h"
#include "io/db.h"
#include "queries.h"

#define ORPHAN_AGE_S 86400 /* far more than lies between a file and its row */
#define ORPHAN_NAMES 500

enum problem
orphans_remove(struct relay *r, struct rows **rows, struct err *err)
{
	struct blob_name found[ORPHAN_NAMES], blob;
	struct str names[ORPHAN_NAMES], name, rest;
	size_t n;

	enum problem p =
		blob_old(r->blobs, clock_unix_s() - ORPHAN_AGE_S, found, ORPHAN_NAMES, &n, err);
	if (p)
		return p;
	for (size_t i = 0; i < n; i++)
		names[i] = str_of(found[i].z);
	p = q_job_orphans(r->db, &(struct q_job_orphans){ .names = { names, n } }, rows, err);
	if (p)
		return p;
	rest = rows_str(*rows, 0, Q_JOB_ORPHANS_NAMES);
	while (!p && rest.n > 0) {
		str_cut(rest, ' ', &name, &rest);
		if (blob_name_parse(name, &blob))
			p = blob_remove(r->blobs, &blob, err);
	}
	return p;
}
