/* Tells the kind of a file from its bytes, type and name (libmagic). */
#include "io/sniff.h"

#include <errno.h>
#include <unistd.h>

#include <magic.h>

#include "base/check.h"

#define HEAD_BYTES 4096 /* libmagic needs a few hundred of the formats below */
#define ENDINGS 2

struct sniff {
	magic_t magic; /* NULL before the first use */
};

static const struct format {
	struct media_info info;
	const char *signature;
	size_t signature_n, signature_at;
	const char *endings[ENDINGS];
} formats[] = {
	[MEDIA_NONE] = { { "", "", "", false }, "", 0, 0, { NULL } },
	[MEDIA_JPEG] = { { "image/jpeg", "jpeg", "jpg", true }, "\xff\xd8\xff", 3, 0,
		{ "jpg", "jpeg" } },
	[MEDIA_PNG] = { { "image/png", "png", "png", true }, "\x89PNG\r\n\x1a\n", 8, 0, { "png" } },
	[MEDIA_WEBP] = { { "image/webp", "webp", "webp", true }, "WEBP", 4, 8, { "webp" } },
	[MEDIA_PDF] = { { "application/pdf", "pdf", "pdf", false }, "%PDF-", 5, 0, { "pdf" } },
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

const struct media_info *
media_info(enum media m)
{
	CHECK(m < FORMATS);
	return &formats[m].info;
}

enum media
media_by_type(struct str type)
{
	type = str_trim(str_sub(type, 0, str_find(type, ';', 0)));
	for (size_t i = MEDIA_NONE + 1; i < FORMATS; i++)
		if (str_ieqz(type, formats[i].info.type))
			return (enum media)i;
	return MEDIA_NONE;
}

enum media
media_by_ending(struct str name)
{
	size_t dot = name.n;

	while (dot > 0 && name.p[dot - 1] != '.')
		dot--;
	if (dot == 0)
		return MEDIA_NONE;
	struct str ending = str_sub(name, dot, name.n);
	for (size_t i = MEDIA_NONE + 1; i < FORMATS; i++)
		for (size_t k = 0; k < ENDINGS && formats[i].endings[k]; k++)
			if (str_ieqz(ending, formats[i].endings[k]))
				return (enum media)i;
	return MEDIA_NONE;
}

struct sniff *
sniff_new(void)
{
	struct sniff *s = calloc(1, sizeof(*s));

	CHECK(s);
	return s;
}

void
sniff_free(struct sniff *s)
{
	if (s && s->magic)
		magic_close(s->magic);
	free(s);
}

static enum problem
open_database(struct sniff *s, struct err *err)
{
	if (s->magic)
		return P_OK;
	magic_t m = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR |
			       MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_CDF);
	if (m && magic_load(m, NULL) == 0) {
		s->magic = m;
		return P_OK;
	}
	const char *why = m ? magic_error(m) : strerror(errno);
	(void)ERR(err, P_UNAVAILABLE, "libmagic: %s", why ? why : "no database");
	if (m)
		magic_close(m);
	return P_UNAVAILABLE;
}

static enum problem
media_by_content(struct sniff *s, int fd, enum media *out, struct err *err)
{
	char head[HEAD_BYTES];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	enum problem p = open_database(s, err);

	if (p)
		return p;
	if (n < 0)
		return ERR(err, P_UNAVAILABLE, "upload: %s", strerror(errno));
	enum media m = media_by_type(str_of(magic_buffer(s->magic, head, (size_t)n)));
	const struct format *f = &formats[m];
	/* libmagic also recognises what stands a little behind the beginning. */
	if ((size_t)n < f->signature_at + f->signature_n ||
		memcmp(head + f->signature_at, f->signature, f->signature_n) != 0)
		m = MEDIA_NONE;
	*out = m;
	return P_OK;
}

enum problem
sniff_file(struct sniff *s, int fd, struct str declared, struct str filename, enum media *out,
	struct err *err)
{
	enum media content;

	enum problem p = media_by_content(s, fd, &content, err);
	if (p)
		return p;
	if (content == MEDIA_NONE)
		return ERR_SAY(err, P_MEDIA_TYPE, "files of this kind are not taken");
	if (media_by_type(declared) != content)
		return ERR_SAY(err, P_MEDIA_TYPE,
			"the file is %s, but was declared as something else",
			formats[content].info.type);
	if (media_by_ending(filename) != content)
		return ERR_SAY(err, P_MEDIA_TYPE, "the name of the file has not the ending of %s",
			formats[content].info.type);
	*out = content;
	return P_OK;
}
