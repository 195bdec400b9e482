/* Web Push: sealing messages (RFC 8291), signing for push services (RFC 8292), the key's files. */
#include "io/webpush.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/rand.h"
#include "io/digest.h"
#include "io/ece.h"
#include "io/json.h"

#define ARENA_MAX ((size_t)64 * 1024)
#define FILE_TEXT 128
#define PATH_TEXT 1100
#define HEADER_MAX 2048

/* ---- messages ---- */

bool
webpush_to_valid(const struct webpush_to *to)
{
	struct p256 *peer = p256_import(to->point, (struct str){ 0 });

	p256_free(peer);
	return peer && to->auth.n == WEBPUSH_AUTH;
}

/* What both sides know: the agreement, mixed with the secret of the subscription (section 3.4). */
static bool
input_key(const struct webpush_to *to, const struct p256 *own, const struct p256 *peer,
	uint8_t out[SHA256_BYTES])
{
	static const char label[] = "WebPush: info"; /* its NUL is part of it */
	char info[sizeof(label) + 2 * P256_POINT + 1];
	uint8_t shared[P256_SECRET], prk[SHA256_BYTES];

	if (!p256_agree(own, peer, shared))
		return false;
	hmac_sha256(to->auth, (struct str){ (const char *)shared, sizeof(shared) }, prk);
	memcpy(info, label, sizeof(label));
	memcpy(info + sizeof(label), to->point.p, P256_POINT);
	p256_point(own, (uint8_t *)info + sizeof(label) + P256_POINT);
	info[sizeof(info) - 1] = 1;
	hmac_sha256((struct str){ (const char *)prk, sizeof(prk) },
		(struct str){ info, sizeof(info) }, out);
	explicit_bzero(shared, sizeof(shared));
	explicit_bzero(prk, sizeof(prk));
	return true;
}

bool
webpush_seal_as(struct buf *b, const struct webpush_to *to, struct str text, const struct p256 *own,
	const uint8_t salt[ECE_SALT])
{
	struct p256 *peer = p256_import(to->point, (struct str){ 0 });
	uint8_t ikm[SHA256_BYTES], point[P256_POINT];
	struct ece e = { .ikm = { (const char *)ikm, sizeof(ikm) },
		.record = WEBPUSH_RECORD,
		.keyid = { (const char *)point, sizeof(point) } };
	bool good = peer && to->auth.n == WEBPUSH_AUTH && text.n <= WEBPUSH_TEXT_MAX &&
		    input_key(to, own, peer, ikm);

	if (good) {
		memcpy(e.salt, salt, ECE_SALT);
		p256_point(own, point);
		good = ece_seal(b, &e, text);
		explicit_bzero(ikm, sizeof(ikm));
	}
	p256_free(peer);
	return good;
}

bool
webpush_seal(struct buf *b, const struct webpush_to *to, struct str text)
{
	struct p256 *own = p256_new();
	uint8_t salt[ECE_SALT];

	rand_bytes(salt, sizeof(salt));
	bool good = webpush_seal_as(b, to, text, own, salt);
	p256_free(own);
	return good;
}

/* ---- identity ---- */

struct str
vapid_header(
	struct arena *a, const struct p256 *key, struct str origin, struct str contact, int64_t exp)
{
	const struct str head = STR("{\"typ\":\"JWT\",\"alg\":\"ES256\"}");
	uint8_t signature[P256_SIGNATURE], point[P256_POINT];
	struct buf claims, b;
	struct jsonw w;

	buf_init(&claims, a, HEADER_MAX);
	jsonw_init(&w, &claims);
	jsonw_obj(&w);
	jsonw_kstr(&w, "aud", origin);
	jsonw_kint(&w, "exp", exp);
	jsonw_kstr(&w, "sub", contact);
	jsonw_obj_end(&w);
	buf_init(&b, a, 2 * HEADER_MAX);
	buf_puts(&b, "vapid t=");
	size_t at = b.n;
	base64url_put(&b, head.p, head.n);
	buf_putc(&b, '.');
	base64url_put(&b, claims.p, claims.n);
	if (claims.failed || b.failed || !p256_sign(key, str_sub(buf_str(&b), at, b.n), signature))
		return (struct str){ 0 };
	buf_putc(&b, '.');
	base64url_put(&b, signature, sizeof(signature));
	buf_puts(&b, ", k=");
	p256_point(key, point);
	base64url_put(&b, point, sizeof(point));
	return b.failed ? (struct str){ 0 } : buf_str(&b);
}

