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

static void to_hex(const unsigned char *digest, char hex[SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
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

uint64_t xxh3(const void *data, size_t n_bytes)
{
    return XXH3_64bits(data, n_bytes);
}
