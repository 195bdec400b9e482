/*
 * What the administrators' rules make of a message, whichever door it came
 * through, and of what users write for everybody: names, titles, descriptions. The rules stay in
 * the process; every two seconds at most it asks whether there are newer ones.
 */
#ifndef PLAZA_API_FILTER_H
#define PLAZA_API_FILTER_H

#include "http/request.h"

struct filtered {
	struct uuid chat;
	struct str text;   /* as it may be sent: masked, or as it was */
	struct str hint;   /* what moderators should look at; absent = nothing */
	const char *where; /* pointer of the member, of a text for everybody */
};

/*
 * P_FILTERED, with `pointer` as the faulty member, when a rule refuses the text.
 * Contact data pass once the members of the chat have a paid order;
 * P_NOT_FOUND when the caller is no member.
 */
enum problem filter_message(struct request *req, struct uuid chat, struct str text,
	const char *pointer, struct filtered *out) __attribute__((warn_unused_result));

/*
 * Around the statement that stores the text, whose result is `p`: with a hint
 * both make one transaction of it and of the case for the moderators. The
 * message is named by its cmid or its id.
 */
void filter_begin(struct request *req, const struct filtered *f);
enum problem filter_end(struct request *req, enum problem p, const struct filtered *f,
	const struct uuid *cmid, const struct uuid *message) __attribute__((warn_unused_result));

/*
 * The same for a text that everybody reads: masked in its place, and *hint, zero at first, keeps
 * the first thing that moderators should look at. Nobody there has ordered, so contact data do
 * not pass, if they are looked for. Around the statement that stores it go
 * filter_begin and this end; `account` is whose text it is while nobody is signed in.
 */
enum problem filter_public(struct request *req, struct str *text, const char *pointer, bool contact,
	struct filtered *hint) __attribute__((warn_unused_result));
enum problem filter_end_public(struct request *req, enum problem p, const struct filtered *f,
	const struct uuid *account) __attribute__((warn_unused_result));

#endif
