// schema_json.c - rows of tables become properties; what no table says (which fields exclude each other, forms of sources) stands here as
// JSON.
//
// 1. A number may be written plainly, so that a schema sees its value, or as text that YAML readers take for a string (2e9, 64k): then only
//    its spelling is checked. So may anything that holds ${x}.
// 2. A kind's definition refuses unknown keys; what it requires stands apart, for recipes that include others.
#include "runner/commands/schema_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/commands/language.h"
#include "runner/recipe/reader.h"

#define NAME_PATTERN "^[a-z][a-z0-9_]*$"
#define WHOLE "(0|[1-9][0-9]*(_[0-9]+)*)"

// Definitions that no table leads to. A text that is a number or a truth value to YAML is a text all the same where the field says so.
static const char *const definitions[][2] = {
    {"variable", "{\"type\":\"string\",\"pattern\":\"[$][{][^}]+[}]\"}"},
    {"value", "{\"type\":[\"string\",\"number\",\"boolean\"]}"},
    {"text", "{\"type\":[\"string\",\"number\",\"boolean\"],\"minLength\":1}"},
    {"count_text", "{\"type\":\"string\",\"pattern\":\"^[+-]?" WHOLE "([.][0-9]+)?([eE][+-]?[0-9]+|[kMBT])?$\"}"},
    {"exact_text", "{\"type\":\"string\",\"pattern\":\"^[+-]?" WHOLE "([.][0-9]+)?([eE][+-]?[0-9]+)?$\"}"},
    {"count_from_0", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},{\"$ref\":\"#/$defs/exact_text\"},"
                     "{\"$ref\":\"#/$defs/variable\"}]}"},
    {"count_from_1", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"$ref\":\"#/$defs/exact_text\"},"
                     "{\"$ref\":\"#/$defs/variable\"}]}"},
    {"money", "{\"anyOf\":[{\"type\":\"number\",\"minimum\":0},{\"$ref\":\"#/$defs/count_text\"},"
              "{\"$ref\":\"#/$defs/variable\"}]}"},
    {"duration", "{\"anyOf\":[{\"$ref\":\"#/$defs/variable\"},{\"type\":\"string\",\"pattern\":\"^[0-9][0-9_.]*[smhd]$\"}]}"},
    {"name", "{\"anyOf\":[{\"$ref\":\"#/$defs/variable\"},{\"type\":\"string\",\"pattern\":\"" NAME_PATTERN "\"}]}"},
    {"stage_name", "{\"anyOf\":[{\"$ref\":\"#/$defs/variable\"},{\"type\":\"string\",\"pattern\":"
                   "\"^([a-z][a-z0-9_]*|.+[.]ya?ml:[a-z][a-z0-9_]*)(@[^ /]+)?$\"}]}"},
    {"file", "{\"anyOf\":[{\"$ref\":\"#/$defs/variable\"},{\"type\":\"string\",\"pattern\":\"^[^*?]+$\"}]}"},
    {"files",
     "{\"anyOf\":[{\"$ref\":\"#/$defs/file\"},{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/file\"}}]}"},
    {"one_file", "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^[^${]+$\"},{\"type\":\"array\",\"maxItems\":1,"
                 "\"items\":{\"type\":\"string\",\"pattern\":\"^[^${]+$\"}}]}"},
    {"skip_bad", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000000},{\"$ref\":\"#/$defs/count_text\"},"
                 "{\"$ref\":\"#/$defs/variable\"}]}"},
    {"split_files", "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"[{]split[}]\"},{\"type\":\"object\",\"minProperties\":1,"
                    "\"additionalProperties\":{\"$ref\":\"#/$defs/files\"}}]}"},
    {"validate", "{\"anyOf\":[{\"enum\":[\"last\",\"none\"]},{\"type\":\"string\",\"pattern\":\"[./]\"},"
                 "{\"$ref\":\"#/$defs/variable\"}]}"},
    {"use",
     "{\"type\":\"object\",\"required\":[\"task\"],\"additionalProperties\":false,\"not\":{\"required\":[\"epochs\",\"rows\"]},"
     "\"properties\":{\"task\":{\"$ref\":\"#/$defs/text\"},\"split\":{\"$ref\":\"#/$defs/name\"},"
     "\"epochs\":{\"anyOf\":[{\"type\":\"number\",\"exclusiveMinimum\":0},{\"$ref\":\"#/$defs/count_text\"},"
     "{\"$ref\":\"#/$defs/variable\"}]},"
     "\"rows\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"$ref\":\"#/$defs/count_text\"},"
     "{\"$ref\":\"#/$defs/variable\"}]}}}"},
    {"source_parquet",
     "{\"anyOf\":[{\"additionalProperties\":false,\"properties\":{\"parquet\":{\"$ref\":\"#/$defs/split_files\"},"
     "\"skip_bad\":{\"$ref\":\"#/$defs/skip_bad\"}}},"
     "{\"required\":[\"column\",\"validate\"],\"additionalProperties\":false,\"properties\":{\"parquet\":"
     "{\"$ref\":\"#/$defs/files\"},\"column\":{\"$ref\":\"#/$defs/text\"},"
     "\"validate\":{\"$ref\":\"#/$defs/validate\"}},\"not\":{\"properties\":{\"validate\":{\"const\":\"last\"},"
     "\"parquet\":{\"$ref\":\"#/$defs/one_file\"}}}}]}"},
    {"source_jsonl", "{\"anyOf\":[{\"additionalProperties\":false,\"properties\":{\"jsonl\":{\"$ref\":\"#/$defs/split_files\"},"
                     "\"skip_bad\":{\"$ref\":\"#/$defs/skip_bad\"}}},"
                     "{\"required\":[\"field\",\"validate\"],\"additionalProperties\":false,\"properties\":{\"jsonl\":"
                     "{\"$ref\":\"#/$defs/files\"},\"field\":{\"$ref\":\"#/$defs/text\"},"
                     "\"skip_bad\":{\"$ref\":\"#/$defs/skip_bad\"},"
                     "\"validate\":{\"$ref\":\"#/$defs/validate\"}},\"not\":{\"properties\":{\"validate\":{\"const\":\"last\"},"
                     "\"jsonl\":{\"$ref\":\"#/$defs/one_file\"}}}}]}"},
    {"source_text",
     "{\"required\":[\"validate\"],\"additionalProperties\":false,\"properties\":{\"text\":{\"$ref\":\"#/$defs/files\"},"
     "\"validate\":{\"$ref\":\"#/$defs/validate\"}},\"not\":{\"properties\":{\"validate\":{\"const\":\"last\"},"
     "\"text\":{\"$ref\":\"#/$defs/one_file\"}}}}"},
    {"source_world", "{\"required\":[\"documents\",\"validate\"],\"additionalProperties\":false,\"properties\":{"
                     "\"world\":{\"$ref\":\"#/$defs/file\"},\"documents\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1,"
                     "\"maximum\":1000000000000},{\"$ref\":\"#/$defs/count_text\"},{\"$ref\":\"#/$defs/variable\"}]},"
                     "\"validate\":{\"anyOf\":[{\"enum\":[\"held_out\",\"none\"]},{\"$ref\":\"#/$defs/variable\"}]}}}"},
    {"source_mix",
     "{\"required\":[\"validate\"],\"additionalProperties\":false,\"properties\":{\"mix\":{\"type\":\"array\","
     "\"minItems\":1,\"items\":{\"type\":\"object\",\"required\":[\"source\",\"share\"],\"additionalProperties\":false,"
     "\"properties\":{\"source\":{\"$ref\":\"#/$defs/name\"},\"share\":{\"anyOf\":[{\"type\":\"number\","
     "\"exclusiveMinimum\":0},{\"$ref\":\"#/$defs/count_text\"},{\"$ref\":\"#/$defs/variable\"}]}}}},"
     "\"validate\":{\"$ref\":\"#/$defs/name\"}}}"},
};

