/* Takes files from clients. */
#include "api/upload.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/log.h"
#include "http/app.h"
#include "io/sniff.h"

enum problem
upload_read(struct request *req, const char *file, const char *field, const struct part **part,
	struct str *text)
{
	struct multipart *m = ARENA_NEW(req->arena, struct multipart);
	const struct part *found;

	enum problem p = multipart_read(req, LIMIT_FILE, m);
	if (p)
		return p;
	for (size_t i = 0; i < m->n; i++)
		if (!str_eqz(m->v[i].name, m->v[i].is_file || !field ? file : field))
			return ERR_SAY(&req->err, P_BAD_MULTIPART,
				"there is no part of this name to send");
	found = multipart_find(m, file);
	if (!found || !found->is_file) {
		err_field(&req->err, arena_printf(req->arena, "/%s", file), "required",
			"no file was sent");
		return req->err.problem = P_INVALID;
	}
	if (m->n > (field && multipart_find(m, field) ? 2 : 1))
		return ERR_SAY(&req->err, P_BAD_MULTIPART, "one file at a time");
	const struct part *said = field ? multipart_find(m, field) : NULL;
	*part = found;
	*text = said ? said->text : STR("");
	return P_OK;
}

static void
close_fd(void *p)
{
	close((int)(intptr_t)p);
}

static enum problem
temporary(struct request *req, int *fd)
{
	enum problem p = blob_temporary(req->app->blobs, fd, &req->err);

	if (!p)
		arena_defer(req->arena, close_fd, (void *)(intptr_t)*fd);
	return p;
}

/* Puts the picture as plaza-image has written it, and its thumbnail. */
static enum problem
store_image(struct request *req, int in, enum blob_class class, struct upload *u, int *written)
{
	const char *ending = media_info(u->media)->ending;
	struct image_job job = { .tool = req->app->conf->image_tool, .media = u->media, .in = in };

	enum problem p = temporary(req, &job.out);
	if (!p)
		p = temporary(req, &job.thumb);
	if (!p)
		p = image_process(&job, req->arena, &u->size, &req->err);
	if (!p)
		p = blob_put(req->app->blobs, job.out, class, ending, &u->name, &req->err);
	if (p)
		return p;
	p = blob_put(req->app->blobs, job.thumb, class, ending, &u->thumb, &req->err);
	if (p)
		upload_remove(req, str_of(u->name.z), STR(""));
	*written = job.out;
	return p;
}

static bool
continues(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* The name as a label: the last part of a path, not too long; what is cut off is the beginning. */
static struct str
label_of(struct str filename)
{
	struct str label = filename;

	for (size_t i = 0; i < filename.n; i++)
		if (filename.p[i] == '/' || filename.p[i] == '\\')
			label = str_sub(filename, i + 1, filename.n);
	label = str_trim(label);
	while (utf8_length(label) > UPLOAD_NAME_MAX || (label.n > 0 && continues(label.p[0])))
		label = str_sub(label, 1, label.n);
	return label;
}

enum problem
upload_store(
	struct request *req, const struct part *part, enum blob_class class, struct upload *out)
{
	struct upload u = { .label = label_of(part->filename) };
	int written = part->fd;
	struct stat st;

	if (part->size == 0)
		return ERR_SAY(&req->err, P_MEDIA_TYPE, "the file is empty");
	enum problem p = sniff_file(
		req->app->sniff, part->fd, part->content_type, part->filename, &u.media, &req->err);
	if (p)
		return p;
	if (media_info(u.media)->image)
		p = store_image(req, part->fd, class, &u, &written);
	else
		p = blob_put(req->app->blobs, part->fd, class, media_info(u.media)->ending, &u.name,
			&req->err);
	if (p)
		return p;
	if (fstat(written, &st) < 0) {
		upload_discard(req, &u);
		return ERR(&req->err, P_INTERNAL, "fstat: %s", strerror(errno));
	}
	u.bytes = st.st_size;
	*out = u;
	return P_OK;
}

void
upload_remove(struct request *req, struct str name, struct str thumb)
{
	const struct str names[] = { name, thumb };
	struct err err = { 0 };
	struct blob_name blob;

	for (size_t i = 0; i < 2; i++)
		if (blob_name_parse(names[i], &blob) && blob_remove(req->app->blobs, &blob, &err))
			log_event(LOG_WARN, "blob_left", LSTR("id", req->id), LZ("name", blob.z),
				LZ("text", err.log));
}

void
upload_discard(struct request *req, const struct upload *u)
{
	upload_remove(req, str_of(u->name.z), str_of(u->thumb.z));
}

/* A connection that ends during COMMIT leaves open which it was; the relay removes what no row
 * names. */
enum problem
upload_refused(struct request *req, const struct upload *u, enum problem p)
{
	if (p != P_UNAVAILABLE)
		upload_discard(req, u);
	return p;
}
