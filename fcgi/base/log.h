/*
 * One JSON object per line on standard error. Levels: error, warn, info, debug.
 * Control bytes and quotes in values are escaped, so a value can never start a
 * second record. The libraries below http never log: they return a struct err.
 */
#ifndef PLAZA_BASE_LOG_H
#define PLAZA_BASE_LOG_H

#include "base/str.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `component` is the program's name and is kept, not copied. */
void log_init(const char *component, enum log_level level);
bool log_enabled(enum log_level level);

/* A member of a record; make them with the L* macros. */
struct log_kv {
	const char *key;
	enum { LOG_STR, LOG_I64, LOG_BOOL } type;
	struct str s;
	int64_t i;
};
#define LSTR(k, v) ((struct log_kv){ .key = (k), .type = LOG_STR, .s = (v) })
#define LZ(k, v) ((struct log_kv){ .key = (k), .type = LOG_STR, .s = str_of(v) })
#define LI(k, v) ((struct log_kv){ .key = (k), .type = LOG_I64, .i = (int64_t)(v) })
#define LB(k, v) ((struct log_kv){ .key = (k), .type = LOG_BOOL, .i = (v) })

/*
 * log_event(LOG_INFO, "request", LSTR("path", path), LI("status", 200));
 * Written with one write(2) of at most 8 KiB; longer records lose their last members.
 */
#define log_event(level, event, ...)                                  \
	log_write((level), (event), (struct log_kv[]){ __VA_ARGS__ }, \
		sizeof((struct log_kv[]){ __VA_ARGS__ }) / sizeof(struct log_kv))
void log_write(enum log_level level, const char *event, const struct log_kv *kv, size_t n);

#endif