// Fields of one map that exclude each other.
static const struct {
    enum stage_kind_id kind;
    const char *names[5];
} exclusive[] = {
    {KIND_PRETRAIN, {"steps", "tokens", "flops", "ratio"}},
    {KIND_PRETRAIN, {"depth", "n_layer"}},
    {KIND_PRETRAIN, {"depth", "n_embd"}},
    {KIND_PRETRAIN, {"depth", "n_head"}},
    {KIND_PRETRAIN, {"depth", "n_kv_head"}},
    {KIND_PRETRAIN, {"depth", "n_mlp"}},
    {KIND_PRETRAIN, {"warmup", "warmup_steps"}},
    {KIND_FINETUNE, {"steps", "epochs"}},
    {KIND_FINETUNE, {"batch_tokens", "rows"}},
    {KIND_FINETUNE, {"packing", "rows"}},
    {KIND_GRPO, {"steps", "epochs"}},
};

// What a kind requires beside the fields that the table calls required.
static const char *const also_required[KIND_COUNT] = {
    [KIND_PRETRAIN] =
        "{\"if\":{\"not\":{\"required\":[\"depth\"]},\"anyOf\":[{\"required\":[\"n_layer\"]},{\"required\":[\"n_embd\"]},"
        "{\"required\":[\"n_head\"]},{\"required\":[\"n_kv_head\"]},{\"required\":[\"n_mlp\"]}]},\"then\":{\"required\":[\"n_"
        "layer\",\"n_embd\",\"n_head\"]}}",
};

