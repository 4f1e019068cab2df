// bucket.c - the address, the keys of the environment, and one request at a time by libcurl, which signs it.
//
// The SHA-256 of every body is a header of its own, so that it is signed and a store refuses a body that arrived otherwise. libcurl 7.87
// was the first to take it from there. Queries are given sorted and encoded, as they are signed.
#include "core/remote/bucket.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/store/atomic.h"

enum { CONNECT_S = 20, STALL_S = 60, LEAST_SPEED = 1, PART_BYTES = 64 << 20, LEAST_PART = 1 << 10, SIGNS_SHA256 = 0x075700 };

static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char keys_fix[] = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION) in the environment";

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

// ---- addresses

static bool bucket_name_is_good(const char *name, size_t n)
{
    if (n < 3 || n > 63 || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr(".-_", name[i]))
            return false;
    return true;
}

// Of the parts between slashes none may lead elsewhere.
static bool prefix_is_good(const char *prefix)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
    if (prefix[strspn(prefix, letters)] || strstr(prefix, "//"))
        return false;
    for (const char *part = prefix; *part;) {
        size_t n = strcspn(part, "/");
        if ((n == 1 || n == 2) && !strncmp(part, "..", n))
            return false;
        part += n + (part[n] == '/');
    }
    return true;
}

static struct error *bucket_check(const char *address, struct place at)
{
    bool is_s3 = !strncmp(address, "s3://", 5);
    const char *host = address + strlen(is_s3 ? "s3://" : "https://"), *bucket = host + (is_s3 ? 0 : strcspn(host, "/"));
    bucket += *bucket == '/';
    size_t n = strcspn(bucket, "/");
    if (!is_s3 && memchr(host, '@', strcspn(host, "/")))
        return error_new(ERROR_RECIPE, at, keys_fix, "an address with a key in it");
    for (const char *c = host; !is_s3 && *c && *c != '/'; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".-:", *c))
            return error_new(ERROR_RECIPE, at, "write https://host/bucket/folder", "'%.80s' names no host", address);
    if (!bucket_name_is_good(bucket, n) || !prefix_is_good(bucket + n))
        return error_new(ERROR_RECIPE, at,
                         "write s3://bucket/folder or https://host/bucket/folder, in letters, digits and . - _ /",
                         "'%.80s' names no bucket and folder", address);
    return NULL;
}

// Amazon's, unless the environment names another; a bucket is a host of its own there, but for names that a certificate does not cover.
static char *base_of(struct arena *arena, const char *bucket, size_t n, const char *region)
{
    const char *endpoint = environment("AWS_ENDPOINT_URL_S3");
    endpoint = endpoint ? endpoint : environment("AWS_ENDPOINT_URL");
    if (endpoint) {
        size_t length = strlen(endpoint);
        length -= endpoint[length - 1] == '/';
        return arena_printf(arena, "%.*s/%.*s", (int)length, endpoint, (int)n, bucket);
    }
    if (memchr(bucket, '.', n) || memchr(bucket, '_', n))
        return arena_printf(arena, "https://s3.%s.amazonaws.com/%.*s", region, (int)n, bucket);
    return arena_printf(arena, "https://%.*s.s3.%s.amazonaws.com", (int)n, bucket, region);
}

static struct error *read_address(struct remote *r, struct bucket *b, const char *region)
{
    bool is_s3 = !strncmp(r->address, "s3://", 5);
    const char *host = r->address + strlen(is_s3 ? "s3://" : "https://"), *bucket = host + (is_s3 ? 0 : strcspn(host, "/") + 1);
    size_t n = strcspn(bucket, "/");
    const char *prefix = bucket + n + (bucket[n] == '/');
    size_t n_prefix = strlen(prefix);
    n_prefix -= n_prefix && prefix[n_prefix - 1] == '/';
    b->base =
        is_s3 ? base_of(r->arena, bucket, n, region) : arena_strndup(r->arena, r->address, (size_t)(bucket + n - r->address));
    b->prefix = n_prefix ? arena_printf(r->arena, "%.*s/", (int)n_prefix, prefix) : "";
    return b->base && b->prefix ? NULL : error_memory();
}

// ---- the environment

