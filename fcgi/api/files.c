/* Private files: of their owner, and of those who were sent them in a conversation. */
#include "api/files.h"

#include "api/api.h"
#include "api/upload.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "io/digest.h"
#include "io/json.h"
#include "queries.h"

#define LINK_TTL_S 600 /* a link lives ten minutes at most */
#define LINK_MAX 256
#define SIG_TEXT 43 /* SHA-256 in base64url */

/* ---- shapes ---- */

struct file_query {
	const int64_t *exp;
	const struct uuid *by;
	struct str sig;
	bool thumb;
};
static const struct field file_query_fields[] = {
	FIELD(file_query, exp, T_INT, .min = 1, .doc = "of a signed link"),
	FIELD(file_query, by, T_UUID, .doc = "of a signed link: who asked for it"),
	FIELD(file_query, sig, T_TEXT, .max = 64, .doc = "of a signed link, instead of a token"),
	FIELD(file_query, thumb, T_BOOL, .has_default = true, .doc = "the thumbnail, of images"),
};
const struct schema file_query = SCHEMA("FileQuery", file_query, file_query_fields);

static const char *const kinds[] = { "image", "document", NULL };
static const struct field file_out_fields[] = {
	OUT("id", T_UUID),
	OUT("kind", T_ENUM, .values = kinds),
	OUT("name", T_TEXT, .doc = "as the client called it"),
	OUT("mediaType", T_TEXT),
	OUT("size", T_INT, .doc = "bytes, as stored"),
	OUT_NULL("width", T_INT),
	OUT_NULL("height", T_INT),
	OUT("url", T_URL),
	OUT("createdAt", T_TIME),
};
static const struct schema file_out = SCHEMA_OUT("File", file_out_fields);

static const struct field link_out_fields[] = {
	OUT("url", T_URL, .doc = "works without a token"),
	OUT_NULL("thumbUrl", T_URL),
	OUT("expiresAt", T_TIME),
};
static const struct schema link_out = SCHEMA_OUT("FileLink", link_out_fields);

/* ---- links ---- */

/* A link is made for a user, whose right to the file is asked for again when it is used. */
static struct str
signature(struct request *req, const struct uuid *id, const struct uuid *by, int64_t exp)
{
	uint8_t mac[SHA256_BYTES];
	char file[UUID_TEXT + 1], user[UUID_TEXT + 1];
	struct buf b;

	uuid_text(id, file);
	uuid_text(by, user);
	const char *what = arena_printf(req->arena, "file %s %s %lld", file, user, (long long)exp);
	hmac_sha256(str_of(req->app->blob_secret), str_of(what), mac);
	buf_init(&b, req->arena, SIG_TEXT);
	base64url_put(&b, mac, sizeof(mac));
	return buf_str(&b);
}

static enum problem
link_check(struct request *req, const struct uuid *id)
{
	const struct file_query *in = req->query;
	int64_t now = clock_unix_s();

	if (!in->exp || !in->by || !secret_eq(in->sig, signature(req, id, in->by, *in->exp)))
		return ERR_SAY(&req->err, P_FORBIDDEN, "the link is not one of ours");
	if (*in->exp <= now || *in->exp > now + LINK_TTL_S)
		return ERR_SAY(&req->err, P_FORBIDDEN, "the link has expired");
	return P_OK;
}

static struct str
link_query(struct request *req, const struct uuid *id, int64_t exp)
{
	char by[UUID_TEXT + 1];

	uuid_text(&req->who.user, by);
	return str_of(arena_printf(req->arena, "exp=%lld&by=%s&sig=%.*s", (long long)exp, by,
		STR_ARG(signature(req, id, &req->who.user, exp))));
}

struct str
file_link_query(struct request *req, const struct uuid *id)
{
	return link_query(req, id, clock_unix_s() + LINK_TTL_S);
}

