/* The service account of Firebase Cloud Messaging (OpenSSL for RS256). */
#include "io/fcm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "base/encode.h"
#include "io/json.h"

#define ACCOUNT_MAX 16384
#define FORM_MAX 8192
#define SIGNATURE_MAX 1024
#define ASSERTION_S 3600 /* the longest that Google takes */
#define SCOPE "https://www.googleapis.com/auth/firebase.messaging"
#define GRANT "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="

static enum problem
read_file(struct arena *a, const char *path, struct str *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return ERR(err, P_INTERNAL, "%s: %s", path, strerror(errno));
	bool closed = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & S_IRWXO);
	char *text = arena_alloc(a, ACCOUNT_MAX);
	n = read(fd, text, ACCOUNT_MAX);
	close(fd);
	if (!closed || n <= 0 || n == ACCOUNT_MAX)
		return ERR(err, P_INTERNAL, "%s: %s", path,
			closed ? "empty or too long" : "no file, or others can read it");
	*out = (struct str){ text, (size_t)n };
	return P_OK;
}

enum problem
fcm_account_load(struct arena *a, const char *path, struct fcm_account *out, struct err *err)
{
	const struct json *doc;
	struct str text;
	enum problem p = read_file(a, path, &text, err);

	if (p || (p = json_parse(a, text, &doc, err)))
		return p;
	*out = (struct fcm_account){ .project = json_str(json_member(doc, "project_id")),
		.email = json_str(json_member(doc, "client_email")),
		.key_id = json_str(json_member(doc, "private_key_id")),
		.key_pem = json_str(json_member(doc, "private_key")),
		.token_uri = json_str(json_member(doc, "token_uri")) };
	if (!out->project.n || !out->email.n || !out->key_pem.n || !out->token_uri.n)
		return ERR(err, P_INTERNAL, "%s: no service account of Firebase", path);
	return P_OK;
}

/* Instead of OpenSSL's own, which would ask on the terminal. */
static int
no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* RSASSA-PKCS1-v1_5 with SHA-256; 0 bytes when the key is none. */
static size_t
sign(struct str pem, struct str text, unsigned char out[SIGNATURE_MAX])
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *pk = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIGNATURE_MAX;

	if (!pk || !ctx || EVP_PKEY_get_base_id(pk) != EVP_PKEY_RSA ||
		EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pk, NULL) != 1 ||
		EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n) != 1) {
		n = 0;
		ERR_clear_error();
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pk);
	BIO_free(bio);
	return n;
}

/* One part of the assertion: a JSON object in base64url. */
static void
put_part(struct buf *form, const struct buf *json)
{
	CHECK(!json->failed);
	base64url_put(form, json->p, json->n);
}

static void
put_head(struct buf *form, struct arena *a, const struct fcm_account *account)
{
	struct buf b;
	struct jsonw w;

	buf_init(&b, a, ACCOUNT_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kz(&w, "alg", "RS256");
	jsonw_kz(&w, "typ", "JWT");
	if (account->key_id.p)
		jsonw_kstr(&w, "kid", account->key_id);
	jsonw_obj_end(&w);
	put_part(form, &b);
}

static void
put_claims(struct buf *form, struct arena *a, const struct fcm_account *account, int64_t now)
{
	struct buf b;
	struct jsonw w;

	buf_init(&b, a, 2 * ACCOUNT_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "iss", account->email);
	jsonw_kz(&w, "scope", SCOPE);
	jsonw_kstr(&w, "aud", account->token_uri);
	jsonw_kint(&w, "iat", now);
	jsonw_kint(&w, "exp", now + ASSERTION_S);
	jsonw_obj_end(&w);
	put_part(form, &b);
}

enum problem
fcm_token_form(struct arena *a, const struct fcm_account *account, int64_t now, struct str *out,
	struct err *err)
{
	unsigned char signature[SIGNATURE_MAX];
	struct buf b;

	buf_init(&b, a, FORM_MAX);
	buf_puts(&b, GRANT);
	size_t at = b.n;
	put_head(&b, a, account);
	buf_putc(&b, '.');
	put_claims(&b, a, account, now);
	size_t n = b.failed ? 0 : sign(account->key_pem, str_sub(buf_str(&b), at, b.n), signature);
	buf_putc(&b, '.');
	base64url_put(&b, signature, n);
	if (n == 0 || b.failed)
		return ERR(err, P_INTERNAL, "FCM: the key of %.*s cannot sign",
			STR_ARG(account->email));
	*out = buf_str(&b);
	return P_OK;
}
