// kinds.c - the table of what runs; fields.h has what each kind is asked, and which are built.
#include "runner/stages/stage.h"

struct error *(*stage_run(enum stage_kind_id kind))(struct stage *)
{
    static struct error *(*const run[KIND_COUNT])(struct stage *) = {
        [KIND_TOKENIZER] = stage_tokenizer, [KIND_TOKENS] = stage_tokens,     [KIND_ROWS] = stage_rows,
        [KIND_PRETRAIN] = stage_pretrain,   [KIND_FINETUNE] = stage_finetune, [KIND_GRPO] = stage_grpo,
        [KIND_EVAL] = stage_eval,           [KIND_IMPORT] = stage_import};
    return kind >= 0 && kind < KIND_COUNT ? run[kind] : NULL;
}
