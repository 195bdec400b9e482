/* fcgi/io/blob in a folder of its own */
#include "io/blob.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "unit.h"

static char dir[64];
static struct blob_store *store;
static struct err err;

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int
make_store(void **state)
{
	(void)state;
	umask(027);
	snprintf(dir, sizeof(dir), "/tmp/blob-XXXXXX");
	store = mkdtemp(dir) ? blob_local_new(dir) : NULL;
	err = (struct err){ 0 };
	return store ? 0 : -1;
}

static int
drop_store(void **state)
{
	(void)state;
	blob_free(store);
	return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct blob_name
put(const char *text, enum blob_class class)
{
	struct blob_name name;
	int fd;

	assert_int_equal(blob_temporary(store, &fd, &err), P_OK);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(blob_put(store, fd, class, "jpg", &name, &err), P_OK);
	close(fd);
	return name;
}

/* As the web server does it; -1 where there is none. */
static int
open_stored(const struct blob_name *name)
{
	char path[BLOB_PATH], whole[128];

	blob_path(name, path);
	snprintf(whole, sizeof(whole), "%s/%s", dir, path);
	return open(whole, O_RDONLY);
}

static void
what_was_put_can_be_read(void **state)
{
	struct blob_name name = put("hello", BLOB_PUBLIC);
	char text[16], path[BLOB_PATH];
	int fd = open_stored(&name);

	(void)state;
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	close(fd);
	assert_int_equal(strlen(name.z), 37);
	assert_int_equal(name.z[0], 'p');
	blob_path(&name, path);
	assert_int_equal(strlen(path), 8 + 37);
	assert_memory_equal(path + 8, name.z, 37);
	assert_memory_equal(path + 2, name.z + 1, 2);
	assert_memory_equal(path + 5, name.z + 3, 2);
}

static void
files_and_folders_are_for_the_group_only(void **state)
{
	struct blob_name name = put("x", BLOB_PRIVATE);
	char path[BLOB_PATH], whole[128];
	struct stat st;

	(void)state;
	blob_path(&name, path);
	snprintf(whole, sizeof(whole), "%s/%s", dir, path);
	assert_int_equal(stat(whole, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	*strrchr(whole, '/') = '\0';
	assert_int_equal(stat(whole, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

static void
no_two_names_are_the_same(void **state)
{
	struct blob_name names[50];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		names[i] = put("x", BLOB_PUBLIC);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(names[i].z, names[k].z);
	}
}

static void
what_was_removed_is_gone_and_may_be_removed_again(void **state)
{
	struct blob_name name = put("x", BLOB_PUBLIC), never = { "f" };

	(void)state;
	assert_int_equal(blob_remove(store, &name, &err), P_OK);
	assert_int_equal(open_stored(&name), -1);
	assert_int_equal(blob_remove(store, &name, &err), P_OK);
	assert_true(blob_name_parse(STR("f0123456789abcdef0123456789abcdef.pdf"), &never));
	assert_int_equal(blob_remove(store, &never, &err), P_OK);
}

/* Somebody has put a link in the place of a folder. */
static void
links_lead_nowhere(void **state)
{
	struct blob_name name;
	char path[128], outside[128];

	(void)state;
	assert_true(blob_name_parse(STR("paabb456789abcdef0123456789abcdef.jpg"), &name));
	snprintf(outside, sizeof(outside), "%s/out", dir);
	assert_int_equal(mkdir(outside, 0700), 0);
	snprintf(path, sizeof(path), "%s/p", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/p/aa", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/p/aa/bb", dir);
	assert_int_equal(symlink(outside, path), 0);
	snprintf(path, sizeof(path), "%s/out/%s", dir, name.z);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(blob_remove(store, &name, &err), P_UNAVAILABLE);
	assert_int_equal(access(path, F_OK), 0);
}

static void
only_exact_names_are_names(void **state)
{
	static const char good[] = "p0123456789abcdef0123456789abcdef.webp";
	static const char *const bad[] = {
		"",
		"p",
		"..",
		"../../etc/passwd",
		"p0123456789abcdef0123456789abcdef",
		"p0123456789abcdef0123456789abcdef.",
		"p0123456789abcdef0123456789abcdef.j/g",
		"p0123456789abcdef0123456789abcdef.jpeg5",
		"p0123456789abcdef0123456789abcdef.JPG",
		"p0123456789abcdef0123456789abcdef.jpg.jpg",
		"p0123456789abcdef0123456789abcde/.jpg",
		"p0123456789ABCDEF0123456789abcdef.jpg",
		"p0123456789abcdef0123456789abcdeg.jpg",
		"p0123456789abcdef0123456789abcdef0.jpg",
		"x0123456789abcdef0123456789abcdef.jpg",
		" p0123456789abcdef0123456789abcdef.jpg",
	};
	struct blob_name name = { "untouched" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(blob_name_parse(str_of(bad[i]), &name));
	assert_false(blob_name_parse(
		(struct str){ "p0123456789abcdef0123456789abcdef.j\0g", 37 }, &name));
	assert_string_equal(name.z, "untouched");
	assert_true(blob_name_parse(str_of(good), &name));
	assert_string_equal(name.z, good);
}

static void
a_missing_folder_is_told_not_hidden(void **state)
{
	struct blob_store *lost = blob_local_new("/nowhere/at/all");
	struct blob_name name;
	int fd = -1;
	size_t n;

	(void)state;
	assert_true(blob_name_parse(STR("p0123456789abcdef0123456789abcdef.jpg"), &name));
	assert_int_equal(blob_temporary(lost, &fd, &err), P_UNAVAILABLE);
	assert_int_equal(blob_remove(lost, &name, &err), P_UNAVAILABLE);
	assert_int_equal(blob_old(lost, INT64_MAX, &name, 1, &n, &err), P_UNAVAILABLE);
	assert_int_equal(fd, -1);
	blob_free(lost);
}

/* All names that one round gives, counted. */
static size_t
round_of(int64_t before_s, struct blob_name *out, size_t max)
{
	size_t n;

	assert_int_equal(blob_old(store, before_s, out, max, &n, &err), P_OK);
	return n;
}

static void
old_files_are_named_and_nothing_else(void **state)
{
	struct blob_name kept = put("new", BLOB_PUBLIC), gone = put("old", BLOB_PRIVATE), found[4];
	struct timespec then[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	char path[BLOB_PATH], whole[128], other[128];

	(void)state;
	blob_path(&gone, path);
	snprintf(whole, sizeof(whole), "%s/%s", dir, path);
	assert_int_equal(utimensat(AT_FDCWD, whole, then, 0), 0);
	snprintf(other, sizeof(other), "%s/notes.txt", dir);
	int fd = open(other, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(futimens(fd, then), 0);
	close(fd);
	snprintf(other, sizeof(other), "%s/%s", dir, kept.z);
	assert_int_equal(symlink(whole, other), 0);

	assert_int_equal(round_of(2000, found, 4), 1);
	assert_string_equal(found[0].z, gone.z);
	assert_int_equal(round_of(1000, found, 4), 0);
	assert_int_equal(round_of(INT64_MAX, found, 4), 2);
}

static void
a_round_goes_on_where_it_stopped(void **state)
{
	struct blob_name a = put("a", BLOB_PUBLIC), b = put("b", BLOB_PUBLIC), found[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(round_of(INT64_MAX, &found[0], 1), 1);
		assert_int_equal(round_of(INT64_MAX, &found[1], 1), 1);
		assert_string_not_equal(found[0].z, found[1].z);
		assert_true(strcmp(a.z, found[0].z) == 0 || strcmp(a.z, found[1].z) == 0);
		assert_true(strcmp(b.z, found[0].z) == 0 || strcmp(b.z, found[1].z) == 0);
		assert_int_equal(round_of(INT64_MAX, found, 1), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_put_can_be_read, make_store, drop_store),
		cmocka_unit_test_setup_teardown(
			files_and_folders_are_for_the_group_only, make_store, drop_store),
		cmocka_unit_test_setup_teardown(no_two_names_are_the_same, make_store, drop_store),
		cmocka_unit_test_setup_teardown(
			what_was_removed_is_gone_and_may_be_removed_again, make_store, drop_store),
		cmocka_unit_test_setup_teardown(links_lead_nowhere, make_store, drop_store),
		cmocka_unit_test_setup_teardown(
			old_files_are_named_and_nothing_else, make_store, drop_store),
		cmocka_unit_test_setup_teardown(
			a_round_goes_on_where_it_stopped, make_store, drop_store),
		cmocka_unit_test(only_exact_names_are_names),
		cmocka_unit_test(a_missing_folder_is_told_not_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
