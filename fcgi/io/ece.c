/* The content coding aes128gcm (RFC 8188): HKDF with SHA-256, AES-128-GCM by records. */
#include "io/ece.h"

#include <openssl/evp.h>

#include "io/digest.h"

#define KEY_BYTES 16
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define MORE 1 /* delimiters between text and padding (section 2) */
#define LAST 2

struct keys {
	uint8_t cek[SHA256_BYTES]; /* the first KEY_BYTES and NONCE_BYTES of each count */
	uint8_t nonce[SHA256_BYTES];
};

/* HKDF of one block: all that is asked for is shorter than a hash. `info` ends with 0x01. */
static void
derive(const struct ece *e, struct keys *k)
{
	uint8_t prk[SHA256_BYTES];
	struct str key = { (const char *)prk, sizeof(prk) };

	hmac_sha256((struct str){ (const char *)e->salt, ECE_SALT }, e->ikm, prk);
	hmac_sha256(key, STR("Content-Encoding: aes128gcm\0\1"), k->cek);
	hmac_sha256(key, STR("Content-Encoding: nonce\0\1"), k->nonce);
	explicit_bzero(prk, sizeof(prk));
}

static void
put_header(struct buf *b, const struct ece *e)
{
	const uint8_t size[4] = { (uint8_t)(e->record >> 24), (uint8_t)(e->record >> 16 & 0xff),
		(uint8_t)(e->record >> 8 & 0xff), (uint8_t)(e->record & 0xff) };

	buf_put(b, e->salt, ECE_SALT);
	buf_put(b, size, sizeof(size));
	buf_putc(b, (char)e->keyid.n);
	buf_putstr(b, e->keyid);
}

/* One record: text, delimiter, `pad` zeros, tag. */
static bool
put_record(struct buf *b, EVP_CIPHER_CTX *ctx, struct str text, uint8_t delimiter, size_t pad)
{
	unsigned char *out = (unsigned char *)buf_reserve(b, text.n + 1 + pad + TAG_BYTES),
		      zero = 0;
	int n;

	if (!out)
		return false;
	bool good = text.n == 0 || EVP_EncryptUpdate(ctx, out, &n, (const unsigned char *)text.p,
					   (int)text.n) == 1;
	good = good && EVP_EncryptUpdate(ctx, out + text.n, &n, &delimiter, 1) == 1;
	for (size_t i = 0; good && i < pad; i++)
		good = EVP_EncryptUpdate(ctx, out + text.n + 1 + i, &n, &zero, 1) == 1;
	good = good && EVP_EncryptFinal_ex(ctx, out + text.n + 1 + pad, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + text.n + 1 + pad) ==
		       1;
	if (good)
		buf_commit(b, text.n + 1 + pad + TAG_BYTES);
	return good;
}

/* The nonce of a record is the derived one XOR its number. */
static bool
start_record(EVP_CIPHER_CTX *ctx, const struct keys *k, uint64_t number)
{
	uint8_t nonce[NONCE_BYTES];

	memcpy(nonce, k->nonce, NONCE_BYTES);
	for (size_t i = 0; i < sizeof(number); i++)
		nonce[NONCE_BYTES - 1 - i] ^= (uint8_t)(number >> (8 * i) & 0xff);
	return EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, k->cek, nonce) == 1;
}

bool
ece_seal(struct buf *b, const struct ece *e, struct str text)
{
	size_t room = e->record - TAG_BYTES - 1, pad = e->pad;
	struct keys k;

	if (e->record < ECE_RECORD_MIN || e->keyid.n > ECE_KEYID_MAX || pad >= room)
		return false;

	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = ctx != NULL, last = false;

	derive(e, &k);
	put_header(b, e);
	for (uint64_t i = 0; good && !last; i++) {
		struct str piece = str_sub(text, 0, room - pad);

		text = str_sub(text, piece.n, text.n);
		last = text.n == 0;
		good = start_record(ctx, &k, i) &&
		       put_record(b, ctx, piece, last ? LAST : MORE, pad);
		pad = 0;
	}
	EVP_CIPHER_CTX_free(ctx);
	explicit_bzero(&k, sizeof(k));
	return good && !b->failed;
}