static struct error *read_keys(struct remote *r, struct bucket *b, const char *region)
{
    const char *key = environment("AWS_ACCESS_KEY_ID"), *secret = environment("AWS_SECRET_ACCESS_KEY");
    if (!key || !secret)
        return error_new(ERROR_USAGE, NOWHERE, keys_fix, "no key for the mirror '%s': %s is not set", r->address,
                         key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    b->token = environment("AWS_SESSION_TOKEN");
    const char *const all[] = {key, secret, b->token ? b->token : "", region};
    for (size_t i = 0; i < countof(all); i++)
        for (const char *c = all[i]; *c; c++)
            if (!isgraph((unsigned char)*c) || (i == 0 && *c == ':'))
                return error_new(ERROR_USAGE, NOWHERE, keys_fix,
                                 "a key for the mirror, or its region, is not made of visible ASCII");
    b->user = arena_printf(r->arena, "%s:%s", key, secret);
    b->sigv4 = arena_printf(r->arena, "aws:amz:%s:s3", region);
    return b->user && b->sigv4 ? NULL : error_memory();
}

static void read_sizes(struct bucket *b)
{
    const char *part = environment("RETORT_MIRROR_PART"), *stall = environment("RETORT_MIRROR_STALL");
    long long n = part ? atoll(part) : 0, s = stall ? atoll(stall) : 0;
    b->part_bytes = n >= LEAST_PART && n <= (int64_t)4 << 30 ? n : PART_BYTES;
    b->stall_s = s >= 1 && s <= 3600 ? (int)s : STALL_S;
}

static struct error *bucket_open(struct remote *r)
{
    struct bucket *b = arena_alloc(r->arena, sizeof *b);
    const char *region = environment("AWS_REGION"), *bundle = environment("CURL_CA_BUNDLE");
    region = region ? region : environment("AWS_DEFAULT_REGION");
    region = region ? region : "us-east-1";
    if (!b)
        return error_memory();
    if (curl_version_info(CURLVERSION_NOW)->version_num < SIGNS_SHA256)
        return error_new(ERROR_MACHINE, NOWHERE, "mirror to a folder or through ssh, or install libcurl 7.87 or newer",
                         "this libcurl (%s) cannot sign requests to a bucket", curl_version_info(CURLVERSION_NOW)->version);
    struct error *e = read_address(r, b, region);
    if (!e)
        e = read_keys(r, b, region);
    if (e)
        return e;
    read_sizes(b);
    b->ca_file = bundle ? bundle : environment("SSL_CERT_FILE");
    b->ca_folder = environment("SSL_CERT_DIR");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(b->easy = curl_easy_init()))
        return error_plain(ERROR_MACHINE, "libcurl cannot be set up");
    r->own = b;
    return NULL;
}

static void bucket_close(struct remote *r)
{
    struct bucket *b = r->own;
    if (b && b->easy) {
        curl_easy_cleanup(b->easy);
        curl_global_cleanup();
        b->easy = NULL;
    }
}

// ---- a request

static size_t on_read(char *to, size_t size, size_t n, void *self)
{
    struct request *q = self;
    int64_t left = q->n - q->at;
    size_t most = size * n < (size_t)left ? size * n : (size_t)left;
    ssize_t got;
    while ((got = pread(q->fd, to, most, q->offset + q->at)) < 0 && errno == EINTR)
        ;
    if (got < 0 || (got == 0 && most)) {
        q->error =
            got < 0 ? error_system(ERROR_MACHINE, errno, "cannot read a file") : error_plain(ERROR_DATA, "a file ends early");
        return CURL_READFUNC_ABORT;
    }
    q->at += got;
    return (size_t)got;
}

static int on_seek(void *self, curl_off_t offset, int origin)
{
    struct request *q = self;
    if (origin != SEEK_SET || offset < 0 || offset > q->n)
        return CURL_SEEKFUNC_CANTSEEK;
    q->at = offset;
    return CURL_SEEKFUNC_OK;
}

static void take(const char *line, size_t n, const char *name, char *to, size_t n_to)
{
    size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k))
        return;
    for (; k < n && (line[k] == ' ' || line[k] == '\t'); k++)
        ;
    while (n > k && isspace((unsigned char)line[n - 1]))
        n--;
    remote_printable(line + k, n - k, to, n_to);
}

static size_t on_head(char *line, size_t size, size_t n, void *self)
{
    struct request *q = self;
    n *= size;
    if (n > 5 && !strncmp(line, "HTTP/", 5))
        q->etag[0] = q->region[0] = '\0';
    take(line, n, "ETag:", q->etag, sizeof q->etag);
    take(line, n, "x-amz-bucket-region:", q->region, sizeof q->region);
    return n;
}

