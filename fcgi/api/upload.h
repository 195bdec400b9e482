/*
 * What uploads of all kinds have in common: from a part of a multipart body to files
 * in the store.
 */
#ifndef PLAZA_API_UPLOAD_H
#define PLAZA_API_UPLOAD_H

#include "http/multipart.h"
#include "http/request.h"
#include "io/blob.h"
#include "io/image.h"

#define UPLOAD_BODY_MAX (LIMIT_FILE + 64 * 1024) /* one file and some fields */
#define UPLOAD_NAME_MAX 255

/* A file in the store that no row names yet. */
struct upload {
	enum media media;
	struct blob_name name, thumb; /* thumb only of images */
	struct str label;             /* the client's name for it */
	struct image_size size;
	int64_t bytes;
};

/*
 * Reads the body: one file in the part `file`, and a text in the part `field`
 * (NULL = none). Other parts are refused.
 */
enum problem upload_read(struct request *req, const char *file, const char *field,
	const struct part **part, struct str *text) __attribute__((warn_unused_result));

/* Checks the file and stores it: images are written anew, with a thumbnail. */
enum problem upload_store(struct request *req, const struct part *part, enum blob_class class,
	struct upload *out) __attribute__((warn_unused_result));

/* Removes stored files by name; empty names are none. What fails is logged and stays. */
void upload_remove(struct request *req, struct str name, struct str thumb);
void upload_discard(struct request *req, const struct upload *u);
/*
 * After the row of a file could not be written because of `p`, which is
 * returned: removes the file, unless the row may be there all the same.
 */
enum problem upload_refused(struct request *req, const struct upload *u, enum problem p)
	__attribute__((warn_unused_result));

#endif
