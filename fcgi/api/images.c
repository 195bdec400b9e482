/* Pictures of products: public, under random names that never come again. */
#include "api/api.h"
#include "api/catalog.h"
#include "api/upload.h"
#include "base/encode.h"
#include "queries.h"

#define ALT_MAX 200
#define FOREVER_S 31536000

struct image_order {
	struct array ids;
};
static const struct field image_order_fields[] = {
	FIELD(image_order, ids, T_ARRAY, .item = T_UUID, .required = true,
		.max = PRODUCT_IMAGES_MAX),
};
static const struct schema image_order_in = SCHEMA("ImageOrder", image_order, image_order_fields);

/* The web server finds out whether there is such a file. */
static enum problem
image_get(struct request *req)
{
	struct blob_name name;
	char *path = arena_alloc(req->arena, BLOB_PATH);
	struct str text = req_param(req, 0);

	if (!blob_name_parse(text, &name) || name.z[0] != BLOB_PUBLIC)
		return ERR(&req->err, P_NOT_FOUND, "no name of a public file");
	blob_path(&name, path);
	const struct media_info *info = media_info(media_by_ending(str_of(name.z)));
	if (!info->image)
		return ERR(&req->err, P_NOT_FOUND, "no picture");
	return resp_file(req, str_of(path), info->type, (struct str){ 0 });
}

static enum problem
alt_check(struct request *req, struct str alt)
{
	if (text_valid(alt) && utf8_length(alt) <= ALT_MAX)
		return P_OK;
	err_field(&req->err, "/alt", "too_long", "at most %d characters of text", ALT_MAX);
	return req->err.problem = P_INVALID;
}

/*
 * A picture that is refused here because of what it is, whatever else could be
 * uploaded elsewhere.
 */
static enum problem
store_picture(struct request *req, const struct part *part, struct upload *u)
{
	enum problem p = upload_store(req, part, BLOB_PUBLIC, u);

	if (p == P_MEDIA_TYPE)
		return req->err.problem = P_BAD_IMAGE;
	if (p || media_info(u->media)->image)
		return p;
	upload_discard(req, u);
	return ERR_SAY(&req->err, P_BAD_IMAGE, "only JPEG, PNG and WebP are pictures");
}

static enum problem
image_add(struct request *req)
{
	struct q_product_image_check check;
	const struct part *part;
	struct upload u;
	struct str alt = { 0 };
	struct rows *rows;

	/* Who may not, or has no room, costs no decoding. */
	enum problem p = req_uuid(req, 0, &check.product);
	if (!p)
		p = q_product_image_check(req->db, &check, &rows, &req->err);
	if (!p)
		p = upload_read(req, "image", "alt", &part, &alt);
	if (!p)
		p = alt_check(req, alt);
	if (!p)
		p = store_picture(req, part, &u);
	if (p)
		return p;
	p = q_product_image_add(req->db,
		&(struct q_product_image_add){ .product = check.product,
			.id = uuid_new(),
			.name = u.label,
			.media_type = str_of(media_info(u.media)->type),
			.size = u.bytes,
			.path = str_of(u.name.z),
			.thumb_path = str_of(u.thumb.z),
			.width = u.size.width,
			.height = u.size.height,
			.alt = alt },
		&rows, &req->err);
	if (p)
		return upload_refused(req, &u, p);
	resp_header(req, "Location", "/images/%s", u.name.z);
	return resp_row(req, rows);
}

static enum problem
image_remove(struct request *req)
{
	struct q_product_image_remove q;
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &q.product);
	if (!p)
		p = req_uuid(req, 1, &q.id);
	if (!p)
		p = q_product_image_remove(req->db, &q, &rows, &req->err);
	if (p)
		return p;
	upload_remove(req, rows_str(rows, 0, Q_PRODUCT_IMAGE_REMOVE_PATH),
		rows_str(rows, 0, Q_PRODUCT_IMAGE_REMOVE_THUMB_PATH));
	return resp_empty(req);
}

static enum problem
image_order(struct request *req)
{
	const struct image_order *in = req->body;
	struct q_product_image_order q = { .ids = { in->ids.v, in->ids.n } };
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &q.product);
	if (!p)
		p = q_product_image_order(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

#define OWNER (ROLE_SELLER | ROLE_ADMIN)

static const struct route rows[] = {
	{ HTTP_GET, "/images/:name", image_get, .roles = ROLE_PUBLIC, .bare = true,
		.media = "image/*", .cache_s = FOREVER_S, .tag = "Catalogue", .name = "imageGet",
		.doc = "A picture of a product or its thumbnail, sent by the web server" },
	{ HTTP_POST, "/products/:id/images", image_add, .roles = OWNER, .body_kind = BODY_MULTIPART,
		.body_max = UPLOAD_BODY_MAX, .returns = &image_out, .status = 201,
		.limit = LIMIT_UPLOAD, .problems = { P_BAD_MULTIPART, P_BAD_IMAGE, P_CONFLICT },
		.tag = "Catalogue", .name = "productImageAdd",
		.doc = "Adds a picture: part `image` (JPEG, PNG or WebP, 5 MB), optional part "
		       "`alt`; 8 a "
		       "product" },
	{ HTTP_DELETE, "/products/:id/images/:imageId", image_remove, .roles = OWNER, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Catalogue", .name = "productImageRemove",
		.doc = "Takes a picture away" },
	{ HTTP_PUT, "/products/:id/images/order", image_order, .roles = OWNER,
		.body = &image_order_in, .returns = &product_out, .limit = LIMIT_WRITE,
		.tag = "Catalogue", .name = "productImageOrder",
		.doc = "The order of all pictures; the first one stands in lists" },
};
const struct route_table image_routes = ROUTES(rows);