// What an answer says besides the object that was asked for, errors and lists, is kept up to a limit.
static size_t keep(struct request *q, const char *data, size_t n)
{
    if (n > BUCKET_BODY - q->n_body) {
        q->too_much = true;
        return 0;
    }
    char *more = block_resize(q->body, q->n_body, q->n_body + n + 1);
    if (!more) {
        q->error = error_memory();
        return 0;
    }
    memcpy(more + q->n_body, data, n);
    more[q->n_body + n] = '\0';
    q->body = more;
    q->n_body += n;
    return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
    struct request *q = self;
    n *= size;
    curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &q->status);
    if (!q->download || q->status != 200)
        return keep(q, data, n);
    if ((int64_t)n > q->most - q->n_to) {
        q->too_much = true;
        return 0;
    }
    if (q->digest && !EVP_DigestUpdate(q->digest, data, n))
        q->error = error_memory();
    if (q->to >= 0)
        q->error = file_write(q->to, "what is brought back", data, (int64_t)n, q->n_to);
    q->n_to += (int64_t)n;
    return q->error ? 0 : n;
}

static int on_progress(void *self, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up)
{
    const struct request *q = self;
    (void)all_down, (void)all_up;
    return !remote_goes_on(q->watch, q->before + (q->download ? down : up));
}

static bool add(struct curl_slist **list, const char *format, const char *text)
{
    char line[4096];
    int n = snprintf(line, sizeof line, format, text);
    struct curl_slist *more = n > 0 && (size_t)n < sizeof line ? curl_slist_append(*list, line) : NULL;
    *list = more ? more : *list;
    return more != NULL;
}

static bool add_md5(struct curl_slist **list, const unsigned char *md5)
{
    unsigned char text[25]; // 16 bytes in base64
    EVP_EncodeBlock(text, md5, MD5_BYTES);
    return add(list, "Content-MD5: %s", (const char *)text);
}

char *bucket_encoded(struct arena *arena, const char *text, const char *also)
{
    char *to = arena_alloc(arena, 3 * strlen(text) + 1), *at = to;
    for (; to && *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-._~", *text) || strchr(also, *text))
            *at++ = *text;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*text);
    return to;
}

static bool set_up(const struct bucket *b, struct request *q, const char *url, struct curl_slist *headers, char *problem)
{
    CURL *c = b->easy;
    CURLcode bad = 0;
    bool upload = !strcmp(q->method, "PUT");
    curl_easy_reset(c);
    bad |= curl_easy_setopt(c, CURLOPT_URL, url);
    bad |= curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); // a name of the store is no path: nothing in it leads out of the bucket
    bad |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, strncmp(b->base, "http://", 7) ? "https" : "http");
    bad |= curl_easy_setopt(c, CURLOPT_USERPWD, b->user);
    bad |= curl_easy_setopt(c, CURLOPT_AWS_SIGV4, b->sigv4);
    bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (b->ca_file)
        bad |= curl_easy_setopt(c, CURLOPT_CAINFO, b->ca_file);
    if (b->ca_folder)
        bad |= curl_easy_setopt(c, CURLOPT_CAPATH, b->ca_folder);
    bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_USERAGENT, "retort");
    bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, b->stall_s < CONNECT_S ? (long)b->stall_s : (long)CONNECT_S);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)LEAST_SPEED);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)b->stall_s);
    bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    bad |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, problem);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERDATA, (void *)q);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEDATA, (void *)q);
    bad |= curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad |= curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)q);
    bad |= curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    if (upload) {
        bad |= curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        bad |= curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->n);
    } else if (!strcmp(q->method, "POST")) {
        bad |= curl_easy_setopt(c, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->text);
        bad |= curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->n);
    } else if (strcmp(q->method, "GET")) {
        bad |= curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
    bad |= curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
    bad |= curl_easy_setopt(c, CURLOPT_READDATA, (void *)q);
    bad |= curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
    bad |= curl_easy_setopt(c, CURLOPT_SEEKDATA, (void *)q);
    return !bad;
}

