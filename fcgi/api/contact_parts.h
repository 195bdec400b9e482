/* What the files of the contact detector share. Not for others. */
#ifndef PLAZA_API_CONTACT_PARTS_H
#define PLAZA_API_CONTACT_PARTS_H

#include "api/contact.h"

#include <stdbool.h>

/* Meanings of words, rows of contact_words.def. */
enum {
	W_DIGIT = 1 << 0,      /* a number in words: a digit, tens by their first one, 10 to 19 */
	W_JOINER = 1 << 2,     /* said between digits */
	W_AT = 1 << 3,         /* @ */
	W_AT_WEAK = 1 << 4,    /* @ only where the rest is an address */
	W_AT_BRACKET = 1 << 5, /* @ when in brackets */
	W_DOT = 1 << 6,
	W_PROVIDER = 1 << 7,   /* of mailboxes */
	W_TLD = 1 << 8,        /* last label of a domain */
	W_TLD_SPOKEN = 1 << 9, /* also behind a dot in words */
	W_TLD_WEAK = 1 << 10,  /* an ordinary word too */
	W_SCHEME = 1 << 11,
	W_WWW = 1 << 12,
	W_SHORT = 1 << 13,   /* before ".me": links of messengers */
	W_SERVICE = 1 << 14, /* where people have names */
	W_CUE = 1 << 15,     /* a telephone number follows */
	W_COPULA = 1 << 16,  /* between a service and the name there */
	W_MINE = 1 << 17,
	W_PLAIN = 1 << 18, /* no name, whatever it stands behind */
	W_LABEL = 1 << 19, /* the number of something else follows */
	W_MONEY = 1 << 20,
	W_UNIT = 1 << 21
};

enum token_kind { TOKEN_WORD, TOKEN_NUMBER, TOKEN_SIGN };

#define TOKEN_TEXT 24 /* longer words have no meaning here */

struct token {
	enum token_kind kind;
	uint32_t sign;    /* of a TOKEN_SIGN */
	unsigned meaning; /* of a TOKEN_WORD, W_… */
	int digit;        /* of a W_DIGIT */
	bool taken;       /* belongs to a date, a time, a price */
	bool odd;         /* a word with a digit or an underscore in it */
	bool apart;       /* there is space before it */
	size_t spaces;    /* so much */
	size_t from, to;  /* code points */
	char text[TOKEN_TEXT];
};

struct tokens {
	struct token *v;
	size_t n;
};

struct contact_found {
	struct contact_hit *hits;
	size_t max, n;
};

void tokens_read(struct arena *a, const struct folded *f, struct tokens *out);
/* Token i is this sign. */
bool is_sign(const struct tokens *t, size_t i, uint32_t sign);
/* Token i is a word with one of these meanings. */
bool means(const struct tokens *t, size_t i, unsigned meanings);
void contact_add(struct contact_found *found, enum contact_class what, size_t from, size_t to);
/* The two halves of contact_find(). */
void contact_addresses(const struct folded *f, const struct tokens *t, struct str own_host,
	struct contact_found *found);
void contact_numbers(struct tokens *t, size_t digits_min, struct contact_found *found);

#endif
