/* Field tables: what they bind, what they refuse, what they say of it. */
#include "http/schema.h"

#include "http/limits.h"
#include "io/json.h"
#include "unit.h"

struct thing {
	struct str name;
	int64_t count;
	const int64_t *age;
	struct uuid id;
	const struct uuid *parent;
	bool on;
	struct str colour;
	const struct money *price;
	struct array tags;
};
static const char *const colours[] = { "red", "blue", NULL };
static const struct field thing_fields[] = {
	FIELD(thing, name, T_TEXT, .required = true, .min = 2, .max = 5),
	FIELD(thing, count, T_INT, .min = 1, .max = 9, .has_default = true, .def = 3),
	FIELD(thing, age, T_INT, .min = 0, .max = 200),
	FIELD(thing, id, T_UUID, .required = true),
	FIELD(thing, parent, T_UUID, .alias = "parent_id"),
	FIELD(thing, on, T_BOOL, .has_default = true, .def = 1),
	FIELD(thing, colour, T_ENUM, .values = colours),
	FIELD(thing, price, T_MONEY),
	FIELD(thing, tags, T_ARRAY, .item = T_TEXT, .max = 2),
};
static const struct schema thing_schema = SCHEMA("Thing", thing, thing_fields);

struct patch {
	uint64_t present;
	struct str name;
	const int64_t *age;
};
static const struct field patch_fields[] = {
	FIELD(patch, name, T_TEXT),
	FIELD(patch, age, T_INT, .nullable = true),
};
static const struct schema patch_schema = SCHEMA_PATCH("Patch", patch, patch_fields);

#define ID "0190a000-0000-7000-8000-000000000001"

static enum problem
bind(struct arena *a, const struct schema *s, const char *text, void **out, struct err *err)
{
	const struct json *doc;

	err_clear(err);
	assert_int_equal(json_parse(a, str_of(text), &doc, err), P_OK);
	return schema_bind(s, a, doc, out, err);
}

static void
a_full_body_is_bound(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(
		bind(a, &thing_schema,
			"{\"name\":\"abc\",\"count\":7,\"age\":0,\"id\":\"" ID
			"\",\"parent_id\":\"" ID "\",\"on\":false,\"colour\":\"red\",\"price\":{"
			"\"amount\":199,\"currency\":\"USD\"},"
			"\"tags\":[\"x\",\"y\"]}",
			&out, &err),
		P_OK);
	const struct thing *t = out;
	assert_str(t->name, "abc");
	assert_int_equal(t->count, 7);
	assert_int_equal(*t->age, 0);
	assert_true(uuid_eq(&t->id, t->parent));
	assert_false(t->on);
	assert_str(t->colour, "red");
	assert_int_equal(t->price->amount, 199);
	assert_str(t->price->currency, "USD");
	assert_int_equal(t->tags.n, 2);
	assert_str(((struct str *)t->tags.v)[1], "y");
	arena_free(a);
}

static void
absent_members_get_defaults_or_nothing(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(
		bind(a, &thing_schema, "{\"name\":\"ab\",\"id\":\"" ID "\"}", &out, &err), P_OK);
	const struct thing *t = out;
	assert_int_equal(t->count, 3);
	assert_true(t->on);
	assert_null(t->age);
	assert_null(t->parent);
	assert_null(t->price);
	assert_null(t->colour.p);
	arena_free(a);
}

/* The code of the fault at this pointer, or "". */
static const char *
code_at(const struct err *err, const char *pointer)
{
	for (size_t i = 0; i < err->field_count; i++)
		if (strcmp(err->fields[i].pointer, pointer) == 0)
			return err->fields[i].code;
	return "";
}

static void
every_fault_is_told_at_once(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(bind(a, &thing_schema,
				 "{\"name\":\"abcdef\",\"count\":10,\"age\":\"x\",\"id\":\"no\","
				 "\"colour\":\"green\","
				 "\"price\":{\"amount\":1.5},\"tags\":[\"a\",\"b\",\"c\"],"
				 "\"other\":1,\"on\":0}",
				 &out, &err),
		P_INVALID);
	assert_string_equal(code_at(&err, "/name"), "too_long");
	assert_string_equal(code_at(&err, "/count"), "too_large");
	assert_string_equal(code_at(&err, "/age"), "wrong_type");
	assert_string_equal(code_at(&err, "/id"), "invalid_uuid");
	assert_string_equal(code_at(&err, "/colour"), "not_allowed");
	assert_string_equal(code_at(&err, "/price"), "invalid_money");
	assert_string_equal(code_at(&err, "/tags"), "too_many");
	assert_string_equal(code_at(&err, "/other"), "unknown_member");
	assert_string_equal(code_at(&err, "/on"), "wrong_type");
	arena_free(a);
}