static void reference(struct json *j, const char *definition)
{
    char path[64];
    snprintf(path, sizeof path, "#/$defs/%s", definition);
    json_open(j, '{');
    json_key(j, "$ref"), json_str(j, path);
    json_close(j, '}');
}

static void key_raw(struct json *j, const char *key, const char *json)
{
    json_key(j, key), json_raw(j, json);
}

// A whole number stays one: 1 and not 1.0, at most what a double holds exactly.
static void bound(struct json *j, const char *key, double value)
{
    json_key(j, key);
    if (value == floor(value) && fabs(value) < 9e15)
        json_i64(j, (int64_t)value);
    else
        json_f64(j, value);
}

static void number(struct json *j, const struct field *f)
{
    json_open(j, '{');
    json_key(j, "anyOf");
    json_open(j, '[');
    json_open(j, '{');
    json_key(j, "type"), json_str(j, f->type == FIELD_REAL ? "number" : "integer");
    if (f->min != 0 || f->max != 0) {
        bound(j, "minimum", f->min);
        if (f->max < FIELD_NO_MAX || f->type == FIELD_REAL)
            bound(j, "maximum", f->max);
    }
    json_close(j, '}');
    reference(j, f->exact ? "exact_text" : "count_text");
    reference(j, "variable");
    json_close(j, ']');
    json_close(j, '}');
}

// The words of "f32|bf16!"; `*` lets any name in.
static void choice(struct json *j, const char *choices)
{
    bool any = false;
    json_open(j, '{');
    json_key(j, "anyOf");
    json_open(j, '[');
    json_open(j, '{');
    json_key(j, "enum");
    json_open(j, '[');
    for (const char *s = choices; *s;) {
        size_t length = strcspn(s, "|"), n = length - (length && s[length - 1] == '!');
        if (n == 1 && *s == '*')
            any = true;
        else
            json_str_n(j, s, n);
        s += length + (s[length] == '|');
    }
    json_close(j, ']');
    json_close(j, '}');
    reference(j, any ? "name" : "variable");
    json_close(j, ']');
    json_close(j, '}');
}

static void element(struct json *j, const struct field *f)
{
    if (f->type == FIELD_INTS)
        number(j, f);
    else if (f->type == FIELD_STAGES)
        reference(j, "stage_name");
    else if (f->choices)
        choice(j, f->choices);
    else
        reference(j, "name");
}

// One of them, or a list.
static void list(struct json *j, const struct field *f)
{
    json_open(j, '{');
    json_key(j, "anyOf");
    json_open(j, '[');
    element(j, f);
    json_open(j, '{');
    key_raw(j, "type", "\"array\"");
    key_raw(j, "minItems", "1");
    if (f->type == FIELD_STAGES)
        key_raw(j, "uniqueItems", "true");
    json_key(j, "items"), element(j, f);
    json_close(j, '}');
    json_close(j, ']');
    json_close(j, '}');
}

