/* Binds JSON bodies and query strings to structs by field tables, and prints the tables as JSON
 * Schema. */
#include "http/schema.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "http/limits.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX_DEFAULT 1000
#define ARRAY_MAX_DEFAULT 100
#define EMAIL_MAX 254
#define URL_MAX 2048
#define POINTER_MAX 96
#define INT_MAX_JSON INT64_C(9007199254740991)
#define MONEY_MAX INT64_C(99999999999999)

/* Where in the input we are, for the pointers of the faults. */
struct bind {
	struct arena *a;
	struct err *err;
	char pointer[POINTER_MAX];
};

static bool bind_object(struct bind *b, const struct schema *s, const struct json *in, void *out);

static void
fault(struct bind *b, const char *code, const char *text)
{
	err_field(b->err, b->pointer, code, "%s", text);
}

/* Bytes of the UTF-8 sequence that begins here. */
static size_t
sequence(const char *p)
{
	size_t n = 1;

	while (((unsigned char)p[n] & 0xC0) == 0x80)
		n++;
	return n;
}

/*
 * Lengthens the pointer by one member, as far as there is room for whole
 * characters; '~' and '/' are written ~0 and ~1 (RFC 6901). Returns the old
 * length for pointer_pop().
 */
static size_t
pointer_push(struct bind *b, const char *name)
{
	size_t before = strlen(b->pointer), n = before;

	if (n + 1 < POINTER_MAX)
		b->pointer[n++] = '/';
	while (*name) {
		size_t taken = sequence(name);
		const char *text = *name == '~' ? "~0" : *name == '/' ? "~1" : name;
		size_t size = text == name ? taken : 2;

		if (n + size >= POINTER_MAX)
			break;
		memcpy(b->pointer + n, text, size);
		n += size;
		name += taken;
	}
	b->pointer[n] = '\0';
	return before;
}

static void
pointer_pop(struct bind *b, size_t n)
{
	b->pointer[n] = '\0';
}

static void
pointer_push_index(struct bind *b, size_t i)
{
	size_t n = strlen(b->pointer);

	snprintf(b->pointer + n, sizeof(b->pointer) - n, "/%zu", i);
}

/* A deliberately small grammar: one '@', a dot in the domain, printable ASCII. Mail proves the
 * rest. */
static bool
email_valid(struct str s)
{
	size_t at = str_find(s, '@', 0);
	struct str domain = str_sub(s, at + 1, s.n);

	if (s.n > EMAIL_MAX || at == 0 || at + 3 > s.n || str_find(domain, '@', 0) < domain.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == ',' ||
			s.p[i] == '<')
			return false;
	size_t dot = str_find(domain, '.', 0);
	return dot > 0 && dot + 1 < domain.n;
}

static bool
url_valid(struct str s)
{
	if (s.n > URL_MAX ||
		!(str_starts(s, "https://") || str_starts(s, "http://") || str_starts(s, "/")))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '<' ||
			s.p[i] == '>')
			return false;
	return true;
}

static bool
enum_has(const char *const *values, struct str s)
{
	for (; *values; values++)
		if (str_eqz(s, *values))
			return true;
	return false;
}

static bool
check_text(struct bind *b, const struct field *f, struct str s)
{
	if (f->type == T_EMAIL && !email_valid(s))
		return fault(b, "invalid_email", "not an e-mail address"), false;
	if (f->type == T_URL && !url_valid(s))
		return fault(b, "invalid_url", "not an http(s) address"), false;
	if (f->type == T_TIME && !clock_rfc3339_valid(s))
		return fault(b, "invalid_time", "want a time as 2026-01-31T09:30:00Z"), false;
	if (f->type == T_ENUM && !enum_has(f->values, s))
		return fault(b, "not_allowed", "not one of the allowed values"), false;
	if (!text_valid(s))
		return fault(b, "invalid_text", "control characters are not allowed"), false;
	size_t n = utf8_length(s);
	size_t max = f->max ? (size_t)f->max : TEXT_MAX_DEFAULT;
	if (f->type == T_TEXT && n > max)
		return fault(b, "too_long", "longer than allowed"), false;
	if (f->type == T_TEXT && n < (size_t)f->min)
		return fault(b, "too_short", "shorter than allowed"), false;
	return true;
}

