/*
 * Configuration: lines of `key = value`, `#` comments, `include PATH`. Rows in
 * conf.def. An unknown or repeated key, a value out of bounds, or a secret file
 * that others can read is an error with file and line.
 */
#ifndef PLAZA_IO_CONF_H
#define PLAZA_IO_CONF_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CONF_T_STR const char *
#define CONF_T_INT int64_t
struct conf {
#define CONF(type, name, def, min, max, secret, text) CONF_T_##type name;
#include "io/conf.def"
#undef CONF
	struct arena *arena; /* owns the strings */
};

/* Reads the file over the defaults; NULL path = defaults only. NULL and err->detail on failure. */
struct conf *conf_load(const char *path, struct err *err);
void conf_free(struct conf *c);

/* How many entries a list has that is separated by commas; at least 1. */
size_t conf_items(const char *list);
/* Entry n of it, without the blanks around it; absent behind the last. */
struct str conf_item(const char *list, size_t n);

/* First line of a secret file without its newline; P_INTERNAL if missing, short (< min bytes) or
 * readable by others. */
enum problem conf_secret(struct conf *c, const char *path, size_t min, const char **out,
	struct err *err) __attribute__((warn_unused_result));

/* The sample file with every key commented out and explained. */
void conf_print_sample(struct buf *b);
/* mdoc list for plaza.conf(5). */
void conf_print_mdoc(struct buf *b);

#endif
