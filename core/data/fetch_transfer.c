// fetch_transfer.c - a request and what is made of its answer. libcurl does HTTP and TLS; what an answer means for the part is decided
// here, once its head is known, before a byte of its body is kept.
//
//     200  the whole file: the part begins anew
//     206  the rest of it, if its head agrees with what was asked for and with what the part is of; else the part begins anew
//     416  there is no rest: the part is whole, or of something else
#include "core/data/fetch_inside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/stop.h"
#include "core/store/atomic.h"

enum {
    MOST_HEAD = 1 << 20,
    MOST_SWALLOWED = 1 << 20,
    MOST_REDIRECTS = 10,
    BUFFER_BYTES = 256 << 10,
    LEAST_SPEED = 1000,
    CONNECT_S = 20
};

static const double MOST_WAIT_S = 300;

static const char again_fix[] = "run it again later: what came is kept";

// ---- the request

static struct error *add_header(struct transfer *t, const char *text)
{
    struct curl_slist *more = text ? curl_slist_append(t->headers, text) : NULL;
    if (!more)
        return error_memory();
    t->headers = more;
    return NULL;
}

// libcurl sends an Authorization header to the host it was meant for, and to no other after a redirect.
static struct error *add_token(struct transfer *t)
{
    const char *host = t->file->url + strlen("https://");
    size_t n = strcspn(host, "/");
    for (int i = 0; i < t->setting->n_tokens; i++) {
        const struct fetch_token *token = &t->setting->tokens[i];
        if (strlen(token->host) == n && !strncasecmp(token->host, host, n))
            return add_header(t, arena_printf(t->arena, "Authorization: Bearer %s", token->token));
    }
    return NULL;
}

static size_t on_head(char *data, size_t size, size_t n, void *self);
static size_t on_body(char *data, size_t size, size_t n, void *self);
static int on_progress(void *self, curl_off_t all, curl_off_t now, curl_off_t all_up, curl_off_t now_up);

struct error *transfer_ask(struct transfer *t, bool head)
{
    const struct fetch_setting *s = t->setting;
    struct error *e = NULL;
    if (!(t->easy = curl_easy_init()))
        return error_memory();
    if (!head && t->offset > 0) {
        const char *same = t->etag[0] ? t->etag : t->modified;
        e = add_header(t, arena_printf(t->arena, "Range: bytes=%lld-", (long long)t->offset));
        if (!e && *same)
            e = add_header(t, arena_printf(t->arena, "If-Range: %s", same));
    }
    if (!e)
        e = add_token(t);
    CURL *c = t->easy;
    CURLcode bad = 0;
    bad |= curl_easy_setopt(c, CURLOPT_URL, t->file->url);
    bad |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    bad |= curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    bad |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
    bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    if (s->ca_file)
        bad |= curl_easy_setopt(c, CURLOPT_CAINFO, s->ca_file);
    if (s->ca_folder)
        bad |= curl_easy_setopt(c, CURLOPT_CAPATH, s->ca_folder);
    bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(c, CURLOPT_USERAGENT, "retort");
    bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, s->stall_s < CONNECT_S ? (long)s->stall_s : (long)CONNECT_S);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)LEAST_SPEED);
    bad |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)s->stall_s);
    bad |= curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
    bad |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->problem);
    bad |= curl_easy_setopt(c, CURLOPT_PRIVATE, (void *)t);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(c, CURLOPT_HEADERDATA, (void *)t);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(c, CURLOPT_WRITEDATA, (void *)t);
    bad |= curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad |= curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)t);
    bad |= curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    if (head)
        bad |= curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    return e ? e : bad ? error_plain(ERROR_MACHINE, "this libcurl cannot fetch over https") : NULL;
}

// ---- the head of the answer

// The value of a header of that name, without blanks around it; printable ASCII alone, else it is left out.
static void take_header(const char *line, size_t n, const char *name, char *to, size_t n_to)
{
    size_t k = strlen(name);
    if (n <= k || line[k] != ':' || strncasecmp(line, name, k))
        return;
    for (k++; k < n && (line[k] == ' ' || line[k] == '\t');)
        k++;
    while (n > k && isspace((unsigned char)line[n - 1]))
        n--;
    *to = '\0';
    for (size_t i = k; i < n; i++)
        if (line[i] < ' ' || line[i] > '~')
            return;
    if (n - k < n_to)
        snprintf(to, n_to, "%.*s", (int)(n - k), line + k);
}

