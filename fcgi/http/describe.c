/* Prints the route table as OpenAPI 3.1, and the other tables as text. */
#include "http/describe.h"

#include "base/check.h"
#include "http/route.h"
#include "io/db.h"
#include "io/json.h"

#include <stdio.h>

#define SCHEMAS_MAX 256
#define PROBLEMS_MAX 32

/* ---- components ---- */

struct seen {
	const struct schema *v[SCHEMAS_MAX];
	size_t n;
};

static void
collect(struct seen *seen, const struct schema *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->v[i]->name, s->name) == 0)
			return;
	CHECK(seen->n < SCHEMAS_MAX);
	seen->v[seen->n++] = s;
	for (size_t i = 0; i < s->count; i++)
		collect(seen, s->fields[i].of);
}

static void
print_money(struct jsonw *w)
{
	jsonw_key(w, "Money");
	jsonw_raw(w, STR("{\"type\":\"object\",\"description\":\"Minor units of an ISO 4217 "
			 "currency\",\"properties\":"
			 "{\"amount\":{\"type\":\"integer\"},\"currency\":{\"type\":\"string\","
			 "\"pattern\":\"^[A-Z]{3}$\"}},"
			 "\"required\":[\"amount\"],\"additionalProperties\":false}"));
}

static void
print_problem_schema(struct jsonw *w)
{
	jsonw_key(w, "Problem");
	jsonw_raw(w,
		STR("{\"type\":\"object\",\"description\":\"RFC 9457 problem. instance and "
		    "requestId are "
		    "absent when the web server could not read the request.\",\"properties\":{"
		    "\"type\":{\"type\":\"string\",\"format\":\"uri\"},\"title\":{\"type\":"
		    "\"string\"},"
		    "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
		    "\"instance\":{\"type\":\"string\"},"
		    "\"code\":{\"type\":\"string\"},\"requestId\":{\"type\":\"string\"},"
		    "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
		    "\"pointer\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},\"detail\":{"
		    "\"type\":\"string\"}},"
		    "\"required\":[\"pointer\",\"code\",\"detail\"],\"additionalProperties\":false}"
		    "}},"
		    "\"required\":[\"type\",\"title\",\"status\",\"code\"],"
		    "\"additionalProperties\":false}"));
}

