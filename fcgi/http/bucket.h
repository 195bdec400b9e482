/*
 * Leaking buckets for what comes in bursts: messages, new conversations. In
 * Redis, or without it in this process at a fraction of the room. Refused hits
 * count nowhere.
 */
#ifndef PLAZA_HTTP_BUCKET_H
#define PLAZA_HTTP_BUCKET_H

#include "base/err.h"
#include "http/request.h"

/* Classes that this knows. */
bool bucket_handles(const struct request *req);
/* One hit of the route's class; P_RATE_LIMITED with the wait when a bucket is full. */
enum problem bucket_request(struct request *req) __attribute__((warn_unused_result));
/* The hit of this request was none: what it asked for was there already. */
void bucket_give_back(struct request *req);
/* The caller is no member: strangers do not fill the bucket of a conversation. */
void bucket_spare_chat(struct request *req);

#endif
