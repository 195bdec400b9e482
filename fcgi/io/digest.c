/* SHA-256, HMAC and constant-time comparison by OpenSSL. */
#include "io/digest.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"

/* Looking the algorithm up costs more than hashing a short text, so it is done once and kept. */
static const EVP_MD *
md_sha256(void)
{
	static EVP_MD *md;

	if (!md)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	CHECK(md != NULL);
	return md;
}

void
sha256(struct str data, uint8_t out[SHA256_BYTES])
{
	CHECK(EVP_Digest(data.p, data.n, out, NULL, md_sha256(), NULL) == 1);
}

void
sha256_parts(const struct str *parts, size_t n, uint8_t out[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	CHECK(ctx && EVP_DigestInit_ex2(ctx, md_sha256(), NULL) == 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t length[8];

		for (size_t k = 0; k < sizeof(length); k++)
			length[k] = (uint8_t)((uint64_t)parts[i].n >> (56 - 8 * k) & 0xFF);
		CHECK(EVP_DigestUpdate(ctx, length, sizeof(length)) == 1);
		CHECK(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1);
	}
	CHECK(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
	EVP_MD_CTX_free(ctx);
}

void
hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_BYTES])
{
	/* HMAC() takes a null key for "the one of the last call". */
	const void *k = key.p ? key.p : "";
	const void *d = data.p ? data.p : "";

	CHECK(key.n <= INT_MAX);
	CHECK(HMAC(md_sha256(), k, (int)key.n, d, data.n, out, NULL) != NULL);
}

bool
secret_eq(struct str a, struct str b)
{
	/* Two absent secrets are not equal: a secret that was never set must open nothing. */
	if (!a.p || !b.p || a.n != b.n)
		return false;
	return CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}
