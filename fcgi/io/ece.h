/* The content coding aes128gcm (RFC 8188), writing only (OpenSSL). */
#ifndef PLAZA_IO_ECE_H
#define PLAZA_IO_ECE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define ECE_SALT 16
#define ECE_KEYID_MAX 255
#define ECE_RECORD_MIN 18 /* an empty text with its delimiter and tag */

struct ece {
	struct str ikm;         /* what both sides know */
	uint8_t salt[ECE_SALT]; /* never twice with the same ikm */
	uint32_t record;        /* bytes of a record, tag included */
	struct str keyid;       /* tells the reader which ikm */
	size_t pad;             /* zeros in the first record, against guessing by length */
};

/* Writes header and records; false when a limit is passed. */
bool ece_seal(struct buf *b, const struct ece *e, struct str text);

#endif
