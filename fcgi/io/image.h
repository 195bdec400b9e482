/*
 * Pictures from strangers. They are decoded by another program (plaza-image),
 * in a sandbox that ends with it; this process never looks at a pixel.
 */
#ifndef PLAZA_IO_IMAGE_H
#define PLAZA_IO_IMAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "io/sniff.h"

#define IMAGE_TIMEOUT_MS 5000

struct image_job {
	const char *tool; /* path of plaza-image */
	enum media media; /* an image */
	int in;           /* the picture */
	int out;          /* gets it written anew */
	int thumb;        /* gets its thumbnail */
	int timeout_ms;   /* 0 = IMAGE_TIMEOUT_MS */
};

struct image_size {
	int width, height; /* of what was written */
};

/*
 * Waits for the program and ends it when it takes too long. P_BAD_IMAGE, with
 * words for the client, when the picture is no good; P_UNAVAILABLE when the
 * program cannot be run.
 */
enum problem image_process(const struct image_job *job, struct arena *a, struct image_size *out,
	struct err *err) __attribute__((warn_unused_result));

#endif
