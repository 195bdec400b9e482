/* Makes tokens by hand, good and hostile ones alike, without the module that is tested. */
#ifndef PLAZA_TESTS_JWS_H
#define PLAZA_TESTS_JWS_H

#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/encode.h"

#define JWS_SIGNATURE_MAX 1024

/* header.payload, what a signature is made over. */
static inline struct str
jws_input(struct arena *a, struct str header, struct str payload)
{
	struct buf b;

	buf_init(&b, a, (header.n + payload.n) * 2 + 16);
	base64url_put(&b, header.p, header.n);
	buf_putc(&b, '.');
	base64url_put(&b, payload.p, payload.n);
	CHECK(!b.failed);
	return buf_str(&b);
}

static inline struct str
jws_join(struct arena *a, struct str input, const void *signature, size_t n)
{
	struct buf b;

	buf_init(&b, a, input.n + n * 2 + 16);
	buf_putstr(&b, input);
	buf_putc(&b, '.');
	base64url_put(&b, signature, n);
	CHECK(!b.failed);
	return buf_str(&b);
}

/* An RSA signature, or an ECDSA one in DER, with the digest of that name. */
static inline struct str
jws_sign(struct arena *a, struct str input, EVP_PKEY *pk, const char *digest)
{
	unsigned char signature[JWS_SIGNATURE_MAX];
	size_t n = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	CHECK(ctx && EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, pk, NULL) == 1);
	CHECK(EVP_DigestSign(ctx, signature, &n, (const unsigned char *)input.p, input.n) == 1);
	EVP_MD_CTX_free(ctx);
	return jws_join(a, input, signature, n);
}

static inline struct str
jws_hmac(struct arena *a, struct str input, struct str key, const EVP_MD *md)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	CHECK(HMAC(md, key.p, (int)key.n, (const unsigned char *)input.p, input.n, mac, &n));
	return jws_join(a, input, mac, n);
}

/* As PEM text in the arena. */
static inline struct str
jws_pem(struct arena *a, EVP_PKEY *pk, bool private_half)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	CHECK(bio != NULL);
	if (private_half)
		CHECK(PEM_write_bio_PrivateKey(bio, pk, NULL, NULL, 0, NULL, NULL) == 1);
	else
		CHECK(PEM_write_bio_PUBKEY(bio, pk) == 1);

	size_t n = (size_t)BIO_get_mem_data(bio, &p);
	struct str pem = { arena_dup(a, p, n), n };

	BIO_free(bio);
	return pem;
}

static inline void
jws_write(const char *dir, const char *name, struct str text, mode_t mode)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);

	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

/* Puts a pair into a folder of keys. */
static inline void
jws_install(const char *dir, const char *kid, EVP_PKEY *pk)
{
	struct arena *a = arena_new((size_t)64 * 1024);
	char name[128];

	snprintf(name, sizeof(name), "%s.pem", kid);
	jws_write(dir, name, jws_pem(a, pk, true), 0640);
	snprintf(name, sizeof(name), "%s.pub.pem", kid);
	jws_write(dir, name, jws_pem(a, pk, false), 0644);
	arena_free(a);
}

#endif
