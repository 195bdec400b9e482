/* Shapes that the files of the catalogue share. */
#ifndef PLAZA_API_CATALOG_H
#define PLAZA_API_CATALOG_H

#include "http/request.h"
#include "http/schema.h"

#define CATEGORY_NAME_MAX 100
#define PRODUCT_IMAGES_MAX 8

extern const char *const product_conditions[];
extern const char *const product_states[];
extern const struct schema image_out;
extern const struct schema shop_ref_out;
extern const struct schema category_ref_out;
/* A whole product. */
extern const struct schema product_out;

/* What a whole product and one in a list have in common; product_members() in SQL. */
#define PRODUCT_MEMBERS                                                                         \
	OUT("id", T_UUID), OUT("sellerId", T_UUID), OUT("shop", T_OBJECT, .of = &shop_ref_out), \
		OUT("category", T_OBJECT, .of = &category_ref_out), OUT("title", T_TEXT),       \
		OUT("price", T_MONEY), OUT("condition", T_ENUM, .values = product_conditions),  \
		OUT("status", T_ENUM, .values = product_states), OUT("createdAt", T_TIME),      \
		OUT("version", T_INT)

#endif