static void
print_components(struct jsonw *w, const struct facade *facade)
{
	struct seen seen = { .n = 0 };

	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++) {
			const struct route *r = &route_tables[t]->rows[i];
			if (r->facade != facade)
				continue;
			collect(&seen, r->body);
			collect(&seen, r->returns);
		}
	jsonw_key(w, "components");
	jsonw_obj(w);
	jsonw_key(w, "securitySchemes");
	jsonw_raw(w, STR("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":"
			 "\"JWT\"}}"));
	jsonw_key(w, "schemas");
	jsonw_obj(w);
	print_money(w);
	if (facade) {
		jsonw_key(w, "Failure");
		jsonw_raw(w, str_of(facade->failure_schema));
	} else {
		print_problem_schema(w);
	}
	for (size_t i = 0; i < seen.n; i++) {
		jsonw_key(w, seen.v[i]->name);
		schema_print(seen.v[i], w);
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* ---- operations ---- */

static void
print_param(struct jsonw *w, const char *in, const char *name, bool required, const char *doc)
{
	jsonw_kz(w, "name", name);
	jsonw_kz(w, "in", in);
	jsonw_kbool(w, "required", required);
	if (doc)
		jsonw_kz(w, "description", doc);
}

static void
print_string_param(
	struct jsonw *w, const char *in, const char *name, bool required, const char *doc)
{
	jsonw_obj(w);
	print_param(w, in, name, required, doc);
	jsonw_key(w, "schema");
	jsonw_raw(w, STR("{\"type\":\"string\"}"));
	jsonw_obj_end(w);
}

static const char *
query_type(const struct field *f)
{
	return f->type == T_INT ? "integer" : f->type == T_BOOL ? "boolean" : "string";
}

static void
print_query_param(struct jsonw *w, const struct field *f)
{
	jsonw_obj(w);
	print_param(w, "query", f->name, f->required, f->doc);
	jsonw_key(w, "schema");
	jsonw_obj(w);
	jsonw_kz(w, "type", query_type(f));
	if (f->type == T_INT && f->max)
		jsonw_kint(w, "maximum", f->max);
	if (f->type == T_ENUM) {
		jsonw_key(w, "enum");
		jsonw_arr(w);
		for (const char *const *v = f->values; *v; v++)
			jsonw_z(w, *v);
		jsonw_arr_end(w);
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
print_path_params(struct jsonw *w, const char *path)
{
	struct str rest = str_of(path + 1), segment;
	char name[64];

	while (rest.n > 0) {
		str_cut(rest, '/', &segment, &rest);
		if (segment.p[0] != ':')
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)segment.n - 1, segment.p + 1);
		print_string_param(w, "path", name, true, NULL);
	}
}

static void
print_params(struct jsonw *w, const struct route *r)
{
	jsonw_key(w, "parameters");
	jsonw_arr(w);
	print_path_params(w, r->path);
	for (size_t i = 0; r->query && i < r->query->count; i++)
		print_query_param(w, &r->query->fields[i]);
	if (r->idem)
		print_string_param(
			w, "header", "Idempotency-Key", true, "1 to 255 visible ASCII characters");
	if (r->if_match)
		print_string_param(w, "header", "If-Match", true,
			"ETag of the version the change was based on");
	jsonw_arr_end(w);
}

static void
print_ref(struct jsonw *w, const char *name)
{
	char ref[128];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
	jsonw_obj(w);
	jsonw_kz(w, "$ref", ref);
	jsonw_obj_end(w);
}

static void
print_array_schema(struct jsonw *w, const char *name)
{
	jsonw_obj(w);
	jsonw_kz(w, "type", "array");
	jsonw_key(w, "items");
	print_ref(w, name);
	jsonw_obj_end(w);
}

static void
print_page_schema(struct jsonw *w, const char *name)
{
	jsonw_obj(w);
	jsonw_kz(w, "type", "object");
	jsonw_key(w, "properties");
	jsonw_obj(w);
	jsonw_key(w, "items");
	print_array_schema(w, name);
	jsonw_key(w, "nextCursor");
	jsonw_raw(w, STR("{\"type\":[\"string\",\"null\"]}"));
	jsonw_obj_end(w);
	jsonw_key(w, "required");
	jsonw_raw(w, STR("[\"items\",\"nextCursor\"]"));
	jsonw_kbool(w, "additionalProperties", false);
	jsonw_obj_end(w);
}

static void
print_content(struct jsonw *w, const struct route *r)
{
	jsonw_key(w, "content");
	jsonw_obj(w);
	jsonw_key(w, r->media ? r->media : "application/json");
	jsonw_obj(w);
	if (r->returns) {
		jsonw_key(w, "schema");
		if (r->page)
			print_page_schema(w, r->returns->name);
		else if (r->array)
			print_array_schema(w, r->returns->name);
		else
			print_ref(w, r->returns->name);
	}
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
print_answer(struct jsonw *w, const struct route *r, int code)
{
	char status[8];

	snprintf(status, sizeof(status), "%d", code);
	jsonw_key(w, status);
	jsonw_obj(w);
	jsonw_kz(w, "description", r->doc);
	if (r->returns || r->media)
		print_content(w, r);
	jsonw_obj_end(w);
}

static void
print_success(struct jsonw *w, const struct route *r)
{
	print_answer(w, r, r->status ? r->status : 200);
	if (r->other_status)
		print_answer(w, r, r->other_status);
	if (r->method == HTTP_GET && (r->status == 0 || r->status == 200)) {
		jsonw_key(w, "304");
		jsonw_raw(w, STR("{\"description\":\"Not modified\"}"));
	}
}

static void
print_failure_content(struct jsonw *w, const struct facade *facade)
{
	struct str media, parameters;

	str_cut(str_of(facade ? facade->media : "application/problem+json"), ';', &media,
		&parameters);
	char name[64];
	snprintf(name, sizeof(name), "%.*s", STR_ARG(media));
	jsonw_key(w, "content");
	jsonw_obj(w);
	jsonw_key(w, name);
	jsonw_obj(w);
	jsonw_key(w, "schema");
	print_ref(w, facade ? "Failure" : "Problem");
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/*
 * Several problems may share a status: their codes are listed in the description and
 * as x-problems.
 */
static void
print_failures(struct jsonw *w, const struct route *r)
{
	enum problem all[PROBLEMS_MAX];
	size_t n = route_problems(r, all, PROBLEMS_MAX);

	for (int status = 400; status < 600; status++) {
		struct {
			const char *slug[PROBLEMS_MAX];
			size_t n;
		} here = { .n = 0 };
		for (size_t i = 0; i < n; i++)
			if (facade_status(r, all[i]) == status)
				here.slug[here.n++] = problem_info(all[i])->slug;
		if (here.n == 0)
			continue;
		char text[8];
		snprintf(text, sizeof(text), "%d", status);
		jsonw_key(w, text);
		jsonw_obj(w);
		jsonw_kz(w, "description", problem_info(problem_by_slug(here.slug[0]))->title_en);
		jsonw_key(w, "x-problems");
		jsonw_arr(w);
		for (size_t i = 0; i < here.n; i++)
			jsonw_z(w, here.slug[i]);
		jsonw_arr_end(w);
		print_failure_content(w, r->facade);
		jsonw_obj_end(w);
	}
}

static void
print_body(struct jsonw *w, const struct route *r)
{
	if (!r->body && r->body_kind == BODY_NONE)
		return;
	jsonw_key(w, "requestBody");
	jsonw_obj(w);
	jsonw_kbool(w, "required", !r->body || !schema_may_miss(r->body));
	jsonw_key(w, "content");
	jsonw_obj(w);
	jsonw_key(w, r->body ? "application/json" : "multipart/form-data");
	jsonw_obj(w);
	jsonw_key(w, "schema");
	if (r->body)
		print_ref(w, r->body->name);
	else
		jsonw_raw(w, STR("{\"type\":\"object\"}"));
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
print_roles(struct jsonw *w, unsigned roles)
{
	jsonw_key(w, "x-roles");
	jsonw_arr(w);
	if (roles & ROLE_PUBLIC)
		jsonw_z(w, "public");
	for (unsigned bit = 1; bit <= ROLE_SERVICE; bit <<= 1)
		if (roles & bit)
			jsonw_z(w, role_name((enum role)bit));
	jsonw_arr_end(w);
}

static void
lower(const char *z, char out[16])
{
	size_t i = 0;

	for (; i < 15 && z[i]; i++)
		out[i] = (char)(z[i] + ('a' - 'A'));
	out[i] = '\0';
}

static void
print_operation(struct jsonw *w, const struct route *r)
{
	char method[16];

	lower(http_method_name(r->method), method);
	jsonw_key(w, method);
	jsonw_obj(w);
	jsonw_kz(w, "operationId", r->name);
	jsonw_kz(w, "summary", r->doc);
	jsonw_key(w, "tags");
	jsonw_arr(w);
	jsonw_z(w, r->tag);
	jsonw_arr_end(w);
	print_roles(w, r->roles);
	if (!(r->roles & ROLE_PUBLIC)) {
		jsonw_key(w, "security");
		jsonw_raw(w, STR("[{\"bearer\":[]}]"));
	}
	print_params(w, r);
	print_body(w, r);
	jsonw_key(w, "responses");
	jsonw_obj(w);
	print_success(w, r);
	print_failures(w, r);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* "/products/:id" as "/products/{id}". */
static void
openapi_path(const char *path, char *out, size_t max)
{
	size_t n = 0;
	bool in = false;

	for (; n + 2 < max; path++) {
		if (in && (*path == '/' || *path == '\0')) {
			out[n++] = '}';
			in = false;
		}
		if (*path == '\0')
			break;
		in = in || *path == ':';
		out[n++] = *path == ':' ? '{' : *path;
	}
	out[n] = '\0';
}

/* What stands in front of the path in a document whose server is the whole site. */
static const char *
at_text(const struct route *r)
{
	return r->at == AT_API ? "/api" : "";
}

/* All rows of a path stand together; the first row met prints it. */
static void
print_path(struct jsonw *w, const struct route *first)
{
	char path[LIMIT_PATH], key[LIMIT_PATH + 8];
	bool open = false;

	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++) {
			const struct route *r = &route_tables[t]->rows[i];
			if (r->hidden || r->facade != first->facade || r->at != first->at ||
				strcmp(r->path, first->path) != 0)
				continue;
			if (!open && r != first)
				return;
			if (!open) {
				openapi_path(r->path, path, sizeof(path));
				snprintf(key, sizeof(key), "%s%s", at_text(r), path);
				jsonw_key(w, key);
				jsonw_obj(w);
				open = true;
			}
			print_operation(w, r);
		}
	if (open)
		jsonw_obj_end(w);
}

static void
print_info(struct jsonw *w, const char *server, const struct facade *facade)
{
	char url[300];

	/* A relative server has no other name than "/" for the whole site. */
	snprintf(url, sizeof(url), "%s%s", server, !facade ? "/api/v1" : server[0] ? "" : "/");
	jsonw_kz(w, "openapi", "3.1.0");
	jsonw_key(w, "info");
	jsonw_obj(w);
	jsonw_kz(w, "title", facade ? facade->title : "Plaza");
	jsonw_kz(w, "version", PLAZA_VERSION[0] ? PLAZA_VERSION : "0.0.0");
	jsonw_kz(w, "description",
		facade ? facade->doc
		       : "Marketplace with live chat. Events travel over MQTT; see asyncapi.json.");
	jsonw_obj_end(w);
	jsonw_key(w, "servers");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kz(w, "url", url);
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

void
describe_openapi(const char *server, const struct facade *facade, struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_obj(&w);
	print_info(&w, server, facade);
	jsonw_key(&w, "paths");
	jsonw_obj(&w);
	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++) {
			const struct route *r = &route_tables[t]->rows[i];
			if (!r->hidden && r->facade == facade)
				print_path(&w, r);
		}
	jsonw_obj_end(&w);
	print_components(&w, facade);
	jsonw_obj_end(&w);
}

/* ---- plain tables ---- */

void
describe_routes(struct buf *b)
{
	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++) {
			const struct route *r = &route_tables[t]->rows[i];
			buf_printf(b, "%s\t%s\t%s", http_method_name(r->method), r->path,
				r->roles & ROLE_PUBLIC ? "public" : "");
			for (unsigned bit = 1; bit <= ROLE_SERVICE; bit <<= 1)
				if (r->roles & bit)
					buf_printf(b, ",%s", role_name((enum role)bit));
			buf_printf(b, "\t%s%s%s", r->name, r->bare ? "\tbare" : "",
				r->hidden ? "\talias" : "");
			if (r->facade)
				buf_printf(b, "\t%s:%s", r->facade->name, at_text(r));
			buf_putc(b, '\n');
		}
}

void
describe_problems(struct buf *b)
{
	for (int i = 1; i < P_COUNT; i++) {
		const struct problem_info *p = problem_info((enum problem)i);
		buf_printf(b, "%d\t%s\t%s\t%s\n", p->status, p->slug, p->title_en, p->meaning);
	}
}

void
describe_queries(struct buf *b)
{
	for (size_t i = 0; i < db_query_count; i++)
		buf_printf(b, "%s\n", db_queries[i].name);
}
