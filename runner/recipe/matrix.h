// matrix.h - `matrix: {depth: [4, 6]}`: stages that use ${depth}, and what depends on them, once for each value.
//
//     matrix_apply(r);          // stages and sources of the tree are multiplied: base@depth=4, base@depth=6
//     values_resolve(r);        // ${depth} of a copy is the value of its cell
//
// Only the axes count that an entry uses: by ${depth} in it, by a let made of it, or by naming an entry that multiplies; such names
// lead to the copy of the same cell. An evaluation of a list of models becomes one of each model in each of that model's cells,
// chat_eval@mid@depth=4. Names of cells can be written where names of stages are: {model: base@depth=4}.
//
// Limits     1,000 cells, counted over all axes; 200,000 values in what is copied
// For recipe.c and its parts only.
#ifndef RUNNER_RECIPE_MATRIX_H
#define RUNNER_RECIPE_MATRIX_H

#include "runner/recipe/reader.h"

enum { MOST_AXES = 32, MOST_CELLS = 1000, VARIABLE_TEXT = 100 };

struct axis {
    const char *name;
    struct node **values;
    int n;
};

// What a copy stands for. Its values are one an axis, NULL for axes that it does not use.
struct cell {
    const char *base;           // the name of the entry as written
    struct node *const *values; // [n_axes]
};

struct matrix {
    struct axis axes[MOST_AXES];
    int n_axes;
    const struct node **lets; // sorted by key
    uint32_t *let_uses;       // the axes that each is made of, a bit each
    int n_lets;
};

// The axis of that name, or -1.
int matrix_axis(const struct matrix *m, const char *name);

// The name of the next ${name} of a text, which it goes on behind, "" where it is too long to be one; false: there is none.
bool next_variable(const char **text, char name[VARIABLE_TEXT]);

// The axes that the ${...} of a text stand for, directly or through lets.
uint32_t matrix_uses(const struct matrix *m, const char *text);

#endif
