/* fcgi/io/sniff: bytes, declared type and name must agree */
#include "io/sniff.h"

#include <fcntl.h>

#include "unit.h"

#define JPEG "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define PNG "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
#define WEBP "RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0"
#define PDF "%PDF-1.7\n%"

static struct sniff *sniff;

static int
begin(void **state)
{
	(void)state;
	sniff = sniff_new();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	sniff_free(sniff);
	return 0;
}

static enum problem
judge(const char *bytes, size_t n, const char *declared, const char *name, enum media *out)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct err err = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	enum problem p = sniff_file(sniff, fd, str_of(declared), str_of(name), out, &err);
	assert_true(p == P_OK || err.detail[0]);
	close(fd);
	return p;
}
#define JUDGE(bytes, declared, name, out) judge(bytes, sizeof(bytes) - 1, declared, name, out)

static void
three_that_agree_are_taken(void **state)
{
	enum media m = MEDIA_NONE;

	(void)state;
	assert_int_equal(JUDGE(JPEG, "image/jpeg", "a.jpg", &m), P_OK);
	assert_int_equal(m, MEDIA_JPEG);
	assert_int_equal(JUDGE(JPEG, "IMAGE/JPEG; q=1", "A.b.JPEG", &m), P_OK);
	assert_int_equal(JUDGE(PNG, "image/png", "a.png", &m), P_OK);
	assert_int_equal(m, MEDIA_PNG);
	assert_int_equal(JUDGE(WEBP, "image/webp", "a.webp", &m), P_OK);
	assert_int_equal(m, MEDIA_WEBP);
	assert_int_equal(JUDGE(PDF, "application/pdf", "a.pdf", &m), P_OK);
	assert_int_equal(m, MEDIA_PDF);
	assert_true(media_info(MEDIA_WEBP)->image && !media_info(MEDIA_PDF)->image);
}

static void
two_that_agree_are_not_enough(void **state)
{
	enum media m = MEDIA_NONE;

	(void)state;
	assert_int_equal(JUDGE(JPEG, "image/png", "a.jpg", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(JPEG, "image/jpeg", "a.png", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(PNG, "image/jpeg", "a.jpg", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(JPEG, "image/jpeg", "jpg", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(JPEG, "image/jpeg", "a.jpg.exe", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(JPEG, "", "a.jpg", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(JPEG, "image/jpeg", "", &m), P_MEDIA_TYPE);
	assert_int_equal(m, MEDIA_NONE);
}

static void
other_kinds_are_refused_whatever_they_say(void **state)
{
	enum media m = MEDIA_NONE;

	(void)state;
	assert_int_equal(JUDGE("GIF89a\1\0\1\0", "image/gif", "a.gif", &m), P_MEDIA_TYPE);
	assert_int_equal(
		JUDGE("<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", "a.svg", &m),
		P_MEDIA_TYPE);
	assert_int_equal(JUDGE("PK\3\4\0\0\0\0", "image/png", "a.png", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE("", "image/png", "a.png", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE("\x89PN", "image/png", "a.png", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE(" \n" PDF, "application/pdf", "a.pdf", &m), P_MEDIA_TYPE);
	assert_int_equal(JUDGE("GIF89a" PDF, "application/pdf", "a.pdf", &m), P_MEDIA_TYPE);
	assert_int_equal(m, MEDIA_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_that_agree_are_taken),
		cmocka_unit_test(two_that_agree_are_not_enough),
		cmocka_unit_test(other_kinds_are_refused_whatever_they_say),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
