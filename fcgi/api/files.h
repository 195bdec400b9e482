/* Private files, for those who take or show several at a time. */
#ifndef PLAZA_API_FILES_H
#define PLAZA_API_FILES_H

#include "http/multipart.h"
#include "http/request.h"
#include "http/schema.h"

/* P_QUOTA when the caller has no room for one more file. */
enum problem file_room(struct request *req) __attribute__((warn_unused_result));
/* Checks and stores one file of the caller; *rows is its document. */
enum problem file_keep(struct request *req, const struct part *part, struct uuid *out,
	struct rows **rows) __attribute__((warn_unused_result));
/* The document of the row that file_keep gave. */
struct str file_doc(const struct rows *rows);
/* Removes a file of the caller that was just kept; what is in the way of it is logged. */
void file_drop(struct request *req, const struct uuid *id);
/* GET of a file: its id is the first parameter of the path. */
enum problem file_get(struct request *req) __attribute__((warn_unused_result));
extern const struct schema file_query;
/* "exp=…&by=…&sig=…": behind the path of a file it makes a link of the caller that needs no token.
 */
struct str file_link_query(struct request *req, const struct uuid *id);

#endif