static bool
check_int(struct bind *b, const struct field *f, int64_t v)
{
	int64_t max = f->max ? f->max : (f->type == T_MONEY ? MONEY_MAX : INT_MAX_JSON);
	int64_t min = f->min || f->max || f->type == T_MONEY ? f->min : -INT_MAX_JSON;

	if (v < min)
		return fault(b, "too_small", "smaller than allowed"), false;
	if (v > max)
		return fault(b, "too_large", "larger than allowed"), false;
	return true;
}

static bool
currency_valid(struct str s)
{
	if (s.n != 3)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (s.p[i] < 'A' || s.p[i] > 'Z')
			return false;
	return true;
}

static bool
bind_money(struct bind *b, const struct field *f, const struct json *v, struct money *out)
{
	const struct json *amount = json_kind_of(v) == JSON_OBJ ? json_member(v, "amount") : NULL;
	const struct json *currency = amount ? json_member(v, "currency") : NULL;

	if (!amount || json_kind_of(amount) != JSON_INT)
		return fault(b, "invalid_money",
			       "want {\"amount\": minor units, \"currency\": \"USD\"}"),
		       false;
	if (json_size(v) > (currency ? 2u : 1u))
		return fault(b, "unknown_member", "money has only amount and currency"), false;
	if (currency && !currency_valid(json_str(currency)))
		return fault(b, "invalid_currency", "want three capital letters (ISO 4217)"), false;
	out->amount = json_int(amount);
	out->currency = currency ? json_str(currency) : (struct str){ 0 };
	return check_int(b, f, out->amount);
}

static bool
bind_scalar(
	struct bind *b, const struct field *f, enum field_type t, const struct json *v, void *out)
{
	enum json_kind k = json_kind_of(v);

	switch (t) {
	case T_TEXT:
	case T_EMAIL:
	case T_ENUM:
	case T_URL:
	case T_TIME:
		if (k != JSON_STR)
			return fault(b, "wrong_type", "want a string"), false;
		*(struct str *)out = json_str(v);
		return check_text(b, f, json_str(v));
	case T_UUID:
		if (k != JSON_STR || !uuid_parse(json_str(v), out))
			return fault(b, "invalid_uuid", "want a UUID"), false;
		return true;
	case T_INT:
		if (k != JSON_INT)
			return fault(b, "wrong_type", "want an integer"), false;
		*(int64_t *)out = json_int(v);
		return check_int(b, f, json_int(v));
	case T_BOOL:
		if (k != JSON_BOOL)
			return fault(b, "wrong_type", "want true or false"), false;
		*(bool *)out = json_bool(v);
		return true;
	case T_MONEY:
		return bind_money(b, f, v, out);
	case T_OBJECT:
	case T_ARRAY:
	case T_JSON:
	case T_NUMBER:
		break;
	}
	CHECK(t == T_TEXT); /* a type that cannot be bound: schema_check() */
	return false;
}

static size_t
scalar_size(enum field_type t)
{
	switch (t) {
	case T_UUID:
		return sizeof(struct uuid);
	case T_INT:
		return sizeof(int64_t);
	case T_BOOL:
		return sizeof(bool);
	case T_MONEY:
		return sizeof(struct money);
	default:
		return sizeof(struct str);
	}
}

static bool
bind_array(struct bind *b, const struct field *f, const struct json *v, struct array *out)
{
	if (json_kind_of(v) != JSON_ARR)
		return fault(b, "wrong_type", "want an array"), false;
	size_t n = json_size(v), size = f->of ? f->of->size : scalar_size(f->item);
	if (n > (f->max ? (size_t)f->max : ARRAY_MAX_DEFAULT))
		return fault(b, "too_many", "more items than allowed"), false;
	if (n < (size_t)f->min)
		return fault(b, "too_few", "fewer items than allowed"), false;
	char *items = arena_calloc(b->a, n ? n : 1, size);
	bool good = true;
	for (size_t i = 0; i < n; i++) {
		struct field item = { .type = f->item, .max = 0 };
		size_t at = strlen(b->pointer);
		pointer_push_index(b, i);
		if (f->of)
			good &= bind_object(b, f->of, json_item(v, i), items + i * size);
		else
			good &= bind_scalar(b, &item, f->item, json_item(v, i), items + i * size);
		pointer_pop(b, at);
	}
	*out = (struct array){ items, n };
	return good;
}