static size_t on_head(char *data, size_t size, size_t n, void *self)
{
    struct transfer *t = self;
    struct response *a = &t->answer;
    n *= size;
    if ((t->n_head += (int64_t)n) > MOST_HEAD)
        return 0;
    if (n > 5 && !strncmp(data, "HTTP/", 5)) // of each answer, redirects and all
        *a = (struct response){0};
    take_header(data, n, "ETag", a->etag, sizeof a->etag);
    take_header(data, n, "Last-Modified", a->modified, sizeof a->modified);
    take_header(data, n, "Content-Type", a->type, sizeof a->type);
    take_header(data, n, "Content-Encoding", a->encoding, sizeof a->encoding);
    take_header(data, n, "Content-Range", a->range, sizeof a->range);
    take_header(data, n, "Location", a->location, sizeof a->location);
    return n;
}

// "bytes 5-9/10", "bytes */10"; what is not said is -1.
static bool read_range(const char *text, int64_t *first, int64_t *whole)
{
    long long a = -1, b = -1, of = -1;
    int n = 0;
    *first = *whole = -1;
    if (sscanf(text, "bytes %18lld-%18lld/%18lld%n", &a, &b, &of, &n) == 3 && !text[n]) {
        *first = a, *whole = of;
        return a >= 0 && b >= a && of > b;
    }
    n = 0;
    if (sscanf(text, "bytes %18lld-%18lld/*%n", &a, &b, &n) == 2 && n && !text[n]) {
        *first = a;
        return a >= 0 && b >= a;
    }
    n = 0;
    if (sscanf(text, "bytes */%18lld%n", &of, &n) == 1 && !text[n]) {
        *whole = of;
        return of >= 0;
    }
    return false;
}

static bool is_strong(const char *etag)
{
    return *etag && strncmp(etag, "W/", 2) != 0;
}

// A page: no data file is HTML, unless its name says so.
static bool is_page(const struct transfer *t)
{
    const char *name = strrchr(t->file->url, '/');
    return !strncasecmp(t->answer.type, "text/html", 9) && (!name || (!strstr(name, ".htm") && !strstr(name, ".HTM")));
}

static struct error *check_length(const struct transfer *t, int64_t whole)
{
    char has[64], should[64];
    if (!t->file->pinned_bytes || whole < 0 || whole == t->file->bytes)
        return NULL;
    snprintf(has, sizeof has, "%lld bytes", (long long)whole);
    snprintf(should, sizeof should, "%lld", (long long)t->file->bytes);
    return part_changed(t, has, should);
}

// The rest of the part, if it is the rest of the same: *fits.
static void vet_rest(const struct transfer *t, int64_t *whole, bool *fits)
{
    int64_t first;
    const struct response *a = &t->answer;
    *fits = read_range(a->range, &first, whole) && t->offset > 0 && first == t->offset &&
            (!t->etag[0] || !a->etag[0] || !strcmp(t->etag, a->etag)) &&
            (t->etag[0] || !t->modified[0] || !a->modified[0] || !strcmp(t->modified, a->modified)) &&
            (t->file->bytes < 0 || *whole < 0 || t->file->pinned_bytes || *whole == t->file->bytes);
}

