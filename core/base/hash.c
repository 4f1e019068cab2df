// hash.c - thin covers over OpenSSL and xxhash.
#define XXH_INLINE_ALL
#include "core/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/stop.h"

enum { PIECE = 1 << 20 };

void hash_hex(const unsigned char *bytes, int n, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

static void to_hex(const unsigned char *digest, char hex[SHA256_HEX])
{
    hash_hex(digest, 32, hex);
}

struct error *sha256_bytes(const void *data, size_t n_bytes, char hex[SHA256_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(data, n_bytes, digest, NULL, EVP_sha256(), NULL))
        return error_memory();
    to_hex(digest, hex);
    return NULL;
}

static struct error *hash_open_file(int fd, const char *path, EVP_MD_CTX *context, char *piece)
{
    for (;;) {
        if (stop_requested())
            return error_stopped();
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system(ERROR_DATA, errno, "cannot read '%s'", path);
        if (n == 0)
            return NULL;
        if (!EVP_DigestUpdate(context, piece, (size_t)n))
            return error_memory();
    }
}

struct error *sha256_file(const char *path, char hex[SHA256_HEX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(ERROR_DATA, errno, "cannot open '%s'", path);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char *piece = block_alloc(PIECE);
    struct error *e = NULL;
    if (!context || !piece || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        e = error_memory();
    if (!e)
        e = hash_open_file(fd, path, context, piece);
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!e && !EVP_DigestFinal_ex(context, digest, NULL))
        e = error_memory();
    if (!e)
        to_hex(digest, hex);
    block_free(piece);
    EVP_MD_CTX_free(context);
    close(fd);
    return e;
}

static struct error *hash_some(int fd, int64_t at, int64_t n, EVP_MD_CTX *sha, EVP_MD_CTX *md5, char *piece)
{
    while (n > 0) {
        if (stop_requested())
            return error_stopped();
        ssize_t got = pread(fd, piece, n < PIECE ? (size_t)n : PIECE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(ERROR_MACHINE, errno, "cannot read a file");
        if (got == 0)
            return error_plain(ERROR_DATA, "the file ends early");
        if (!EVP_DigestUpdate(sha, piece, (size_t)got) || (md5 && !EVP_DigestUpdate(md5, piece, (size_t)got)))
            return error_memory();
        at += got;
        n -= got;
    }
    return NULL;
}

struct error *hash_range(int fd, int64_t offset, int64_t n, char sha256[SHA256_HEX], unsigned char md5[MD5_BYTES])
{
    EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = md5 ? EVP_MD_CTX_new() : NULL;
    char *piece = block_alloc(PIECE);
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct error *e = NULL;
    if (!piece || !a || (md5 && !b) || !EVP_DigestInit_ex(a, EVP_sha256(), NULL) ||
        (md5 && !EVP_DigestInit_ex(b, EVP_md5(), NULL)))
        e = error_memory();
    if (!e)
        e = hash_some(fd, offset, n, a, b, piece);
    if (!e && (!EVP_DigestFinal_ex(a, digest, NULL) || (md5 && !EVP_DigestFinal_ex(b, md5, NULL))))
        e = error_memory();
    if (!e)
        to_hex(digest, sha256);
    block_free(piece);
    EVP_MD_CTX_free(a);
    EVP_MD_CTX_free(b);
    return e;
}

uint64_t xxh3(const void *data, size_t n_bytes)
{
    return XXH3_64bits(data, n_bytes);
}
