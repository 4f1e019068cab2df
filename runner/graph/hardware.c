// hardware.c - makers give peaks with sparsity, which no training uses: half of those stands here. Bandwidth and memory are decimal.
#include "runner/graph/hardware.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char reached_h100[] = "nanochat's public report cards on 8 H100, October to December 2025: 47.4 to 48.7 %";
static const char as_h100[] = "assumed as on H100: no published run of this training on it";

const struct hardware hardware_table[] = {
    {"H100-80GB", 989.4e12, 494.7e12, 66.9e12, 3.35e12, 80e9, "NVIDIA H100 Tensor Core GPU data sheet, SXM5, 2023", 0.48,
     reached_h100},
    {"H200", 989.4e12, 494.7e12, 66.9e12, 4.8e12, 141e9, "NVIDIA H200 Tensor Core GPU data sheet, SXM, 2024", 0.48, as_h100},
    {"A100-80GB", 312e12, 156e12, 19.5e12, 2.039e12, 80e9, "NVIDIA A100 Tensor Core GPU data sheet, SXM4 80 GB, 2021", 0.48,
     as_h100},
    {"A100-40GB", 312e12, 156e12, 19.5e12, 1.555e12, 40e9, "NVIDIA A100 Tensor Core GPU data sheet, SXM4 40 GB, 2020", 0.48,
     as_h100},
    {"L40S", 362.05e12, 183e12, 91.6e12, 0.864e12, 48e9, "NVIDIA L40S data sheet, 2023", 0.48, as_h100},
    {"RTX-4090", 165.2e12, 82.6e12, 82.6e12, 1.008e12, 24e9, "NVIDIA Ada GPU architecture white paper, appendix A, 2023", 0.48,
     as_h100},
    {"RTX-3090", 71e12, 35.6e12, 35.6e12, 0.936e12, 24e9, "NVIDIA Ampere GA102 white paper, appendix A, 2021", 0.48, as_h100},
    {"cpu", 0, 0, 0, 0, 0, "this machine, as `retort bench machine` measures it", 0, NULL},
};
const int n_hardware = (int)countof(hardware_table);

// The next character that counts, in lower case; 0 at the end.
static int next(const char **text)
{
    while (**text == ' ' || **text == '-' || **text == '_')
        ++*text;
    return **text ? tolower((unsigned char)*(*text)++) : 0;
}

static bool is_named(const struct hardware *h, const char *name)
{
    const char *a = h->name;
    int c;
    while ((c = next(&a)) == next(&name))
        if (!c)
            return true;
    return false;
}

bool hardware_is_here(const struct hardware *h)
{
    return h->mfu == 0;
}

struct error *hardware_of(const struct hardware **hardware, const struct recipe *recipe)
{
    char names[256] = "take one of ";
    for (int i = 0; i < n_hardware; i++) {
        const struct hardware *h = *hardware = &hardware_table[i];
        if (is_named(h, recipe->device ? recipe->device : "cpu"))
            return NULL;
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", h->name);
    }
    return error_new(ERROR_RECIPE, recipe->device_at.file ? recipe->device_at : (struct place){.file = recipe->path}, names,
                     "nothing is known of the device '%.80s'", recipe->device);
}
