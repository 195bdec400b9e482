/* The tree of categories. */
#include "api/api.h"
#include "api/catalog.h"
#include "api/patch.h"
#include "queries.h"

#define SLUG_MAX 100
#define POSITION_MAX 99999
#define DESCRIPTION_MAX 2000
#define PHOTO_URL_MAX 1000
#define CACHE_S 30

/* ---- shapes ---- */

struct category_query {
	const struct uuid *parent;
	int64_t limit;
	struct str cursor;
};
static const struct field category_query_fields[] = {
	FIELD(category_query, parent, T_UUID, .alias = "id_category",
		.doc = "only those directly below this one"),
	FIELD(category_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE),
	FIELD(category_query, cursor, T_TEXT),
};
static const struct schema category_query =
	SCHEMA("CategoryQuery", category_query, category_query_fields);

/* Those that can be emptied come first. */
#define CLEARABLE 4
struct category_in {
	uint64_t present;
	const struct uuid *parentId;
	struct str nameEs, description, photoUrl, name, slug;
	const int64_t *position;
};
#define CATEGORY_FIELDS                                                                            \
	FIELD(category_in, parentId, T_UUID, .nullable = true),                                    \
		FIELD(category_in, nameEs, T_TEXT, .min = 1, .max = CATEGORY_NAME_MAX,             \
			.nullable = true, .doc = "in Spanish"),                                    \
		FIELD(category_in, description, T_TEXT, .max = DESCRIPTION_MAX, .nullable = true), \
		FIELD(category_in, photoUrl, T_URL, .max = PHOTO_URL_MAX, .nullable = true,        \
			.alias = "photo"),                                                         \
		FIELD(category_in, slug, T_TEXT, .min = 1, .max = SLUG_MAX,                        \
			.doc = "lower-case letters, digits, single hyphens; made of the name"),    \
		FIELD(category_in, position, T_INT, .min = 0, .max = POSITION_MAX,                 \
			.doc = "place among those with the same parent")
static const struct field category_create_fields[] = {
	CATEGORY_FIELDS,
	FIELD(category_in, name, T_TEXT, .min = 1, .max = CATEGORY_NAME_MAX, .required = true),
};
static const struct schema category_create_in =
	SCHEMA_PATCH("CategoryCreate", category_in, category_create_fields);
static const struct field category_update_fields[] = {
	CATEGORY_FIELDS,
	FIELD(category_in, name, T_TEXT, .min = 1, .max = CATEGORY_NAME_MAX),
};
static const struct schema category_update_in =
	SCHEMA_PATCH("CategoryUpdate", category_in, category_update_fields);

static const struct field category_out_fields[] = {
	OUT("id", T_UUID),
	OUT_NULL("parentId", T_UUID),
	OUT("slug", T_TEXT),
	OUT("name", T_TEXT),
	OUT_NULL("nameEs", T_TEXT),
	OUT("description", T_TEXT),
	OUT_NULL("photoUrl", T_URL),
	OUT("position", T_INT),
	OUT("depth", T_INT, .doc = "0 at the root"),
	OUT("version", T_INT),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema category_out = SCHEMA_OUT("Category", category_out_fields);

/* ---- reading ---- */

static enum problem
category_list(struct request *req)
{
	const struct category_query *in = req->query;
	struct str after[CURSOR_PARTS] = { STR("") };
	struct rows *rows;
	enum problem p = P_OK;

	if (in->cursor.p)
		p = cursor_get(req, in->cursor, after, 1);
	if (p)
		return p;
	p = q_category_list(req->db,
		&(struct q_category_list){
			.parent = in->parent, .after = after[0], .limit = (int32_t)in->limit },
		&rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
category_get(struct request *req)
{
	struct q_category_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_category_get(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

/* ---- writing, for administrators ---- */

static const int32_t *
position_of(struct request *req, const struct category_in *in)
{
	int32_t v;

	if (!in->position)
		return NULL;
	v = (int32_t)*in->position;
	return (const int32_t *)(const void *)arena_dup(req->arena, &v, sizeof(v));
}

static enum problem
category_create(struct request *req)
{
	const struct category_in *in = req->body;
	struct uuid id = uuid_new();
	char text[UUID_TEXT + 1];
	struct rows *rows;

	enum problem p = q_category_create(req->db,
		&(struct q_category_create){ .id = id,
			.parent = in->parentId,
			.slug = in->slug,
			.name = in->name,
			.name_es = in->nameEs,
			.description = in->description,
			.photo_url = in->photoUrl,
			.position = position_of(req, in) },
		&rows, &req->err);
	if (p)
		return p;
	uuid_text(&id, text);
	resp_header(req, "Location", "/api/v1/categories/%s", text);
	return resp_row(req, rows);
}

static enum problem
category_update(struct request *req)
{
	const struct category_in *in = req->body;
	struct str names[PATCH_NULLS_MAX];
	struct q_category_update q = { .parent = in->parentId,
		.slug = in->slug,
		.name = in->name,
		.name_es = in->nameEs,
		.description = in->description,
		.photo_url = in->photoUrl,
		.position = position_of(req, in),
		.clear = { names, 0 } };
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &q.id);
	if (!p)
		p = patch_version(req, &q.version);
	if (!p)
		p = patch_nulls(req, &category_update_in, CLEARABLE, names, &q.clear.n);
	if (!p)
		p = q_category_update(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
category_delete(struct request *req)
{
	struct q_category_delete q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (!p)
		p = q_category_delete(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_GET, "/categories", category_list, .roles = ROLE_PUBLIC, .query = &category_query,
		.returns = &category_out, .page = true, .cache_s = CACHE_S,
		.problems = { P_BAD_CURSOR }, .tag = "Catalogue", .name = "categoryList",
		.doc = "Categories in the order of the tree, each before those below it" },
	{ HTTP_GET, "/categories/:id", category_get, .roles = ROLE_PUBLIC, .returns = &category_out,
		.cache_s = CACHE_S, .tag = "Catalogue", .name = "categoryGet",
		.doc = "One category" },
	{ HTTP_POST, "/categories", category_create, .roles = ROLE_ADMIN,
		.body = &category_create_in, .returns = &category_out, .status = 201,
		.limit = LIMIT_WRITE, .problems = { P_CONFLICT }, .tag = "Catalogue",
		.name = "categoryCreate", .doc = "A new category" },
	{ HTTP_PUT, "/categories/:id", category_update, .roles = ROLE_ADMIN,
		.body = &category_update_in, .returns = &category_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Catalogue", .name = "categoryPut",
		.doc = "Changes the members that are sent" },
	{ HTTP_PATCH, "/categories/:id", category_update, .roles = ROLE_ADMIN,
		.body = &category_update_in, .returns = &category_out, .limit = LIMIT_WRITE,
		.if_match = true, .problems = { P_CONFLICT }, .tag = "Catalogue",
		.name = "categoryPatch", .doc = "Merge patch (RFC 7396) of a category" },
	{ HTTP_DELETE, "/categories/:id", category_delete, .roles = ROLE_ADMIN, .status = 204,
		.limit = LIMIT_WRITE, .problems = { P_CONFLICT }, .tag = "Catalogue",
		.name = "categoryDelete", .doc = "Removes a category that holds nothing" },
};
const struct route_table category_routes = ROUTES(rows);
