// hf_config.h - the folder in which Hugging Face's `transformers` keeps a NanoChat model: its files, and the shape in config.json.
//
//     if (hf_is_model("d20-hf")) ...                                   // a folder with a config.json
//     e = hf_config_read("d20-hf", &shape, arena);
//     e = hf_folder_files("d20-hf", arena, &names, &n_names);          // config.json, tokenizer.json, model.safetensors
//     e = hf_config_write(&shape, ids, &json);
//
// Layout     config.json; tokenizer.json (core/text/tokenizer_hf.h); model.safetensors, or, in its place, model.safetensors.index.json with
//            weight_map {tensor: file} and the files that it names (hf_weights.h)
// Config     vocab_size, hidden_size, intermediate_size, num_hidden_layers and num_attention_heads must be there; num_key_value_heads,
//            head_dim, max_position_embeddings (2048), rms_norm_eps (1e-6), rope_theta or rope_parameters (10000) and
//            final_logit_softcapping or logits_soft_cap (15; null: none) may. What would make another model of it is refused by name;
//            what does not touch it (dtype, use_cache, initializer_range, ...) is not looked at
// Tied       with tie_word_embeddings the weights may lack lm_head: it is then the embedding, from where on the two are apart
// Vocabulary vocab_size is the number of rows, n_vocab_padded; n_vocab is the same here, and smaller only where the tokenizer is
// Writing    the shapes of 2025 alone: NanoChat has none of the switches of 2026 (ERROR_NOT_BUILT names the first)
// Errors     ERROR_DATA naming the file, the key and the value
// Source     transformers 5.24, NanoChatConfig and NanoChatForCausalLM
#ifndef CORE_MODEL_HF_CONFIG_H
#define CORE_MODEL_HF_CONFIG_H

#include "core/base/json.h"
#include "core/model/shape.h"

bool hf_is_model(const char *path);

// The file of the tokenizer: that of a folder, or the file itself. In the arena; NULL when memory runs out.
const char *hf_tokenizer_path(const char *path, struct arena *arena);

// Names of the files that a model is read from, in the folder; in the arena. Those of weights come last, from *first_weights on.
// What must be there is named whether it is or not.
struct error *CHECKED hf_folder_files(const char *folder, struct arena *arena, const char *const **names, int *n_names,
                                      int *first_weights);

// A model.safetensors.index.json as jansson has it; the caller's to json_decref.
struct json_t;
struct error *CHECKED hf_index_read(const char *path, struct arena *arena, struct json_t **root);

struct error *CHECKED hf_config_read(const char *folder, struct shape *shape, struct arena *arena);

// Whether config.json says that lm_head is the embedding (tie_word_embeddings).
struct error *CHECKED hf_config_tied(const char *folder, bool *tied, struct arena *arena);

// Ids of the tokens that config.json names; -1: there is none.
struct hf_tokens {
    int32_t bos, end; // <|bos|>, <|assistant_end|>
};

struct error *CHECKED hf_config_write(const struct shape *shape, struct hf_tokens tokens, struct json *json);

// generation_config.json: a text ends at `end` or, as the reference's engine has it, at bos; rows of padding, which stand for no
// token, are never sampled.
void hf_generation_write(const struct shape *shape, struct hf_tokens tokens, struct json *json);

#endif