static bool
is_text(enum field_type t)
{
	return t == T_TEXT || t == T_EMAIL || t == T_ENUM || t == T_URL || t == T_TIME;
}

/* True when the struct holds the value itself rather than a pointer to it. */
static bool
holds_value(const struct field *f)
{
	return f->required || f->has_default || is_text(f->type) || f->type == T_ARRAY;
}

static bool
bind_value(struct bind *b, const struct field *f, const struct json *v, char *slot)
{
	if (f->type == T_JSON) {
		*(const struct json **)(void *)slot = v;
		return true;
	}
	if (f->type == T_ARRAY)
		return bind_array(b, f, v, (struct array *)(void *)slot);
	size_t size = f->type == T_OBJECT ? f->of->size : scalar_size(f->type);
	void *to = holds_value(f) ? (void *)slot : arena_calloc(b->a, 1, size);
	bool good = f->type == T_OBJECT ? bind_object(b, f->of, v, to)
					: bind_scalar(b, f, f->type, v, to);
	if (good && to != (void *)slot)
		*(void **)(void *)slot = to;
	return good;
}

static void
bind_default(const struct field *f, char *slot)
{
	if (!f->has_default)
		return;
	if (f->type == T_BOOL)
		*(bool *)slot = f->def != 0;
	else
		*(int64_t *)(void *)slot = f->def;
}

static const struct field *
field_by_name(const struct schema *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->fields[i].name, name) == 0 ||
			(s->fields[i].alias && strcmp(s->fields[i].alias, name) == 0))
			return &s->fields[i];
	return NULL;
}

/* Mass assignment ends here: what the table does not name is refused. */
static bool
refuse_unknown(struct bind *b, const struct schema *s, const struct json *in)
{
	void *it = NULL;
	const char *name;
	const struct json *v;
	bool good = true;

	while (!s->open && json_next(in, &it, &name, &v)) {
		if (field_by_name(s, name))
			continue;
		size_t at = pointer_push(b, name);
		fault(b, "unknown_member", "there is no such member");
		pointer_pop(b, at);
		good = false;
	}
	return good;
}

static bool
bind_field(struct bind *b, const struct field *f, const struct json *in, char *slot, bool *sent)
{
	const struct json *v = json_member(in, f->name);

	if (!v && f->alias)
		v = json_member(in, f->alias);
	*sent = v != NULL;
	if (v && json_kind_of(v) == JSON_NIL && (f->nullable || !f->required))
		v = NULL;
	if (v)
		return bind_value(b, f, v, slot);
	if (f->required && !*sent)
		return fault(b, "required", "is required"), false;
	if (f->required)
		return fault(b, "wrong_type", "must not be null"), false;
	bind_default(f, slot);
	return true;
}

static bool
bind_object(struct bind *b, const struct schema *s, const struct json *in, void *out)
{
	if (json_kind_of(in) != JSON_OBJ)
		return fault(b, "wrong_type", "want an object"), false;
	bool good = refuse_unknown(b, s, in);
	uint64_t present = 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];
		bool sent;
		size_t at = pointer_push(b, f->name);
		good &= bind_field(b, f, in, (char *)out + f->offset, &sent);
		pointer_pop(b, at);
		if (sent)
			present |= UINT64_C(1) << i;
	}
	if (s->has_present)
		*(uint64_t *)out = present;
	return good;
}

enum problem
schema_bind(
	const struct schema *s, struct arena *a, const struct json *in, void **out, struct err *err)
{
	struct bind b = { .a = a, .err = err };
	void *to = arena_calloc(a, 1, s->size);

	if (!bind_object(&b, s, in, to)) {
		err->problem = P_INVALID;
		return P_INVALID;
	}
	*out = to;
	return P_OK;
}

/* ---- query strings ---- */

struct query_param {
	struct str name, value;
	bool used;
};

