/* What the commands of plazactl share. */
#ifndef PLAZA_CTL_CTL_H
#define PLAZA_CTL_CTL_H

#include "base/arena.h"
#include "base/err.h"
#include "io/conf.h"
#include "io/db.h"

#define CTL_SECRET_MIN 32 /* bytes of the broker's and the links' secrets */

struct ctl {
	const char *conf_path;
	const char *role; /* database role, -U */
	struct conf *conf;
	struct arena *arena;
	struct err err;
};

/* Commands: arguments behind their name, exit status. CTL_USAGE prints how to call them. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };
int ctl_migrate(struct ctl *c, int argc, char **argv);
int ctl_config_check(struct ctl *c, int argc, char **argv);
int ctl_doctor(struct ctl *c, int argc, char **argv);

/* Prints the error of c->err behind `what`; returns CTL_FAILED. */
int ctl_fail(const struct ctl *c, const char *what);
/* A connection as c->role; the caller closes it. */
struct db *ctl_db(const struct ctl *c, const char *role, bool bare);

#endif
