/* What the two files of LiveMarket Chat share. */
#ifndef PLAZA_API_LIVEMARKET_H
#define PLAZA_API_LIVEMARKET_H

#include "api/compat.h"

extern const char *const lm_done[];

/* A shape whose data may have more members than are named, those of the canonical document. */
#define LM_DATA(n, f)                                                                         \
	{                                                                                     \
		.name = (n), .fields = (f), .count = sizeof(f) / sizeof((f)[0]), .open = true \
	}
#define LM_ENVELOPE OUT("status", T_ENUM, .values = lm_done), OUT("message", T_TEXT)

#define LM_ENVELOPE_OF(var, name, what)                           \
	static const struct field var##_fields[] = { LM_ENVELOPE, \
		OUT("data", T_OBJECT, .of = &(what)) };           \
	static const struct schema var = SCHEMA_OUT(name, var##_fields)

/* Begins an answer, whose data may follow; lm_end finishes it. */
void lm_begin(struct request *req, struct buf *b, struct jsonw *w, const char *en, const char *es);
enum problem lm_end(struct request *req, struct buf *b, struct jsonw *w);
/* An answer without data. */
enum problem lm_answer_plain(struct request *req, const char *en, const char *es);
extern const struct schema lm_plain;
/* A link to a file from its canonical document; good for ten minutes. */
struct str lm_file_url(struct request *req, const struct json *file);

#define LM .facade = &livemarket, .at = AT_BARE
#define LM_USER LM, .roles = ROLE_ANY

#endif
