/* What checkout needs of carts. */
#ifndef PLAZA_API_CART_H
#define PLAZA_API_CART_H

#include "http/request.h"

#define QUANTITY_MAX 999 /* units of a product in a cart or an order */
#define CART_LINES_MAX 100

/*
 * The version that If-Match names; 0, which stands for any, when nothing is sent: adding lines in
 * parallel must not fail.
 */
enum problem cart_version(struct request *req, int32_t *version)
	__attribute__((warn_unused_result));

#endif
