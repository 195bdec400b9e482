/*
 * Text encodings. All writers take the output buffer; all readers refuse what
 * is not exactly the encoding (no padding where none belongs, no stray bytes).
 */
#ifndef PLAZA_BASE_ENCODE_H
#define PLAZA_BASE_ENCODE_H

#include "base/buf.h"

/* base64url without padding (RFC 4648 section 5). */
void base64url_put(struct buf *b, const void *p, size_t n);
/* Decodes into the arena; false when s is not canonical base64url (trailing bits must be 0). */
bool base64url_get(struct arena *a, struct str s, struct str *out);
/* Lower-case hexadecimal. */
void hex_put(struct buf *b, const void *p, size_t n);
bool hex_get(struct arena *a, struct str s, struct str *out);
/* A JSON string with its quotes (RFC 8259 section 7); the input is UTF-8. */
void json_put(struct buf *b, struct str s);
/* RFC 3986 section 2.1, everything but unreserved characters. */
void url_put(struct buf *b, struct str s);
/*
 * Percent-decodes once; `plus` turns '+' into a space (form data). False on a
 * bad escape, a NUL or invalid UTF-8.
 */
bool url_get(struct arena *a, struct str s, bool plus, struct str *out);
/* Reads the code point at s.p[at], at < s.n; returns its bytes, or 0 when they are not well-formed.
 */
size_t utf8_next(struct str s, size_t at, uint32_t *out);
/* True when s is well-formed UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(struct str s);
/* Code points in well-formed UTF-8. */
size_t utf8_length(struct str s);
/*
 * True when s may be stored as text: UTF-8, no NUL, no C0 control except LF
 * and TAB (and CR when it precedes LF), no noncharacters.
 */
bool text_valid(struct str s);

#endif
