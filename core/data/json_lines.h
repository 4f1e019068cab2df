// json_lines.h - a file of JSON values, one a line.
//
//     struct json_lines *lines;
//     e = json_lines_open(&lines, "chats.jsonl");
//     while (!(e = json_lines_next(lines, &value)) && value) ...           // value: json_tape.h; NULL: the end
//     json_lines_close(lines);
//
// Lines      end with a line feed, or with the file; blank ones are skipped, and so is a byte order mark
// Limits     64 MiB a line and 2^20 values in it; nesting of 2,048
// Ownership  a value is borrowed until the next call
// Errors     ERROR_DATA at the file and line, of what is no JSON in jansson's words; stop. Behind a line that is no JSON the next one may
//            be asked for, but where the first line shows that the file is something else (file_kind.h), or one value on several lines
#ifndef CORE_DATA_JSON_LINES_H
#define CORE_DATA_JSON_LINES_H

#include "core/data/json_tape.h"

struct json_lines;

struct error *CHECKED json_lines_open(struct json_lines **lines, const char *path);
struct error *CHECKED json_lines_next(struct json_lines *lines, const struct json_item **value);
bool json_lines_can_go_on(const struct json_lines *lines);     // behind an error: the line was read, but is wrong
struct place json_lines_place(const struct json_lines *lines); // of the value given last
void json_lines_close(struct json_lines *lines);               // NULL is fine

#endif
