// bucket_put.c - one PUT, or many parts; then what the store says it has is held against what was sent.
//
// The ETag of an object is the MD5 of its bytes; of one put together from parts, the MD5 of the parts' MD5s in a row, a dash, and how many
// they were. Where a store encrypts or reckons otherwise it is not, and the object is read back.
#include "core/remote/bucket.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PARTS_MOST = 10000, PART_TRIES = 4, EXPECTED = 48 };

struct upload {
    struct remote *r;
    const char *name, *id;
    int fd;
    int64_t n, part_bytes;
    int n_parts;
    unsigned char (*md5)[MD5_BYTES];
    char (*etags)[BUCKET_ETAG];
    const struct remote_watch *watch;
    struct arena arena;
};

// "\"9b2c…\"" and "9b2c…" are the same.
static bool same_etag(const char *etag, const char *hex)
{
    size_t n = strlen(hex);
    etag += *etag == '"';
    return !strncmp(etag, hex, n) && (!etag[n] || etag[n] == '"');
}

static struct error *read_back(struct remote *r, const char *name, int64_t n, const char *sha256,
                               const struct remote_watch *watch)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char found[SHA256_HEX] = "";
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct request q = {.method = "GET", .name = name, .download = true, .to = -1, .digest = context, .most = n, .watch = watch};
    struct error *e = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) ? bucket_request(r, &q) : error_memory();
    if (!e && q.status != 200)
        e = bucket_refused(r, &q, "read back from");
    if (!e && !EVP_DigestFinal_ex(context, digest, NULL))
        e = error_memory();
    if (!e)
        hash_hex(digest, 32, found);
    if (!e && (q.n_to != n || strcmp(found, sha256))) {
        e = error_plain(ERROR_DATA, "what was read back of '%s' is not what was sent", name);
        error_free(remote_bucket.remove(r, name));
    }
    block_free(q.body);
    EVP_MD_CTX_free(context);
    return e;
}

// The bytes that q names, hashed and sent; known: their SHA-256, or NULL.
static struct error *put(struct remote *r, struct request q, const char *known, unsigned char md5[MD5_BYTES],
                         char etag[BUCKET_ETAG])
{
    char sha256[SHA256_HEX];
    struct error *e = hash_range(q.fd, q.offset, q.n, sha256, md5);
    if (!e && known && strcmp(sha256, known))
        e = error_plain(ERROR_DATA, "'%s' changed while it was sent", q.name);
    if (e)
        return e;
    q.method = "PUT";
    q.sha256 = sha256;
    q.md5 = md5;
    e = bucket_request(r, &q);
    if (!e && q.status != 200)
        e = bucket_refused(r, &q, "write to");
    block_free(q.body);
    snprintf(etag, BUCKET_ETAG, "%s", q.etag);
    return e;
}

// ---- parts

static struct error *begin(struct upload *u)
{
    struct request q = {.method = "POST", .name = u->name, .query = "uploads=", .text = ""};
    struct error *e = bucket_request(u->r, &q);
    const char *at = q.body;
    if (!e && (q.status != 200 || !at))
        e = bucket_refused(u->r, &q, "write to");
    else if (!e && (!(u->id = bucket_between(&at, NULL, "UploadId", &u->arena)) || !*u->id || strlen(u->id) > 1024))
        e = error_plain(ERROR_MACHINE, "'%s' does not say under what name it takes parts", u->r->address);
    block_free(q.body);
    return e;
}

// "partNumber=1&uploadId=...", encoded.
static char *id_query(struct upload *u, const char *before)
{
    char *id = bucket_encoded(&u->arena, u->id, "");
    return id ? arena_printf(&u->arena, "%suploadId=%s", before, id) : NULL;
}

static struct error *put_part_once(struct upload *u, int i)
{
    char number[40];
    int64_t from = i * u->part_bytes, n = u->n - from < u->part_bytes ? u->n - from : u->part_bytes;
    snprintf(number, sizeof number, "partNumber=%d&", i + 1);
    struct request q = {
        .name = u->name, .query = id_query(u, number), .fd = u->fd, .offset = from, .n = n, .watch = u->watch, .before = from};
    struct error *e = q.query ? put(u->r, q, NULL, u->md5[i], u->etags[i]) : error_memory();
    if (!e && !u->etags[i][0])
        e = error_plain(ERROR_MACHINE, "'%s' does not say what it has of a part", u->r->address);
    return e;
}

