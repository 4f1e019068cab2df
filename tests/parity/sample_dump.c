// sample_dump.c - the sample texts as JSON lines, for test_samples.py: {"name","text","gpt2","gpt4"}.
#include "core/base/json.h"
#include "core/text/sample_texts.h"

#include <stdio.h>

int main(void)
{
    for (int i = 0; i < SAMPLE_TEXTS; i++) {
        struct json j = {0};
        json_open(&j, '{');
        json_key(&j, "name"), json_str(&j, sample_texts[i].name);
        json_key(&j, "text"), json_str(&j, sample_texts[i].text);
        json_key(&j, "gpt2"), json_i64(&j, sample_texts[i].gpt2);
        json_key(&j, "gpt4"), json_i64(&j, sample_texts[i].gpt4);
        json_close(&j, '}');
        puts(json_text(&j) ? j.text : "");
        json_release(&j);
    }
    return 0;
}