/* ---- files ---- */

/* The bytes of a file of one line; P_NOT_FOUND when it is not there. */
static enum problem
read_key(struct arena *a, const char *dir, const char *name, bool secret, struct str *out,
	struct err *err)
{
	char path[PATH_TEXT], text[FILE_TEXT];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR(err, errno == ENOENT ? P_NOT_FOUND : P_INTERNAL, "%s: %s", path,
			strerror(errno));
	bool open_to_others = fstat(fd, &st) || (secret && (st.st_mode & S_IRWXO));
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	struct str line = { text, n > 0 ? (size_t)n : 0 };
	line = str_sub(line, 0, str_find(line, '\n', 0));
	bool good = !open_to_others && base64url_get(a, line, out);
	explicit_bzero(text, sizeof(text));
	if (!good)
		return ERR(err, P_INTERNAL, "%s: %s", path,
			open_to_others ? "others can read it" : "not base64url");
	return P_OK;
}

enum problem
vapid_load(struct arena *a, const char *dir, struct p256 **out, struct err *err)
{
	struct str point, secret;
	enum problem p = read_key(a, dir, "vapid.pub", false, &point, err);

	if (p || (p = read_key(a, dir, "vapid.secret", true, &secret, err)))
		return p;
	*out = p256_import(point, secret);
	explicit_bzero((void *)secret.p, secret.n);
	return *out ? P_OK : ERR(err, P_INTERNAL, "%s: vapid.secret and vapid.pub differ", dir);
}

enum problem
vapid_public(struct arena *a, const char *dir, struct str *out, struct err *err)
{
	struct str point;
	struct buf b;
	enum problem p = read_key(a, dir, "vapid.pub", false, &point, err);

	if (p)
		return p;
	if (point.n != P256_POINT)
		return ERR(err, P_INTERNAL, "%s/vapid.pub: not a point", dir);
	buf_init(&b, a, FILE_TEXT);
	base64url_put(&b, point.p, point.n);
	*out = buf_str(&b);
	return P_OK;
}

static enum problem
write_key(const char *dir, const char *name, struct str bytes, mode_t mode, struct err *err)
{
	struct arena *a = arena_new(ARENA_MAX);
	char path[PATH_TEXT];
	struct buf b;

	buf_init(&b, a, FILE_TEXT);
	base64url_put(&b, bytes.p, bytes.n);
	buf_putc(&b, '\n');
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, b.p, b.n) == (ssize_t)b.n && fchmod(fd, mode) == 0 &&
		    fsync(fd) == 0;
	int why = errno;
	if (fd >= 0)
		close(fd);
	explicit_bzero(b.p, b.n);
	arena_free(a);
	if (good)
		return P_OK;
	return ERR(err, why == EEXIST ? P_CONFLICT : P_INTERNAL, "%s: %s", path, strerror(why));
}

enum problem
vapid_generate(const char *dir, struct err *err)
{
	struct p256 *key = p256_new();
	uint8_t secret[P256_SECRET], point[P256_POINT];

	p256_secret(key, secret);
	p256_point(key, point);
	p256_free(key);
	/* The public half comes last: whoever finds it finds a pair. */
	enum problem p = write_key(dir, "vapid.secret",
		(struct str){ (const char *)secret, sizeof(secret) }, 0640, err);
	explicit_bzero(secret, sizeof(secret));
	return p ? p
		 : write_key(dir, "vapid.pub", (struct str){ (const char *)point, sizeof(point) },
			   0644, err);
}