// The head of an answer that brings the file, before its body.
static struct error *vet(struct transfer *t)
{
    const struct response *a = &t->answer;
    curl_off_t length = -1;
    int64_t whole = -1;
    bool fits = false;
    t->vetted = true;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->answer.status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (a->status != 200 && a->status != 206)
        return NULL;
    if (a->encoding[0] && strcasecmp(a->encoding, "identity"))
        return error_new(ERROR_DATA, NOWHERE, "fetch it by hand, and name the file",
                         "'%s' is sent packed ('%s'), which was not asked for", t->file->url, a->encoding);
    if (is_page(t))
        return error_new(ERROR_DATA, NOWHERE, "open the address in a browser: it may want a login, or be another file",
                         "'%s' answers with a web page in place of the file", t->file->url);
    struct error *e = NULL;
    if (a->status == 206)
        vet_rest(t, &whole, &fits);
    else
        whole = length;
    if (a->status == 206 && !fits) { // of something else: asked for again, from the beginning
        e = part_restart(t);
        return e;
    }
    if (whole > FETCH_MOST_BYTES)
        return error_new(ERROR_DATA, NOWHERE, "look at the address", "'%s' is said to have %lld bytes", t->file->url,
                         (long long)whole);
    if ((e = check_length(t, whole)))
        return e;
    if (a->status == 200 && (e = part_restart(t)))
        return e;
    if (whole >= 0 || !fits)
        t->file->bytes = t->file->pinned_bytes ? t->file->bytes : whole;
    if (is_strong(a->etag) || a->status == 200)
        snprintf(t->etag, sizeof t->etag, "%s", is_strong(a->etag) ? a->etag : "");
    if (a->modified[0] || a->status == 200)
        snprintf(t->modified, sizeof t->modified, "%s", a->modified);
    t->wanted = true;
    return part_prepare(t);
}

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
    struct transfer *t = self;
    n *= size;
    if (t->fd < 0)
        return n; // only asked
    if (!t->vetted)
        t->error = vet(t);
    if (t->error || stop_requested())
        return 0;
    if (!t->wanted)
        return (t->swallowed += (int64_t)n) > MOST_SWALLOWED ? 0 : n;
    if (t->file->bytes >= 0 && (int64_t)n > t->file->bytes - t->at) {
        t->error =
            error_new(ERROR_DATA, NOWHERE, "run it again later, or fetch it from elsewhere",
                      "'%s' goes on behind the %lld bytes that it is said to have", t->file->url, (long long)t->file->bytes);
        return 0;
    }
    t->error = part_write(t, data, n);
    return t->error ? 0 : n;
}

// Bodies that nobody looks at, of redirects, have an end, too.
static int on_progress(void *self, curl_off_t all, curl_off_t now, curl_off_t all_up, curl_off_t now_up)
{
    const struct transfer *t = self;
    (void)all, (void)all_up, (void)now_up;
    return !t->vetted && now > MOST_SWALLOWED;
}

// ---- beginning and end

struct error *transfer_begin(struct transfer *t)
{
    struct fetch_file *f = t->file;
    bool held;
    struct error *e = part_open(t, &held);
    if (e || !held) {
        f->state = FETCH_ELSEWHERE;
        return e;
    }
    if (file_exists(f->path)) {
        e = part_restart(t);
        transfer_close(t, true);
        f->state = FETCH_THERE;
        return e;
    }
    f->state = FETCH_RUNS;
    if (t->at > 0 && t->at == f->bytes) { // it was whole when it was left
        const char *why;
        double wait_s;
        return transfer_end(t, CURLE_OK, &why, &wait_s);
    }
    t->offset = t->at;
    t->best = t->at > t->best ? t->at : t->best;
    t->answer = (struct response){0};
    t->vetted = t->wanted = false;
    t->swallowed = t->n_head = 0;
    t->problem[0] = '\0';
    return transfer_ask(t, false);
}

void transfer_close(struct transfer *t, bool part)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
    if (part)
        part_close(t);
}

static bool worth_trying(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
        return true;
    default:
        return false;
    }
}

static struct error *failed(const struct transfer *t, CURLcode code)
{
    const char *url = t->file->url, *problem = t->problem[0] ? t->problem : curl_easy_strerror(code);
    const char *location = t->answer.location;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return error_new(ERROR_MACHINE, NOWHERE,
                         "if its certificate is signed by an authority of your own, name that one's file: SSL_CERT_FILE=FILE",
                         "cannot trust the host of '%s': %s", url, problem);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_new(ERROR_DATA, NOWHERE, "write the address that it should lead to",
                         "'%s' leads to '%s', and only https is followed", url, location);
    case CURLE_ABORTED_BY_CALLBACK: // on_progress, on_head
    case CURLE_WRITE_ERROR:
        return error_new(ERROR_DATA, NOWHERE, "look at the address", "'%s' answers with more than a MiB that is not the file",
                         url);
    case CURLE_TOO_MANY_REDIRECTS:
        return error_new(ERROR_DATA, NOWHERE, "write the address that it should lead to", "'%s' leads from address to address",
                         url);
    default:
        return error_new(ERROR_MACHINE, NOWHERE, again_fix, "cannot fetch '%s': %s", url, problem);
    }
}

