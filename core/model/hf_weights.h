// hf_weights.h - the weights of a folder of hf_config.h as parameters of a model, and back.
//
//     struct hf_weights w;
//     e = hf_weights_open(&w, "d20-hf", arena);                 // every header is checked
//     e = hf_weights_sets(&w, &shape, arena, &sets, &n_sets);   // datasets under /model of a result
//     ... store_save ...
//     hf_weights_close(&w);
//
//     e = hf_weights_write(file, &shape, "d20-hf.tmp/model.safetensors", arena, &n_bytes);
//
// Names      parameters of model.h and tensors: transformer.wte is model.embed_tokens.weight; transformer.h.3.attn.c_q, c_k, c_v, c_proj
//            are model.layers.3.self_attn.q_proj, k_proj, v_proj, o_proj.weight; mlp.c_fc, c_proj are mlp.fc1, fc2.weight; lm_head is
//            lm_head.weight. Shapes and the order of numbers are the same
// Exact      float32 goes in and out as it is; bfloat16 and float16 become the float32 numbers that they are. What hf_weights_write
//            writes and hf_weights_sets reads again has the same bits, whichever precision the model computes in
// Strict     each parameter must be there once, with the size that the shape asks for, and nothing else may be (but for
//            rotary_emb.inv_freq of older versions, which follow from the config); of an index every line must be true.
//            lm_head may be missing where the config ties it to the embedding, whose numbers it then has
// Ownership  sets of float32 borrow from the mapped files, others own blocks: until hf_weights_close
// Errors     ERROR_DATA naming file, tensor and reason; ERROR_STOPPED; those of writing
#ifndef CORE_MODEL_HF_WEIGHTS_H
#define CORE_MODEL_HF_WEIGHTS_H

#include "core/model/safetensors.h"
#include "core/model/shape.h"
#include "core/store/store.h"

struct hf_weights {
    struct safetensors *files;
    int n_files;
    bool tied;      // lm_head may be the embedding
    float **blocks; // of tensors that were widened
    int n_blocks;
};

struct error *CHECKED hf_weights_open(struct hf_weights *w, const char *folder, struct arena *arena);
struct error *CHECKED hf_weights_sets(struct hf_weights *w, const struct shape *shape, struct arena *arena,
                                      struct store_set **sets, int *n_sets);
void hf_weights_close(struct hf_weights *w);

struct error *CHECKED hf_weights_write(struct store_file *file, const struct shape *shape, const char *path, struct arena *arena,
                                       int64_t *n_bytes);

#endif
