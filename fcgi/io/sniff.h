/*
 * What kind of file it is. A file is taken only when three agree: its first
 * bytes (libmagic and the signature of the format), the type that the client
 * declared, and the ending of its name.
 */
#ifndef PLAZA_IO_SNIFF_H
#define PLAZA_IO_SNIFF_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum media { MEDIA_NONE, MEDIA_JPEG, MEDIA_PNG, MEDIA_WEBP, MEDIA_PDF };

struct media_info {
	const char *type;   /* "image/jpeg" */
	const char *name;   /* "jpeg", as plaza-image calls it */
	const char *ending; /* "jpg", of stored files */
	bool image;
};

/* MEDIA_NONE has empty texts. Never NULL. */
const struct media_info *media_info(enum media m);
/* The kind with this media type, parameters ignored; MEDIA_NONE when it is not allowed. */
enum media media_by_type(struct str type);
/* The kind that the ending of a name stands for. */
enum media media_by_ending(struct str name);

struct sniff;

/* Never fails: the database of libmagic is opened by the first use. */
struct sniff *sniff_new(void);
void sniff_free(struct sniff *s);

/*
 * The kind of the file behind `fd`, whose position stays. P_MEDIA_TYPE, with
 * words for the client, when the three do not agree on an allowed one.
 */
enum problem sniff_file(struct sniff *s, int fd, struct str declared, struct str filename,
	enum media *out, struct err *err) __attribute__((warn_unused_result));

#endif
