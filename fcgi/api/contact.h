/*
 * Finds what lets two people go on without us: telephone numbers, e-mail
 * addresses, links, names at other services; also when they are disguised
 * ("juan arroba gmail punto com", "0 9 9 …", "nueve nueve …"). Prices, sizes,
 * dates and order numbers are none. Works on folded text in linear time.
 */
#ifndef PLAZA_API_CONTACT_H
#define PLAZA_API_CONTACT_H

#include "base/arena.h"
#include "base/str.h"
#include "io/fold.h"

#include <stddef.h>

enum contact_class { CONTACT_PHONE, CONTACT_EMAIL, CONTACT_URL, CONTACT_HANDLE, CONTACT_CLASSES };
extern const char *const contact_names[CONTACT_CLASSES + 1];

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15 /* E.164 */

struct contact_tuning {
	size_t phone_digits; /* fewest of a number that nothing else tells to be one */
	struct str own_host; /* links to it are welcome; absent = none */
};

/* Code points from..to of the text. */
struct contact_hit {
	enum contact_class what;
	size_t from, to;
};

/* The first `max` hits of all classes; returns how many there are. */
size_t contact_find(struct arena *a, const struct folded *f, const struct contact_tuning *t,
	struct contact_hit *hits, size_t max);

#endif