/* RFC 6901 section 3. */
static void
pointers_escape_what_names_may_have(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(
		bind(a, &thing_schema,
			"{\"name\":\"ab\",\"id\":\"" ID "\",\"a/b~c~1\":1,\"on/\":2}", &out, &err),
		P_INVALID);
	assert_string_equal(code_at(&err, "/a~1b~0c~01"), "unknown_member");
	assert_string_equal(code_at(&err, "/on~1"), "unknown_member");
	/* One that does not fit ends behind a whole escape. */
	char slashes[101] = { 0 };
	memset(slashes, '/', sizeof(slashes) - 1);
	const char *body = arena_printf(a, "{\"name\":\"ab\",\"id\":\"" ID "\",\"%s\":1}", slashes);
	assert_int_equal(bind(a, &thing_schema, body, &out, &err), P_INVALID);
	size_t n = strlen(err.fields[0].pointer);
	assert_true(n > 90 && err.fields[0].pointer[n - 1] == '1');
	arena_free(a);
}

static void
a_required_member_must_be_there_and_not_null(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(bind(a, &thing_schema, "{\"name\":null}", &out, &err), P_INVALID);
	assert_string_equal(code_at(&err, "/name"), "wrong_type");
	assert_string_equal(code_at(&err, "/id"), "required");
	arena_free(a);
}

static void
lengths_count_characters_not_bytes(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(
		bind(a, &thing_schema, "{\"name\":\"ñandú\",\"id\":\"" ID "\"}", &out, &err), P_OK);
	assert_int_equal(bind(a, &thing_schema, "{\"name\":\"ñ\",\"id\":\"" ID "\"}", &out, &err),
		P_INVALID);
	assert_string_equal(code_at(&err, "/name"), "too_short");
	arena_free(a);
}

static void
a_patch_tells_null_from_absent(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err;
	void *out;

	(void)state;
	assert_int_equal(bind(a, &patch_schema, "{\"age\":null}", &out, &err), P_OK);
	const struct patch *p = out;
	assert_int_equal(p->present, 2);
	assert_null(p->age);
	assert_int_equal(bind(a, &patch_schema, "{\"name\":\"x\"}", &out, &err), P_OK);
	p = out;
	assert_int_equal(p->present, 1);
	arena_free(a);
}

static void
a_query_is_decoded_and_bound(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err = { 0 };
	void *out;

	(void)state;
	assert_int_equal(schema_bind_query(&thing_schema, a,
				 STR("name=a+b&id=" ID "&count=4&on=false&age=12"), &out, &err),
		P_OK);
	const struct thing *t = out;
	assert_str(t->name, "a b");
	assert_int_equal(t->count, 4);
	assert_int_equal(*t->age, 12);
	assert_false(t->on);
	arena_free(a);
}

static void
bad_queries_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum problem want;
	} cases[] = {
		{ "name=ab&name=cd&id=" ID, P_DUPLICATE_PARAM },
		{ "name=ab&n%61me=cd&id=" ID, P_DUPLICATE_PARAM },
		{ "name=%zz&id=" ID, P_BAD_REQUEST },
		{ "name=%00a&id=" ID, P_BAD_REQUEST },
		{ "name=ab&id=" ID "&x=1", P_INVALID },
		{ "name=ab", P_INVALID },
		{ "name=ab&id=" ID "&count=1e3", P_INVALID },
		{ "name=ab&id=" ID "&count=", P_INVALID },
		{ "name=ab&id=" ID "&on=1", P_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct err err = { 0 };
		void *out;
		assert_int_equal(
			schema_bind_query(&thing_schema, a, str_of(cases[i].text), &out, &err),
			cases[i].want);
		arena_free(a);
	}
}

static void
more_parameters_than_allowed_are_refused(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct err err = { 0 };
	struct buf b;
	void *out;

	(void)state;
	buf_init(&b, a, 4096);
	for (int i = 0; i <= LIMIT_QUERY_PARAMS; i++)
		buf_printf(&b, "p%d=1&", i);
	assert_int_equal(
		schema_bind_query(&thing_schema, a, buf_str(&b), &out, &err), P_BAD_REQUEST);
	arena_free(a);
}

static const struct field wrong_fields[] = { FIELD(thing, on, T_INT, .required = true) };
static const struct schema wrong_schema = SCHEMA("Wrong", thing, wrong_fields);

static void
check_wrong(void)
{
	schema_check(&wrong_schema);
}

static void
a_table_that_does_not_fit_its_struct_ends_the_start(void **state)
{
	char text[512];

	(void)state;
	schema_check(&thing_schema);
	assert_true(aborts(check_wrong, text, sizeof(text)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_body_is_bound),
		cmocka_unit_test(absent_members_get_defaults_or_nothing),
		cmocka_unit_test(every_fault_is_told_at_once),
		cmocka_unit_test(pointers_escape_what_names_may_have),
		cmocka_unit_test(a_required_member_must_be_there_and_not_null),
		cmocka_unit_test(lengths_count_characters_not_bytes),
		cmocka_unit_test(a_patch_tells_null_from_absent),
		cmocka_unit_test(a_query_is_decoded_and_bound),
		cmocka_unit_test(bad_queries_are_refused),
		cmocka_unit_test(more_parameters_than_allowed_are_refused),
		cmocka_unit_test(a_table_that_does_not_fit_its_struct_ends_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