static bool
bind_query_value(struct bind *b, const struct field *f, struct str s, char *slot)
{
	union {
		struct uuid u;
		int64_t i;
		bool yes;
	} v = { .i = 0 };
	size_t size = scalar_size(f->type);

	if (is_text(f->type)) {
		*(struct str *)(void *)slot = s;
		return check_text(b, f, s);
	}
	if (f->type == T_UUID && !uuid_parse(s, &v.u))
		return fault(b, "invalid_uuid", "want a UUID"), false;
	if (f->type == T_BOOL && !str_eqz(s, "true") && !str_eqz(s, "false"))
		return fault(b, "wrong_type", "want true or false"), false;
	if (f->type == T_BOOL)
		v.yes = str_eqz(s, "true");
	if (f->type == T_INT && !str_i64(s, &v.i))
		return fault(b, "wrong_type", "want an integer"), false;
	if (f->type == T_INT && !check_int(b, f, v.i))
		return false;
	if (holds_value(f))
		memcpy(slot, &v, size);
	else
		*(void **)(void *)slot = arena_dup(b->a, &v, size);
	return true;
}

/* Splits and decodes; repeated names are refused, since readers differ in which one wins. */
static enum problem
query_split(struct arena *a, struct str query, struct query_param *v, size_t *n, struct err *err)
{
	struct str pair;

	for (*n = 0; query.n > 0;) {
		str_cut(query, '&', &pair, &query);
		if (pair.n == 0)
			continue;
		if (*n == LIMIT_QUERY_PARAMS)
			return ERR_SAY(err, P_BAD_REQUEST, "more than %d query parameters",
				LIMIT_QUERY_PARAMS);
		struct str name, value = { "", 0 };
		str_cut(pair, '=', &name, &value);
		if (!url_get(a, name, true, &v[*n].name) || !url_get(a, value, true, &v[*n].value))
			return ERR_SAY(err, P_BAD_REQUEST, "bad percent-encoding in the query");
		for (size_t i = 0; i < *n; i++)
			if (str_eq(v[i].name, v[*n].name))
				return ERR_SAY(err, P_DUPLICATE_PARAM, "%.*s", STR_ARG(v[i].name));
		v[*n].used = false;
		++*n;
	}
	return P_OK;
}

static struct query_param *
query_find(struct query_param *v, size_t n, const struct field *f)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqz(v[i].name, f->name) || (f->alias && str_eqz(v[i].name, f->alias)))
			return &v[i];
	return NULL;
}

static bool
bind_query_field(struct bind *b, const struct field *f, struct query_param *p, char *slot)
{
	if (p) {
		p->used = true;
		return bind_query_value(b, f, p->value.p ? p->value : STR(""), slot);
	}
	if (f->required)
		return fault(b, "required", "is required"), false;
	bind_default(f, slot);
	return true;
}

enum problem
schema_bind_query(
	const struct schema *s, struct arena *a, struct str query, void **out, struct err *err)
{
	struct query_param v[LIMIT_QUERY_PARAMS];
	struct bind b = { .a = a, .err = err };
	size_t n, count = s ? s->count : 0;
	char *to = arena_calloc(a, 1, s ? s->size : 1);
	enum problem p = query_split(a, query, v, &n, err);
	bool good = true;

	if (p)
		return p;
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &s->fields[i];
		size_t at = pointer_push(&b, f->name);
		good &= bind_query_field(&b, f, query_find(v, n, f), to + f->offset);
		pointer_pop(&b, at);
	}
	for (size_t i = 0; i < n; i++) {
		if (v[i].used)
			continue;
		size_t at = pointer_push(&b, str_z(a, v[i].name));
		fault(&b, "unknown_parameter", "there is no such parameter");
		pointer_pop(&b, at);
		good = false;
	}
	if (!good)
		return err->problem = P_INVALID, P_INVALID;
	*out = to;
	return P_OK;
}

/* ---- self-check and description ---- */

static size_t
slot_size(const struct field *f)
{
	if (f->type == T_ARRAY)
		return sizeof(struct array);
	if (!holds_value(f) || f->type == T_JSON)
		return sizeof(void *);
	return f->type == T_OBJECT ? f->of->size : scalar_size(f->type);
}

bool
schema_may_miss(const struct schema *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->fields[i].required)
			return false;
	return !s->has_present;
}

void
schema_check(const struct schema *s)
{
	CHECK(s->count <= 64);
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->fields[i];
		CHECK(f->name && f->type);
		CHECK(f->type != T_ENUM || f->values);
		CHECK(f->type != T_OBJECT || f->of);
		CHECK(f->type != T_ARRAY || f->of || f->item);
		CHECK(s->size == 0 || f->size == slot_size(f));
		CHECK(s->size == 0 || f->offset + f->size <= s->size);
		if (f->of && s->size)
			schema_check(f->of);
	}
}

