/* Every bound on what a client may send or make us keep, in one place. Sizes in bytes. */
#ifndef PLAZA_HTTP_LIMITS_H
#define PLAZA_HTTP_LIMITS_H

#define LIMIT_PATH 1024
#define LIMIT_SEGMENTS 12
#define LIMIT_PATH_PARAMS 4
#define LIMIT_QUERY 2048
#define LIMIT_QUERY_PARAMS 32
#define LIMIT_HEADER 8192           /* one field value */
#define LIMIT_BODY_JSON (64 * 1024) /* unless the route says otherwise */
#define LIMIT_FILE (5 * 1024 * 1024)
#define LIMIT_BODY_UPLOAD (20 * 1024 * 1024)
#define LIMIT_PARTS 20 /* of a multipart body */
#define LIMIT_PART_HEADERS 4096
#define LIMIT_BOUNDARY 70 /* RFC 2046 section 5.1.1 */
#define LIMIT_RESPONSE (8 * 1024 * 1024)
#define LIMIT_RESPONSE_HEADERS 8192
#define LIMIT_ARENA (64 * 1024 * 1024)
#define LIMIT_PAGE 100 /* items of a list */
#define LIMIT_PAGE_DEFAULT 20
#define LIMIT_IDEMPOTENCY_KEY 255
#define LIMIT_REQUEST_ID 64

#endif
