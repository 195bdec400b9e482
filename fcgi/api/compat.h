/*
 * What the rows of older systems have in common. Such a row takes the old
 * names, runs the canonical row with the new ones, and puts its answer into the
 * old form: every rule, limit and right is that of the canonical row.
 */
#ifndef PLAZA_API_COMPAT_H
#define PLAZA_API_COMPAT_H

#include "http/request.h"
#include "http/schema.h"
#include "io/json.h"

/* Items of a list; fewer than elsewhere, because each is read and written once more here. */
#define COMPAT_PAGE 50
#define COMPAT_TEXT_MAX LIMIT_BODY_JSON /* the canonical row knows the limit */

/* Lists of older systems know no pages: theirs is one long one, and these ask for the rest. */
struct compat_page {
	int64_t limit;
	struct str cursor;
};
extern const struct schema compat_page_schema;

/*
 * These run the canonical row of this name: bind query and body to its shapes,
 * call its handler and take the answer back. *out is NULL where it has no body.
 * Path parameters are those of the request (compat_param sets them), and its
 * query and body are replaced.
 */
enum problem compat_ask(struct request *req, const char *row, const struct json **out)
	__attribute__((warn_unused_result));
enum problem compat_send(struct request *req, const char *row, struct str body,
	const struct json **out) __attribute__((warn_unused_result));
/* A page of a list, as the compat_page of the request says. */
enum problem compat_list(struct request *req, const char *row, const struct json **out)
	__attribute__((warn_unused_result));
/* Signs in by the canonical row; `device` may be absent. */
enum problem compat_login(struct request *req, struct str email, struct str password,
	struct str device, const struct json **grant) __attribute__((warn_unused_result));
void compat_param(struct request *req, size_t i, struct str value);

/* A body for compat_send, or an answer. */
void compat_begin(struct request *req, struct buf *b, struct jsonw *w);
struct str compat_end(struct buf *b, struct jsonw *w);
/* What is absent or NULL is not written. */
void compat_put(struct jsonw *w, const char *name, struct str value);
void compat_put_uuid(struct jsonw *w, const char *name, const struct uuid *value);
/* All members of an object but those in the NULL-terminated list, which the caller writes. */
void compat_copy(
	struct request *req, struct jsonw *w, const struct json *obj, const char *const *but);
struct str compat_text(const struct json *obj, const char *name);
int64_t compat_int(const struct json *obj, const char *name);

/* Clients of old name themselves in their bodies: P_FORBIDDEN unless it is the caller. */
enum problem compat_is_caller(struct request *req, const struct uuid *said)
	__attribute__((warn_unused_result));
/* Who is in some conversations of the caller. */
struct compat_people {
	const struct rows *rows;
};
/* Of the chat documents in an array, or of one. */
enum problem compat_people_of(struct request *req, const struct json *chats,
	struct compat_people *out) __attribute__((warn_unused_result));
/* The chat that the path names, a page of its messages, the caller's chats; with their people. */
enum problem compat_chat(struct request *req, const struct json **chat,
	struct compat_people *people) __attribute__((warn_unused_result));
enum problem compat_messages(struct request *req, const struct json **page,
	struct compat_people *people) __attribute__((warn_unused_result));
enum problem compat_chats(struct request *req, const struct json **page,
	struct compat_people *people) __attribute__((warn_unused_result));
struct compat_person {
	struct uuid id;
	struct str name, role;
	int64_t read_seq;
};
/* The next one in this conversation, from *i = 0 on; false at the end. */
bool compat_next_person(
	const struct compat_people *people, struct str chat, size_t *i, struct compat_person *out);
/* Whether somebody is in the conversation; NULL says nothing. */
bool compat_is_member(const struct compat_people *people, struct str chat, const struct uuid *said);
/* The text of a message; of a product or an offer without one its title. */
struct str compat_content(const struct json *message);
/* The id in a link to a file that an older system's path gave out. */
bool compat_file_id(struct str url, struct uuid *id);
/* What went wrong, in words for people. */
const char *compat_words(const struct request *req, enum problem p);

extern const struct facade livemarket;
extern const struct facade ecommerce;

#endif
