// source_part.c - what every stage does before it reads a part.
#include "runner/stages/source_part.h"

#include "runner/recipe/world_file.h"

struct error *source_part_open(struct source_part *part, const struct document_part *from, struct arena *arena)
{
    *part = (struct source_part){.documents = *from, .skips = {.most = from->skip_bad}};
    part->documents.skips = &part->skips;
    if (from->form != DOCUMENT_WORLD)
        return NULL;
    part->documents.world = &part->world;
    return world_file_read(from->path, arena, &part->world);
}

void source_part_close(struct source_part *part)
{
    skips_release(&part->skips);
}
