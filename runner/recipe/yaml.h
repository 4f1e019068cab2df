// yaml.h - a YAML file as a tree with marks: libyaml's events, checked as they come.
//
//     struct node *root;
//     e = yaml_read("recipes/tiny.yaml", arena, &root);
//     const struct node *name = node_get(root, "name");
//
// Accepts    one document of maps, lists and scalars; a BOM and CRLF are fine
// Refuses    with place and remedy: duplicate keys, anchors, aliases, tags, merge keys, directives, several documents, invalid UTF-8,
//            tabs as indentation, keys that are not plain scalars, an unquoted {00..09} pattern or ${x} in flow style
// Limits     a file of 4 MiB, nesting of 64, 100,000 nodes; 100 errors, the rest are counted
// Places     columns and widths count characters, not bytes
// Ownership  the tree and all its text live in the arena
#ifndef RUNNER_RECIPE_YAML_H
#define RUNNER_RECIPE_YAML_H

#include "core/base/error.h"

#include <stdbool.h>

struct cell;

enum { YAML_MOST_BYTES = 4 << 20 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct place at;       // of the value (for a list or map: where it begins)
    const char *key;       // in a map: its key; else NULL
    struct place key_at;   // of the key
    const char *text;      // NODE_SCALAR: its text as written, unquoted
    bool quoted;           // NODE_SCALAR: written in quotes
    struct node *first;    // NODE_LIST, NODE_MAP: children in order
    struct node *next;     // sibling
    int n;                 // children
    int by;                // the layer of recipe.h: 0 the recipe, BY_INCLUDE, BY_SETTING
    int variable;          // BY_LET, BY_MATRIX: the whole of its text stood for a ${x}; else 0
    struct node *replaced; // by -s: what stood here before; else NULL
    const char *folder;    // what a relative file name in it is relative to: NULL the folder of at.file, "" the working directory
    const struct cell *cell; // of a stage or source: the cell of the matrix that it stands for (matrix.h), or NULL
};

// The whole of a regular file of at most 4 MiB, zero-terminated, in the arena. ERROR_RECIPE without place.
struct error *CHECKED yaml_load(const char *path, struct arena *arena, char **text, size_t *n_bytes);

// On errors that leave the tree whole (a duplicate key, an alias), *root is set beside them, so that a reader can report its own
// errors too; else it is NULL. An empty file is an error.
struct error *CHECKED yaml_read(const char *path, struct arena *arena, struct node **root);

// The same from memory; name stands for the file in places.
struct error *CHECKED yaml_parse(const char *name, const char *text, size_t n_bytes, struct arena *arena, struct node **root);

// The child of a map with that key, or NULL.
struct node *node_get(const struct node *map, const char *key);

#endif