static void type_of(struct json *j, const struct field *f)
{
    static const char *const simple[FIELD_TYPE_COUNT] = {[FIELD_TEXT] = "text",
                                                         [FIELD_FILE] = "file",
                                                         [FIELD_DURATION] = "duration",
                                                         [FIELD_STAGE] = "stage_name",
                                                         [FIELD_SOURCE] = "name"};
    switch (f->type) {
    case FIELD_INT:
    case FIELD_REAL:
        number(j, f);
        break;
    case FIELD_BOOL:
        json_raw(j, "{\"anyOf\":[{\"type\":\"boolean\"},{\"enum\":[\"true\",\"false\"]},{\"$ref\":\"#/$defs/variable\"}]}");
        break;
    case FIELD_CHOICE:
        choice(j, f->choices);
        break;
    case FIELD_INTS:
    case FIELD_NAMES:
    case FIELD_STAGES:
        list(j, f);
        break;
    case FIELD_MIXTURE:
        json_raw(j, "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/use\"}}");
        break;
    default:
        reference(j, simple[f->type]);
    }
}

static void property(struct json *j, const struct field *f, struct arena *arena)
{
    static const char *const classes[] = {[FIELD_RESULT] = "result", [FIELD_SPEED] = "speed", [FIELD_DISPLAY] = "display"};
    bool agree = field_years_agree(f);
    const char *text = arena_printf(arena, "%s (%s field%s%s%s%s%s)", f->help, classes[f->class], f->unit ? ", in " : "",
                                    f->unit ? f->unit : "", agree ? "" : "; default of nanochat 2026: ",
                                    agree         ? ""
                                    : f->def_2026 ? f->def_2026
                                                  : "none",
                                    f->built ? "" : "; not built in this version");
    j->failed |= !text;
    json_key(j, f->name);
    json_open(j, '{');
    json_key(j, "description"), json_str(j, text ? text : "");
    if (f->def_2025)
        json_key(j, "default"), json_str(j, f->def_2025);
    json_key(j, "allOf");
    json_open(j, '[');
    type_of(j, f);
    json_close(j, ']');
    json_close(j, '}');
}

static void exclusions(struct json *j, enum stage_kind_id kind)
{
    json_key(j, "allOf");
    json_open(j, '[');
    json_raw(j, "true"); // a list may not be empty
    for (size_t i = 0; i < countof(exclusive); i++)
        for (int a = 0; exclusive[i].kind == kind && exclusive[i].names[a]; a++)
            for (int b = a + 1; exclusive[i].names[b]; b++) {
                json_open(j, '{');
                json_key(j, "not");
                json_open(j, '{');
                json_key(j, "required");
                json_open(j, '[');
                json_str(j, exclusive[i].names[a]);
                json_str(j, exclusive[i].names[b]);
                json_close(j, ']');
                json_close(j, '}');
                json_close(j, '}');
            }
    json_close(j, ']');
}

static void kind_definition(struct json *j, enum stage_kind_id kind, struct arena *arena)
{
    json_key(j, kind_name(kind));
    json_open(j, '{');
    json_key(j, "description"), json_str(j, kind_help(kind));
    key_raw(j, "additionalProperties", "false");
    json_key(j, "properties");
    json_open(j, '{');
    key_raw(j, "kind", "true");
    for (int i = 0; i < n_fields; i++)
        if (fields[i].kinds >> kind & 1)
            property(j, &fields[i], arena);
    json_close(j, '}');
    exclusions(j, kind);
    json_close(j, '}');
}

static void if_kind(struct json *j, const char *name)
{
    json_key(j, "if");
    json_open(j, '{');
    key_raw(j, "required", "[\"kind\"]");
    json_key(j, "properties");
    json_open(j, '{');
    json_key(j, "kind");
    json_open(j, '{');
    json_key(j, "const"), json_str(j, name);
    json_close(j, '}');
    json_close(j, '}');
    json_close(j, '}');
}

