/* Shared by the files of the chat. */
#ifndef PLAZA_API_CHAT_H
#define PLAZA_API_CHAT_H

#include "api/filter.h"
#include "http/request.h"
#include "http/schema.h"

#define CHAT_TITLE_MAX 100
#define CHAT_MEMBERS_MAX 199 /* beside the caller */

/* A message as everybody in the conversation sees it. */
extern const struct schema message_out;
/* A conversation as one of its members sees it. */
extern const struct schema chat_out;

/* The title of a group without spaces around it; P_INVALID when nothing is left, or filtered. */
enum problem chat_title(struct request *req, struct str in, struct str *out, struct filtered *hint)
	__attribute__((warn_unused_result));

#endif
