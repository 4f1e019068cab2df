// test_hf_config.c - config.json of transformers as a shape, and back; what would be another model is refused by name.
#include "tests/unit/folder.h"

#include <sys/stat.h>

#include "core/model/hf_config.h"
#include "core/store/atomic.h"

#define SIZES "\"vocab_size\":400,\"hidden_size\":48,\"intermediate_size\":100,\"num_hidden_layers\":3,\"num_attention_heads\":4"
#define NANOCHAT "{\"model_type\":\"nanochat\"," SIZES

static struct error *read_text(const char *text, struct shape *shape)
{
    static struct arena arena; // of tests alone
    mkdir("m", 0777);
    assert_good(atomic_write("m/config.json", text, strlen(text)));
    struct error *e = hf_config_read("m", shape, &arena);
    if (e)
        arena_release(&arena);
    return e;
}

static void defaults_and_older_keys(void **state)
{
    (void)state;
    struct shape s;
    assert_good(read_text(NANOCHAT "}", &s));
    assert_int_equal(s.n_kv_head, 4);
    assert_int_equal(s.head_dim, 12);
    assert_int_equal(s.seq_len, 2048);
    assert_int_equal(s.n_mlp, 100);
    assert_true(s.norm_eps == 1e-6 && s.rope_base == 10000 && s.softcap == 15);
    assert_good(read_text(NANOCHAT
                          ",\"num_key_value_heads\":null,\"rope_theta\":500000.0,\"logits_soft_cap\":null,"
                          "\"rope_scaling\":null,\"qkv_bias\":false,\"attention_dropout\":0.0,\"torch_dtype\":\"bfloat16\"}",
                          &s));
    assert_true(s.rope_base == 500000 && s.softcap == 0 && s.n_kv_head == 4);
    assert_good(read_text(NANOCHAT ",\"num_key_value_heads\":2,\"head_dim\":20,\"rms_norm_eps\":1e-5,\"rope_parameters\":"
                                   "{\"rope_type\":\"default\",\"rope_theta\":1000},\"final_logit_softcapping\":30,"
                                   "\"architectures\":[\"NanoChatForCausalLM\"],\"max_position_embeddings\":77}",
                          &s));
    assert_true(s.rope_base == 1000 && s.softcap == 30 && s.norm_eps == 1e-5);
    assert_int_equal(s.n_kv_head, 2);
    assert_int_equal(s.head_dim, 20);
    assert_int_equal(s.seq_len, 77);
    // A member that is null is as one that is not there.
    assert_good(
        read_text(NANOCHAT ",\"rope_theta\":5000,\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":null}}", &s));
    assert_true(s.rope_base == 5000);
    assert_good(read_text(NANOCHAT ",\"rope_theta\":5000,\"rope_parameters\":{\"rope_type\":null,\"type\":null,\"factor\":null,"
                                   "\"partial_rotary_factor\":1.0,\"rope_theta\":7000}}",
                          &s));
    assert_true(s.rope_base == 7000);
    assert_good(read_text(NANOCHAT ",\"rope_parameters\":{\"rope_theta\":null}}", &s));
    assert_true(s.rope_base == 10000);
    // The shape of a tied model is that of any other.
    struct arena arena = {0};
    bool tied = true;
    assert_good(hf_config_tied("m", &tied, &arena));
    assert_false(tied);
    assert_good(read_text(NANOCHAT ",\"tie_word_embeddings\":null}", &s));
    assert_good(read_text(NANOCHAT ",\"tie_word_embeddings\":true}", &s));
    assert_good(hf_config_tied("m", &tied, &arena));
    assert_true(tied);
    arena_release(&arena);
}