// One that got lost does not lose those before it.
static struct error *put_part(struct upload *u, int i)
{
    struct error *e = NULL;
    for (int tries = 0; tries < PART_TRIES; tries++) {
        for (int wait = 0; wait < (tries ? 5 << tries : 0); wait++) { // 1, 2, 4 seconds
            if (!remote_goes_on(u->watch, i * u->part_bytes))
                return e;
            nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        }
        error_free(e);
        e = put_part_once(u, i);
        if (!e || e->kind != ERROR_MACHINE || e == error_memory())
            return e;
    }
    return e;
}

static struct error *finish(struct upload *u, char *etag)
{
    size_t n_most = (size_t)u->n_parts * (BUCKET_ETAG + 80) + 80, n = 0;
    char *text = arena_alloc(&u->arena, n_most), sha256[SHA256_HEX];
    const char *query = id_query(u, "");
    if (!text || !query)
        return error_memory();
    n += (size_t)sprintf(text + n, "<CompleteMultipartUpload>");
    for (int i = 0; i < u->n_parts; i++) {
        n += (size_t)sprintf(text + n, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1);
        for (const char *s = u->etags[i]; *s; s++)
            if (!strchr("&<>", *s)) // none of these belongs there
                text[n++] = *s;
        n += (size_t)sprintf(text + n, "</ETag></Part>");
    }
    n += (size_t)sprintf(text + n, "</CompleteMultipartUpload>");
    struct error *e = sha256_bytes(text, n, sha256);
    if (e)
        return e;
    struct request q = {.method = "POST", .name = u->name, .query = query, .sha256 = sha256, .text = text, .n = (int64_t)n};
    e = bucket_request(u->r, &q);
    const char *at = q.body, *found = at && !e ? bucket_between(&at, NULL, "ETag", &u->arena) : NULL;
    if (!e && (q.status != 200 || !found)) // it can say 200 and then, in its body, that it failed
        e = bucket_refused(u->r, &q, "put together in");
    block_free(q.body);
    snprintf(etag, BUCKET_ETAG, "%s", found ? found : "");
    return e;
}

// What came of parts lies there, and is paid for, until it is given up.
static void give_up(struct upload *u)
{
    struct request q = {.method = "DELETE", .name = u->name, .query = id_query(u, "")};
    if (q.query)
        error_free(bucket_request(u->r, &q));
    block_free(q.body);
}

static struct error *put_parts(struct upload *u, char *etag, char *expected)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    u->md5 = arena_array(&u->arena, (size_t)u->n_parts, sizeof *u->md5);
    u->etags = arena_array(&u->arena, (size_t)u->n_parts, sizeof *u->etags);
    struct error *e = u->md5 && u->etags ? begin(u) : error_memory();
    if (e)
        return e;
    for (int i = 0; i < u->n_parts && !e; i++)
        e = put_part(u, i);
    if (!e)
        e = finish(u, etag);
    if (e) {
        give_up(u);
        return e;
    }
    if (!EVP_Digest(u->md5, (size_t)u->n_parts * MD5_BYTES, md5, NULL, EVP_md5(), NULL))
        return error_memory();
    hash_hex(md5, MD5_BYTES, expected);
    snprintf(expected + 2 * MD5_BYTES, EXPECTED - 2 * MD5_BYTES, "-%d", u->n_parts);
    return NULL;
}

struct error *bucket_put(struct remote *r, const char *name, int fd, int64_t n, const char *sha256,
                         const struct remote_watch *watch)
{
    const struct bucket *b = r->own;
    char etag[BUCKET_ETAG] = "", expected[EXPECTED] = "";
    struct error *e;
    if (n <= b->part_bytes) {
        struct request q = {.name = name, .fd = fd, .n = n, .watch = watch};
        unsigned char md5[MD5_BYTES];
        if (!(e = put(r, q, sha256, md5, etag)))
            hash_hex(md5, MD5_BYTES, expected);
    } else {
        struct upload u = {.r = r, .name = name, .fd = fd, .n = n, .part_bytes = b->part_bytes, .watch = watch};
        while ((n + u.part_bytes - 1) / u.part_bytes > PARTS_MOST)
            u.part_bytes *= 2;
        u.n_parts = (int)((n + u.part_bytes - 1) / u.part_bytes);
        e = put_parts(&u, etag, expected);
        arena_release(&u.arena);
    }
    return e || same_etag(etag, expected) ? e : read_back(r, name, n, sha256, watch);
}

struct error *bucket_get(struct remote *r, const char *name, int fd, int64_t most, const struct remote_watch *watch)
{
    struct request q = {.method = "GET", .name = name, .download = true, .to = fd, .most = most, .watch = watch};
    struct error *e = bucket_request(r, &q);
    if (!e && q.status == 404)
        e = error_plain(ERROR_DATA, "'%s' is not there in '%s'", name, r->address);
    else if (!e && q.status != 200)
        e = bucket_refused(r, &q, "read");
    block_free(q.body);
    return e;
}
