// yaml.h - a YAML file as a tree with marks: libyaml's events, checked as they come.
//
//     struct node *root;
//     e = yaml_read("recipes/tiny.yaml", arena, &root);
//     const struct node *name = node_get(root, "name");
//
// Accepts    one document of maps, lists and scalars; a BOM and CRLF are fine
// Refuses    with place and remedy: duplicate keys, anchors, aliases, tags, several documents, invalid UTF-8, tabs as indentation,
//            keys that are not plain scalars, an unquoted {00..09} pattern in flow style
// Limits     a file of 4 MiB, nesting of 64, 100,000 nodes
// Ownership  the tree and all its text live in the arena
#ifndef RUNNER_RECIPE_YAML_H
#define RUNNER_RECIPE_YAML_H

#include "core/base/error.h"

#include <stdbool.h>

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct place at;     // of the value (for a list or map: where it begins)
    const char *key;     // in a map: its key; else NULL
    struct place key_at; // of the key
    const char *text;    // NODE_SCALAR: its text as written, unquoted
    bool quoted;         // NODE_SCALAR: written in quotes
    struct node *first;  // NODE_LIST, NODE_MAP: children in order
    struct node *next;   // sibling
    int n;               // children
};

struct error *CHECKED yaml_read(const char *path, struct arena *arena, struct node **root);

// The same from memory; name stands for the file in places.
struct error *CHECKED yaml_parse(const char *name, const char *text, size_t n_bytes, struct arena *arena, struct node **root);

// The child of a map with that key, or NULL.
struct node *node_get(const struct node *map, const char *key);

#endif