static struct error *refused(const struct transfer *t)
{
    const char *fix = t->answer.status == 401 || t->answer.status == 403
                          ? "if the host wants a token, set RETORT_DATA_TOKEN=HOST=TOKEN (HF_TOKEN for huggingface.co)"
                          : "look at the address";
    return error_new(ERROR_MACHINE, NOWHERE, fix, "cannot fetch '%s': HTTP %ld", t->file->url, t->answer.status);
}

static bool is_passing(long status)
{
    return status == 408 || status == 425 || status == 429 || status == 500 || status >= 502;
}

// A part that began in an earlier answer may be wrong for that alone.
static struct error *verify(struct transfer *t, const char **why)
{
    struct fetch_file *f = t->file;
    struct error *e = part_verify(t);
    if (!e) {
        f->state = FETCH_WHOLE;
        return NULL;
    }
    if (e->kind == ERROR_STOPPED || e == error_memory())
        return e;
    bool mixed = t->mixed;
    struct error *cleared = e->kind == ERROR_DATA ? part_restart(t) : NULL;
    if (mixed && e->kind == ERROR_DATA && !cleared) {
        error_free(e);
        *why = "its parts do not fit together";
        f->state = FETCH_WAITS;
        return NULL;
    }
    error_free(cleared);
    f->error = e;
    f->state = FETCH_FAILED;
    return NULL;
}

// There is no rest: it is whole, or the part is of something else.
static struct error *no_rest(struct transfer *t, const char **why)
{
    int64_t first, whole;
    if (read_range(t->answer.range, &first, &whole) && whole == t->at && t->at > 0) {
        t->file->bytes = t->file->pinned_bytes ? t->file->bytes : whole;
        return verify(t, why);
    }
    *why = "it cannot be continued";
    t->file->state = FETCH_WAITS;
    return part_restart(t);
}

struct error *transfer_end(struct transfer *t, CURLcode code, const char **why, double *wait_s)
{
    struct fetch_file *f = t->file;
    curl_off_t after = 0;
    struct error *e = NULL;
    *why = NULL;
    *wait_s = 0;
    if (!t->easy) // whole before anything was asked for
        return verify(t, why);
    if (!t->vetted)
        t->error = vet(t);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
    long status = t->answer.status;
    f->state = FETCH_WAITS;
    if (stop_requested()) {
        e = error_stopped();
    } else if (t->error) {
        f->error = t->error;
        f->state = FETCH_FAILED;
        t->error = NULL;
    } else if (status == 416) {
        e = no_rest(t, why);
    } else if (is_passing(status)) {
        *wait_s = (double)after;
        *why = arena_printf(t->arena, "HTTP %ld", status);
        if ((double)after > MOST_WAIT_S) {
            f->error = error_new(ERROR_MACHINE, NOWHERE, again_fix, "'%s' asks to be left alone for %lld seconds (HTTP %ld)",
                                 f->url, (long long)after, status);
            f->state = FETCH_FAILED;
        }
    } else if (status >= 400) {
        f->error = refused(t);
        f->state = FETCH_FAILED;
    } else if (code == CURLE_OK && status == 206 && !t->wanted) {
        *why = "it cannot be continued";
    } else if (code == CURLE_OK && !t->wanted) {
        f->error = refused(t);
        f->state = FETCH_FAILED;
    } else if (code == CURLE_OK && (f->bytes < 0 || t->at == f->bytes)) {
        e = verify(t, why);
    } else if (code == CURLE_OK || worth_trying(code)) {
        *why = code == CURLE_OK ? "the answer ended early"
                                : arena_strdup(t->arena, t->problem[0] ? t->problem : curl_easy_strerror(code));
    } else if (code == CURLE_WRITE_ERROR && status == 206 && !t->wanted) {
        *why = "it cannot be continued";
    } else {
        f->error = failed(t, code);
        f->state = FETCH_FAILED;
    }
    transfer_close(t, false);
    return e;
}