static void
print_format(const struct field *f, enum field_type t, struct jsonw *w)
{
	if (t == T_EMAIL)
		jsonw_kz(w, "format", "email");
	if (t == T_UUID)
		jsonw_kz(w, "format", "uuid");
	if (t == T_TIME)
		jsonw_kz(w, "format", "date-time");
	if (t == T_URL)
		jsonw_kz(w, "format", "uri-reference");
	if (t == T_ENUM && f->values) {
		jsonw_key(w, "enum");
		jsonw_arr(w);
		for (const char *const *v = f->values; *v; v++)
			jsonw_z(w, *v);
		if (f->nullable)
			jsonw_null(w);
		jsonw_arr_end(w);
	}
	if (t == T_TEXT && f->max)
		jsonw_kint(w, "maxLength", f->max);
	if (t == T_TEXT && f->min)
		jsonw_kint(w, "minLength", f->min);
	if (t == T_INT && (f->min || f->max)) {
		jsonw_kint(w, "minimum", f->min);
		jsonw_kint(w, "maximum", f->max ? f->max : INT_MAX_JSON);
	}
}

static const char *
json_type(enum field_type t)
{
	switch (t) {
	case T_INT:
		return "integer";
	case T_NUMBER:
		return "number";
	case T_BOOL:
		return "boolean";
	case T_ARRAY:
		return "array";
	default:
		return "string";
	}
}

static void
print_type(const char *type, bool nullable, struct jsonw *w)
{
	jsonw_key(w, "type");
	if (!nullable) {
		jsonw_z(w, type);
		return;
	}
	jsonw_arr(w);
	jsonw_z(w, type);
	jsonw_z(w, "null");
	jsonw_arr_end(w);
}

static void
print_ref(const char *name, bool nullable, struct jsonw *w)
{
	char ref[128];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
	if (!nullable) {
		jsonw_kz(w, "$ref", ref);
		return;
	}
	jsonw_key(w, "oneOf");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kz(w, "$ref", ref);
	jsonw_obj_end(w);
	jsonw_obj(w);
	jsonw_kz(w, "type", "null");
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

static void
print_items(const struct field *f, struct jsonw *w)
{
	jsonw_key(w, "items");
	jsonw_obj(w);
	if (f->of) {
		print_ref(f->of->name, false, w);
	} else if (f->item == T_MONEY) {
		print_ref("Money", false, w);
	} else {
		jsonw_kz(w, "type", json_type(f->item));
		print_format(&(struct field){ .type = f->item, .values = f->values }, f->item, w);
	}
	jsonw_obj_end(w);
	if (f->max)
		jsonw_kint(w, "maxItems", f->max);
	if (f->min)
		jsonw_kint(w, "minItems", f->min);
}

static void
print_field(const struct field *f, bool input, struct jsonw *w)
{
	bool nullable = f->nullable || (input && !f->required);

	jsonw_key(w, f->name);
	jsonw_obj(w);
	if (f->type == T_OBJECT)
		print_ref(f->of->name, nullable, w);
	else if (f->type == T_MONEY)
		print_ref("Money", nullable, w);
	else if (f->type != T_JSON)
		print_type(json_type(f->type), nullable, w);
	if (f->type == T_ARRAY)
		print_items(f, w);
	else if (f->type != T_OBJECT && f->type != T_MONEY && f->type != T_JSON)
		print_format(f, f->type, w);
	if (f->doc)
		jsonw_kz(w, "description", f->doc);
	jsonw_obj_end(w);
}

void
schema_print(const struct schema *s, struct jsonw *w)
{
	jsonw_obj(w);
	jsonw_kz(w, "type", "object");
	if (s->doc)
		jsonw_kz(w, "description", s->doc);
	jsonw_key(w, "properties");
	jsonw_obj(w);
	for (size_t i = 0; i < s->count; i++)
		print_field(&s->fields[i], s->size > 0, w);
	jsonw_obj_end(w);
	jsonw_key(w, "required");
	jsonw_arr(w);
	for (size_t i = 0; i < s->count; i++)
		if (s->fields[i].required)
			jsonw_z(w, s->fields[i].name);
	jsonw_arr_end(w);
	if (!s->open)
		jsonw_kbool(w, "additionalProperties", false);
	jsonw_obj_end(w);
}