static enum problem
file_link(struct request *req)
{
	int64_t exp = clock_unix_s() + LINK_TTL_S;
	char id[UUID_TEXT + 1], at[RFC3339_TEXT + 1];
	struct q_file_open q;
	struct rows *rows;
	struct jsonw w;
	struct buf b;

	enum problem p = req_uuid(req, 0, &q.id);
	if (!p)
		p = q_file_open(req->db, &q, &rows, &req->err);
	if (p)
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no such file for the caller");
	uuid_text(&q.id, id);
	const char *url = arena_printf(
		req->arena, "/files/%s?%.*s", id, STR_ARG(link_query(req, &q.id, exp)));
	bool image = rows_str(rows, 0, Q_FILE_OPEN_THUMB_PATH).p != NULL;
	clock_rfc3339(exp * 1000, at);
	buf_init(&b, req->arena, 4 * LINK_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kz(&w, "url", url);
	jsonw_kstr(&w, "thumbUrl",
		image ? str_of(arena_printf(req->arena, "%s&thumb=true", url)) : (struct str){ 0 });
	jsonw_kz(&w, "expiresAt", at);
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

/* ---- files ---- */

enum problem
file_keep(struct request *req, const struct part *part, struct uuid *out, struct rows **rows)
{
	struct uuid id = uuid_new();
	struct upload u;

	enum problem p = upload_store(req, part, BLOB_PRIVATE, &u);
	if (p)
		return p;
	bool image = media_info(u.media)->image;
	p = q_file_create(req->db,
		&(struct q_file_create){ .id = id,
			.kind = image ? STR("image") : STR("document"),
			.name = u.label,
			.media_type = str_of(media_info(u.media)->type),
			.size = u.bytes,
			.path = str_of(u.name.z),
			.thumb_path = image ? str_of(u.thumb.z) : (struct str){ 0 },
			.width = image ? &u.size.width : NULL,
			.height = image ? &u.size.height : NULL },
		rows, &req->err);
	if (p)
		return upload_refused(req, &u, p);
	*out = id;
	return P_OK;
}

struct str
file_doc(const struct rows *rows)
{
	return rows_str(rows, 0, Q_FILE_CREATE_BODY);
}

enum problem
file_room(struct request *req)
{
	struct rows *rows;

	return q_file_check(req->db, &(struct q_file_check){ 0 }, &rows, &req->err);
}

static enum problem
file_upload(struct request *req)
{
	const struct part *part;
	struct str none;
	struct rows *rows;
	struct uuid id;
	char text[UUID_TEXT + 1];

	/* Who has no room costs no decoding; the insert decides. */
	enum problem p = file_room(req);
	if (!p)
		p = upload_read(req, "file", NULL, &part, &none);
	if (!p)
		p = file_keep(req, part, &id, &rows);
	if (p)
		return p;
	uuid_text(&id, text);
	resp_header(req, "Location", "/api/v1/files/%s", text);
	return resp_row(req, rows);
}

/* Images are shown, documents saved: what a browser might run never stands in a page of ours. */
static enum problem
send(struct request *req, struct str name, struct str type, struct str label)
{
	char *path = arena_alloc(req->arena, BLOB_PATH);
	struct blob_name blob;

	if (!blob_name_parse(name, &blob))
		return ERR(&req->err, P_NOT_FOUND, "the file has no such form");
	blob_path(&blob, path);
	const struct media_info *info = media_info(media_by_type(type));
	return resp_file(req, str_of(path), info->type, info->image ? (struct str){ 0 } : label);
}

enum problem
file_get(struct request *req)
{
	const struct file_query *in = req->query;
	struct q_file_open q;
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &q.id);
	if (p)
		return p;
	if (in->sig.p)
		p = link_check(req, &q.id);
	else if (req->who.role == ROLE_NONE)
		p = ERR(&req->err, P_UNAUTHENTICATED, "neither a token nor a link");
	if (p)
		return p;
	if (in->sig.p)
		p = q_file_open_signed(req->db,
			&(struct q_file_open_signed){ .id = q.id, .by = *in->by }, &rows,
			&req->err);
	else
		p = q_file_open(req->db, &q, &rows, &req->err);
	if (p)
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no such file for the caller");
	return send(req, rows_str(rows, 0, in->thumb ? Q_FILE_OPEN_THUMB_PATH : Q_FILE_OPEN_PATH),
		rows_str(rows, 0, Q_FILE_OPEN_MEDIA_TYPE), rows_str(rows, 0, Q_FILE_OPEN_NAME));
}

static enum problem
forget(struct request *req, const struct uuid *id, struct err *err)
{
	struct rows *rows;
	enum problem p = q_file_delete(req->db, &(struct q_file_delete){ .id = *id }, &rows, err);

	if (!p)
		upload_remove(req, rows_str(rows, 0, Q_FILE_DELETE_PATH),
			rows_str(rows, 0, Q_FILE_DELETE_THUMB_PATH));
	return p;
}

void
file_drop(struct request *req, const struct uuid *id)
{
	struct err err = { 0 };

	if (forget(req, id, &err))
		log_event(LOG_WARN, "file_left", LSTR("id", req->id), LZ("text", err.log));
}

static enum problem
file_delete(struct request *req)
{
	struct uuid id;

	enum problem p = req_uuid(req, 0, &id);
	if (!p)
		p = forget(req, &id, &req->err);
	return p ? p : resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_POST, "/files", file_upload, .roles = ROLE_ANY, .bare = true,
		.body_kind = BODY_MULTIPART, .body_max = UPLOAD_BODY_MAX, .returns = &file_out,
		.status = 201, .limit = LIMIT_UPLOAD,
		.problems = { P_BAD_MULTIPART, P_BAD_IMAGE, P_QUOTA }, .tag = "Files",
		.name = "fileUpload",
		.doc = "Keeps a private file, part `file`: JPEG, PNG, WebP or PDF, 5 MB" },
	{ HTTP_GET, "/files/:id", file_get, .roles = ROLE_PUBLIC, .bare = true,
		.query = &file_query, .media = "application/octet-stream", .cache_s = NO_STORE,
		.problems = { P_UNAUTHENTICATED, P_FORBIDDEN }, .tag = "Files", .name = "fileGet",
		.doc = "The file, for its owner, members of a conversation with it, or by a signed "
		       "link" },
	{ HTTP_GET, "/files/:id/link", file_link, .roles = ROLE_ANY, .bare = true,
		.returns = &link_out, .tag = "Files", .name = "fileLink",
		.doc = "A link that works without a token, for pages: ten minutes, while the "
		       "caller may read "
		       "the file" },
	{ HTTP_DELETE, "/files/:id", file_delete, .roles = ROLE_ANY, .bare = true, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Files", .name = "fileDelete",
		.doc = "Removes an own file" },
};
const struct route_table file_routes = ROUTES(rows);
