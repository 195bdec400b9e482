/* What the two files of the E-Commerce Chat share. */
#ifndef PLAZA_API_ECOMMERCE_H
#define PLAZA_API_ECOMMERCE_H

#include "api/compat.h"

/* A role as that system called it. */
struct str ec_role(struct str role);
/* {"success":true} */
extern const struct schema ec_success;
enum problem ec_answer_success(struct request *req);
/* An array without anything around it: the cursor of the page goes into X-Next-Cursor. */
void ec_array_begin(struct request *req, struct buf *b, struct jsonw *w, const struct json *page);
enum problem ec_array_end(struct request *req, struct buf *b, struct jsonw *w);
/* /uploads/{id}.{ending}, signed for the caller for ten minutes; from a file's canonical document.
 */
struct str ec_file_url(struct request *req, const struct json *file);

#define EC .facade = &ecommerce, .at = AT_API
#define EC_USER EC, .roles = ROLE_ANY

#endif
