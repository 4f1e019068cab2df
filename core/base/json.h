// json.h - writing JSON: one escaping emitter, into a growing text. (Reading is jansson's.)
//
//     struct json j = {0};
//     json_open(&j, '{');
//     json_key(&j, "step"); json_i64(&j, 12);
//     json_key(&j, "loss"); json_f64(&j, 3.25);        // %.17g; nan and infinities become null
//     json_close(&j, '}');
//     if (!json_text(&j)) ...                           // NULL: memory ran out on the way
//     json_release(&j);
//
// Text is emitted without blanks, commas by themselves; invalid UTF-8 becomes U+FFFD. Keys come in the order of the calls: a caller
// that needs canonical text calls in sorted order.
#ifndef CORE_BASE_JSON_H
#define CORE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *text;
    size_t n, capacity;
    bool failed, comma; // comma: a value stands before
};

void json_open(struct json *j, char bracket);  // '{' or '['
void json_close(struct json *j, char bracket); // '}' or ']'
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *text); // NULL gives null
void json_str_n(struct json *j, const char *text, size_t n);
void json_i64(struct json *j, int64_t value);
void json_count(struct json *j, int64_t count); // null where it is below 0: not known
void json_f64(struct json *j, double value);
void json_bool(struct json *j, bool value);
void json_nil(struct json *j);
void json_raw(struct json *j, const char *json); // a value that is JSON already

// The text so far, zero-terminated, owned by j; NULL when memory ran out.
const char *json_text(struct json *j);
void json_clear(struct json *j); // begins anew, in the memory that it has
void json_release(struct json *j);

#endif
