/* Hashes, MACs and secret comparison (OpenSSL). */
#ifndef PLAZA_IO_DIGEST_H
#define PLAZA_IO_DIGEST_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(struct str data, uint8_t out[SHA256_BYTES]);
/* Hash of several pieces, each preceded by its length, so that borders cannot be moved. */
void sha256_parts(const struct str *parts, size_t n, uint8_t out[SHA256_BYTES]);
void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_BYTES]);
/*
 * Constant time in the content; false at once when the lengths differ or one is absent.
 * For secrets, always.
 */
bool secret_eq(struct str a, struct str b);

#endif