static struct error *outcome(const struct remote *r, struct request *q, CURLcode code, const char *problem)
{
    struct error *e = q->error;
    q->error = NULL;
    if (e)
        return e;
    if (q->too_much)
        return error_plain(ERROR_DATA, "'%s' answers with more than was asked for", r->address);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return error_stopped();
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return error_new(ERROR_USAGE, NOWHERE,
                         "if its certificate is signed by an authority of your own, name that one's file: SSL_CERT_FILE=FILE",
                         "cannot trust the host of '%s': %s", r->address, problem);
    // An answer to a body that was not wanted to its end is an answer.
    if (code == CURLE_SEND_ERROR && q->status >= 400)
        return NULL;
    if (code != CURLE_OK)
        return error_plain(ERROR_MACHINE, "cannot reach '%s': %s", r->address, problem[0] ? problem : curl_easy_strerror(code));
    return NULL;
}

struct error *bucket_request(struct remote *r, struct request *q)
{
    struct bucket *b = r->own;
    struct arena arena = {0};
    char problem[CURL_ERROR_SIZE] = "";
    const char *path = q->name ? bucket_encoded(&arena, q->name, "/") : "", *prefix = q->name ? b->prefix : "";
    const char *url =
        path ? arena_printf(&arena, "%s/%s%s%s%s", b->base, prefix, path, q->query ? "?" : "", q->query ? q->query : "") : NULL;
    struct curl_slist *headers = NULL;
    q->status = 0;
    q->n_body = 0;
    q->body = NULL;
    q->at = q->n_to = 0;
    q->error = NULL;
    q->too_much = false;
    q->etag[0] = q->region[0] = '\0';
    q->easy = b->easy;
    bool good = url && add(&headers, "x-amz-content-sha256: %s", q->sha256 ? q->sha256 : empty_sha256) &&
                (!b->token || add(&headers, "x-amz-security-token: %s", b->token)) && (!q->md5 || add_md5(&headers, q->md5)) &&
                (strcmp(q->method, "POST") || add(&headers, "Content-Type: %s", "application/xml"));
    struct error *e = good ? NULL : error_memory();
    if (!e && !set_up(b, q, url, headers, problem))
        e = error_plain(ERROR_MACHINE, "this libcurl cannot sign requests to a bucket");
    if (!e) {
        CURLcode code = curl_easy_perform(b->easy);
        curl_easy_getinfo(b->easy, CURLINFO_RESPONSE_CODE, &q->status);
        e = outcome(r, q, code, problem);
    }
    curl_slist_free_all(headers);
    arena_release(&arena);
    if (e) {
        block_free(q->body);
        q->body = NULL;
    }
    return e;
}

struct error *bucket_refused(const struct remote *r, const struct request *q, const char *doing)
{
    struct arena arena = {0};
    char code[80] = "", message[200] = "";
    const char *at = q->body, *text = at ? bucket_between(&at, NULL, "Code", &arena) : NULL;
    if (text)
        remote_printable(text, strlen(text), code, sizeof code);
    at = q->body;
    text = at ? bucket_between(&at, NULL, "Message", &arena) : NULL;
    if (text)
        remote_printable(text, strlen(text), message, sizeof message);
    arena_release(&arena);
    // A clock that is off, a store that is busy, and what arrived otherwise pass; wrong keys and names do not.
    bool passing = q->status >= 500 || q->status == 408 || q->status == 429 || q->status == 200 ||
                   !strcmp(code, "RequestTimeout") || !strcmp(code, "BadDigest") || !strcmp(code, "XAmzContentSHA256Mismatch") ||
                   !strcmp(code, "IncompleteBody");
    const char *fix = passing                                 ? NULL
                      : q->region[0]                          ? "set AWS_REGION to the region of the bucket"
                      : !strcmp(code, "RequestTimeTooSkewed") ? "set this machine's clock"
                      : q->status == 404                      ? "make the bucket, or mend the address"
                                                              : keys_fix;
    return error_new(passing ? ERROR_MACHINE : ERROR_USAGE, NOWHERE, fix, "cannot %s '%s': HTTP %ld%s%s%s%s", doing, r->address,
                     q->status, code[0] ? ", " : "", code, message[0] ? ": " : "", message);
}

static struct error *bucket_make(struct remote *r, const char *folder)
{
    (void)r, (void)folder; // there are no folders
    return NULL;
}

static struct error *bucket_remove(struct remote *r, const char *name)
{
    struct request q = {.method = "DELETE", .name = name};
    struct error *e = bucket_request(r, &q);
    if (!e && q.status != 204 && q.status != 200 && q.status != 404)
        e = bucket_refused(r, &q, "remove from");
    block_free(q.body);
    return e;
}

const struct remote_kind remote_bucket = {bucket_check, bucket_open, bucket_close, bucket_make,
                                          bucket_list,  bucket_put,  bucket_get,   bucket_remove};