static void others_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } bad[] = {
        {"[]", "is no object"},
        {"{", "is no JSON"},
        {"{" SIZES "}", "has no model_type"},
        {"{\"model_type\":\"llama\"," SIZES "}", "has model_type \"llama\""},
        {NANOCHAT ",\"model_type\":\"nanochat\"}", "is no JSON: duplicate"},
        {NANOCHAT ",\"architectures\":[\"LlamaForCausalLM\"]}", "architectures [\"LlamaForCausalLM\"]"},
        {NANOCHAT ",\"hidden_act\":\"silu\"}", "hidden_act \"silu\""},
        {NANOCHAT ",\"attention_bias\":true}", "attention_bias true"},
        {NANOCHAT ",\"qkv_bias\":true}", "qkv_bias true"},
        {NANOCHAT ",\"tie_word_embeddings\":1}", "tie_word_embeddings 1"},
        {NANOCHAT ",\"attention_dropout\":0.1}", "attention_dropout 0.1"},
        {NANOCHAT ",\"quantization_config\":{\"bits\":4}}", "quantization_config {\"bits\":4}"},
        {NANOCHAT ",\"sliding_window\":128}", "sliding_window 128"},
        {NANOCHAT ",\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", "full_attention alone"},
        {NANOCHAT ",\"rope_parameters\":{\"rope_type\":\"yarn\"}}", "rope_type \"yarn\""},
        {NANOCHAT ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "rope_type \"linear\""},
        {NANOCHAT ",\"rope_parameters\":[1]}", "an object is needed"},
        {NANOCHAT ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}}", "partial_rotary_factor 0.5"},
        {NANOCHAT ",\"rope_parameters\":{\"full_attention\":{\"rope_theta\":100000}}}", "full_attention {\"rope_theta\":100000}"},
        {NANOCHAT ",\"rope_scaling\":{\"rope_type\":\"default\",\"factor\":2}}", "factor 2"},
        {NANOCHAT ",\"rope_parameters\":{\"rope_theta\":[]},\"rope_theta\":5000}", "rope_theta []"},
        {NANOCHAT ",\"rope_theta\":\"x\"}", "rope_theta \"x\""},
        {NANOCHAT ",\"rms_norm_eps\":0}", "rms_norm_eps 0"},
        {NANOCHAT ",\"final_logit_softcapping\":-15}", "final_logit_softcapping -15"},
        {NANOCHAT ",\"head_dim\":2.5}", "head_dim 2.5"},
        {NANOCHAT ",\"num_key_value_heads\":99999999999}", "num_key_value_heads 99999999999"},
        {NANOCHAT ",\"num_key_value_heads\":3}", "4 heads, 3 key-value heads"},
        {NANOCHAT ",\"head_dim\":15}", "head size 15"},
        {NANOCHAT ",\"max_position_embeddings\":2000000000}", "seq_len of the model is 2000000000"},
        {"{\"model_type\":\"nanochat\",\"vocab_size\":400}", "has no hidden_size"},
        {"{\"model_type\":\"nanochat\",\"vocab_size\":400,\"hidden_size\":50,\"intermediate_size\":100,\"num_hidden_layers\":3,"
         "\"num_attention_heads\":4}",
         "is no multiple"},
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct shape s;
        assert_error(read_text(bad[i].text, &s), ERROR_DATA, bad[i].what);
    }
    struct arena arena = {0};
    struct shape s;
    assert_error(hf_config_read("nowhere", &s, &arena), ERROR_DATA, "cannot open 'nowhere/config.json'");
    arena_release(&arena);
}

static void shapes_go_out_and_in(void **state)
{
    (void)state;
    struct shape s, back;
    struct json j = {0};
    assert_good(shape_from_depth(&s, 4, 300, 96));
    s.head_dim = 20, s.n_kv_head = 1, s.norm_eps = 0x1.8p-20, s.rope_base = 12345.678, s.softcap = 0, s.n_vocab_padded = 320;
    assert_good(hf_config_write(&s, (struct hf_tokens){291, -1}, &j));
    assert_good(read_text(json_text(&j), &back));
    back.n_vocab = 300; // as the tokenizer has it
    assert_memory_equal(&s, &back, sizeof s);
    json_release(&j);
    s.window_short = 32, s.window_pattern = 2;
    assert_error(hf_config_write(&s, (struct hf_tokens){0, 1}, &j), ERROR_NOT_BUILT, "the model has windows");
    json_release(&j);
    hf_generation_write(&s, (struct hf_tokens){291, 295}, &j);
    assert_non_null(strstr(json_text(&j), "\"eos_token_id\":[295,291],\"pad_token_id\":295,\"suppress_tokens\":[300,301,"));
    json_release(&j);
}

static void files_of_a_folder(void **state)
{
    (void)state;
    const char *const *names;
    int n, first;
    struct arena arena = {0};
    mkdir("f", 0777);
    assert_false(hf_is_model("f"));
    assert_good(atomic_write("f/config.json", "{}", 2));
    assert_true(hf_is_model("f"));
    assert_false(hf_is_model("f/config.json"));
    assert_string_equal(hf_tokenizer_path("f", &arena), "f/tokenizer.json");
    assert_string_equal(hf_tokenizer_path("f/config.json", &arena), "f/config.json");
    assert_good(hf_folder_files("f", &arena, &names, &n, &first));
    assert_int_equal(n, 3);
    assert_string_equal(names[2], "model.safetensors");
    static const struct {
        const char *text, *what;
    } bad[] = {{"{}", "has no weight_map"},
               {"{\"weight_map\":{\"a\":1}}", "puts tensor 'a' into no .safetensors file"},
               {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "puts tensor 'a' into no"},
               {"{\"weight_map\":{\"a\":\"/x.safetensors\"}}", "puts tensor 'a' into no"},
               {"{\"weight_map\":{\"a\":\".safetensors\"}}", "puts tensor 'a' into no"},
               {"{\"weight_map\":{\"a\":\"x.bin\"}}", "puts tensor 'a' into no"},
               {"nothing", "is no JSON"}};
    for (size_t i = 0; i < countof(bad); i++) {
        assert_good(atomic_write("f/model.safetensors.index.json", bad[i].text, strlen(bad[i].text)));
        assert_error(hf_folder_files("f", &arena, &names, &n, &first), ERROR_DATA, bad[i].what);
    }
    const char *index = "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"}}";
    assert_good(atomic_write("f/model.safetensors.index.json", index, strlen(index)));
    assert_good(hf_folder_files("f", &arena, &names, &n, &first));
    assert_int_equal(n, 5);
    assert_int_equal(first, 3);
    assert_good(atomic_write("f/model.safetensors", "", 0)); // goes before, as in transformers
    assert_good(hf_folder_files("f", &arena, &names, &n, &first));
    assert_int_equal(n, 3);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_older_keys),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(shapes_go_out_and_in),
        cmocka_unit_test(files_of_a_folder),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
