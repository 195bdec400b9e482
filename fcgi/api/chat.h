/* Shared by the files of the chat. */
#ifndef PLAZA_API_CHAT_H
#define PLAZA_API_CHAT_H

#include "http/schema.h"

/* A message as everybody in the conversation sees it. */
extern const struct schema message_out;

#endif