// A stage: its kind decides. whole: with what the kind requires.
static void stage_definition(struct json *j, bool whole)
{
    json_key(j, whole ? "whole_stage" : "stage");
    json_open(j, '{');
    key_raw(j, "type", "\"object\"");
    if (whole)
        key_raw(j, "required", "[\"kind\"]");
    json_key(j, "properties");
    json_open(j, '{');
    json_key(j, "kind");
    json_open(j, '{');
    json_key(j, "enum");
    json_open(j, '[');
    for (int k = 0; k < KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k))
            json_str(j, kind_name((enum stage_kind_id)k));
    json_close(j, ']');
    json_close(j, '}');
    json_close(j, '}');
    json_key(j, "allOf");
    json_open(j, '[');
    if (whole)
        reference(j, "stage");
    for (int k = 0; k < KIND_COUNT; k++) {
        if (!kind_is_word((enum stage_kind_id)k))
            continue;
        json_open(j, '{');
        if_kind(j, kind_name((enum stage_kind_id)k));
        json_key(j, "then");
        if (!whole) {
            reference(j, kind_name((enum stage_kind_id)k));
        } else {
            json_open(j, '{');
            json_key(j, "required");
            json_open(j, '[');
            for (int i = 0; i < n_fields; i++)
                if (fields[i].kinds >> k & 1 && fields[i].required)
                    json_str(j, fields[i].name);
            json_close(j, ']');
            if (also_required[k]) {
                json_key(j, "allOf");
                json_open(j, '[');
                json_raw(j, also_required[k]);
                json_close(j, ']');
            }
            json_close(j, '}');
        }
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void source_definition(struct json *j, bool whole)
{
    static const char *const forms[] = {"parquet", "jsonl", "text", "world", "mix"};
    json_key(j, whole ? "whole_source" : "source");
    json_open(j, '{');
    key_raw(j, "type", "\"object\"");
    key_raw(j, "additionalProperties", "false");
    json_key(j, "properties");
    json_open(j, '{');
    for (int i = 0; i < n_source_words; i++) {
        json_key(j, source_words[i].name);
        json_open(j, '{');
        json_key(j, "description"), json_str(j, source_words[i].help);
        json_close(j, '}');
    }
    json_close(j, '}');
    if (whole) {
        json_key(j, "oneOf");
        json_open(j, '[');
        for (size_t i = 0; i < countof(forms); i++) {
            json_open(j, '{');
            json_key(j, "required");
            json_open(j, '[');
            json_str(j, forms[i]);
            json_close(j, ']');
            json_close(j, '}');
        }
        json_close(j, ']');
        json_key(j, "allOf");
        json_open(j, '[');
        for (size_t i = 0; i < countof(forms); i++) {
            char definition[32];
            snprintf(definition, sizeof definition, "source_%s", forms[i]);
            json_open(j, '{');
            json_key(j, "if");
            json_open(j, '{');
            json_key(j, "required");
            json_open(j, '[');
            json_str(j, forms[i]);
            json_close(j, ']');
            json_close(j, '}');
            json_key(j, "then"), reference(j, definition);
            json_close(j, '}');
        }
        json_close(j, ']');
    }
    json_close(j, '}');
}

// A map whose keys are names that are no top-level words.
static void named(struct json *j, const char *definition)
{
    json_open(j, '{');
    key_raw(j, "type", "\"object\"");
    json_key(j, "propertyNames");
    json_open(j, '{');
    json_key(j, "pattern"), json_str(j, NAME_PATTERN);
    json_key(j, "not");
    json_open(j, '{');
    json_key(j, "enum");
    json_open(j, '[');
    for (int i = 0; i < n_top_words; i++)
        json_str(j, top_words[i]);
    json_close(j, ']');
    json_close(j, '}');
    json_close(j, '}');
    json_key(j, "additionalProperties"), reference(j, definition);
    json_close(j, '}');
}

static void top_property(struct json *j, const struct word *word)
{
    static const char *const types[][2] = {
        {"retort", "{\"enum\":[1,\"1\"]}"},
        {"name",
         "{\"type\":[\"string\",\"number\"],\"pattern\":\"^([A-Za-z0-9_][A-Za-z0-9_.-]*|.*[$][{].*)$\",\"maxLength\":100}"},
        {"include", "{\"$ref\":\"#/$defs/files\"}"},
        {"nanochat", "{\"anyOf\":[{\"enum\":[2025,2026,\"2025\",\"2026\"]},{\"$ref\":\"#/$defs/variable\"}]}"},
        {"seed", "{\"$ref\":\"#/$defs/count_from_0\"}"},
        {"data", "{\"$ref\":\"#/$defs/text\"}"},
        {"budget", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"usd\":{\"$ref\":\"#/$defs/money\"}}}"},
        {"hardware", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"device\":{\"$ref\":\"#/$defs/text\"},"
                     "\"count\":{\"$ref\":\"#/$defs/count_from_1\"},\"usd_per_hour\":{\"$ref\":\"#/$defs/money\"}}}"},
        {"let", "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"" NAME_PATTERN "\"},"
                "\"additionalProperties\":{\"$ref\":\"#/$defs/value\"}}"},
        {"matrix", "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"" NAME_PATTERN "\"},\"additionalProperties\":"
                   "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/value\"}}}"},
    };
    json_key(j, word->name);
    json_open(j, '{');
    json_key(j, "description"), json_str(j, word->help);
    json_key(j, "allOf");
    json_open(j, '[');
    bool known = false;
    for (size_t i = 0; i < countof(types); i++)
        if (!strcmp(types[i][0], word->name)) {
            json_raw(j, types[i][1]);
            known = true;
        }
    if (!strcmp(word->name, "stages") || !strcmp(word->name, "sources"))
        named(j, strcmp(word->name, "stages") ? "source" : "stage");
    else if (!known)
        json_raw(j, "true");
    json_close(j, ']');
    json_close(j, '}');
}

// The keywords of a whole recipe.
static void recipe_keywords(struct json *j)
{
    json_key(j, "title"), json_str(j, "retort recipe, version 1 of the language");
    key_raw(j, "type", "\"object\"");
    key_raw(j, "required", "[\"retort\"]");
    key_raw(j, "additionalProperties", "false");
    json_key(j, "properties");
    json_open(j, '{');
    for (int i = 0; i < n_top_word_help; i++)
        top_property(j, &top_word_help[i]);
    json_close(j, '}');
    key_raw(j, "if", "{\"not\":{\"required\":[\"include\"]}}");
    key_raw(j, "then",
            "{\"required\":[\"stages\"],\"properties\":{\"stages\":{\"minProperties\":1,\"additionalProperties\":"
            "{\"$ref\":\"#/$defs/whole_stage\"}},\"sources\":{\"additionalProperties\":{\"$ref\":\"#/$defs/whole_source\"}}}}");
    // What a fine-tuning of 2026 has from its pretraining, one of 2025 says itself.
    key_raw(j, "allOf",
            "[{\"if\":{\"not\":{\"required\":[\"include\"]},\"anyOf\":[{\"not\":{\"required\":[\"nanochat\"]}},"
            "{\"properties\":{\"nanochat\":{\"enum\":[2025,\"2025\"]}}}]},"
            "\"then\":{\"properties\":{\"stages\":{\"additionalProperties\":{\"if\":{\"required\":[\"kind\"],"
            "\"properties\":{\"kind\":{\"const\":\"finetune\"}}},\"then\":{\"anyOf\":[{\"required\":[\"batch_tokens\"]},"
            "{\"required\":[\"rows\"]},{\"required\":[\"preset\"]}]}}}}}}]");
}

// Those of a stage of that kind.
static void stage_keywords(struct json *j, enum stage_kind_id kind)
{
    json_key(j, "title"), json_str(j, kind_name(kind));
    json_key(j, "properties");
    json_open(j, '{');
    json_key(j, "kind");
    json_open(j, '{');
    json_key(j, "const"), json_str(j, kind_name(kind));
    json_close(j, '}');
    json_close(j, '}');
    json_key(j, "$ref"), json_str(j, "#/$defs/whole_stage");
}

void schema_to_json(struct json *j, enum stage_kind_id kind, struct arena *arena)
{
    json_key(j, "$schema"), json_str(j, "https://json-schema.org/draft/2020-12/schema");
    if (kind == KIND_COUNT)
        recipe_keywords(j);
    else
        stage_keywords(j, kind);
    json_key(j, "$defs");
    json_open(j, '{');
    for (size_t i = 0; i < countof(definitions); i++)
        key_raw(j, definitions[i][0], definitions[i][1]);
    for (int k = 0; k < KIND_COUNT; k++)
        if (kind_is_word((enum stage_kind_id)k))
            kind_definition(j, (enum stage_kind_id)k, arena);
    for (int whole = 0; whole < 2; whole++) {
        stage_definition(j, whole);
        source_definition(j, whole);
    }
    json_close(j, '}');
}
