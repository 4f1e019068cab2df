// model_file.h - a model in a result file: /model with the shape as attributes, and one dataset a parameter; /optim beside it.
//
// Layout  /model attributes: n_layer n_embd n_head n_kv_head head_dim n_mlp n_vocab n_vocab_padded seq_len (i64), norm_eps rope_base
//         softcap (f64), and the 2026 switches by their names in struct shape (i64; qk_scale f64), 0 for off
//         /model/NAME float32 [rows, cols], NAME being the reference's without ".weight"
//         /optim/NAME.m, .v (AdamW) and .momentum (Muon), float32 [rows, cols]; .v2 (Muon of 2026) [rows, 1] or [1, cols]
//         /optim attribute updates (i64): that made them, those of a training before this one among them
// Errors  ERROR_DATA for a file whose shape is impossible or whose tensors have other sizes
#ifndef CORE_MODEL_MODEL_FILE_H
#define CORE_MODEL_MODEL_FILE_H

#include "core/model/model.h"
#include "core/store/store.h"

enum { MODEL_ATTRIBUTES = 20 };

// Fills in attributes of "/model"; returns how many.
int model_file_attributes(const struct shape *shape, struct store_attribute attributes[MODEL_ATTRIBUTES]);

// One dataset a tensor, copied from the device into blocks: free each data with model_file_release.
struct error *CHECKED model_file_sets(const struct model *model, struct arena *arena, struct store_set *sets);
struct error *CHECKED model_file_set(struct device *dev, struct tensor tensor, const char *path, struct store_set *set);
void model_file_release(struct store_set *sets, int n_sets);

struct error *CHECKED model_file_shape(struct store_file *file, struct shape *shape);

// Fills the parameters of an open model of that shape.
struct error *CHECKED model_file_load(struct store_file *file, struct model *model);
struct error *CHECKED model_file_load_tensor(struct store_file *file, struct device *dev, const char *path, struct tensor tensor);

#endif
