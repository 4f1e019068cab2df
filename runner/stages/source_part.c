// source_part.c - what every stage does before it reads a part.
#include "runner/stages/source_part.h"

#include <jansson.h>
#include <string.h>

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

struct error *source_identities(struct identities **ids, const struct job *job, struct arena *arena)
{
    const char *cache = arena_printf(arena, "%s/identity.tsv", job->results);
    return cache ? identities_open(ids, cache, arena) : error_memory();
}

struct error *source_part_check(const struct job_part *part, struct identities *ids)
{
    char now[SHA256_HEX];
    json_t *identity = json_loads(part->identity, 0, NULL);
    const char *then = json_string_value(json_object_get(identity, "sha256"));
    struct error *e = then ? identities_get(ids, part->part.path, now) : NULL;
    if (!e && then && strcmp(now, then))
        e = error_new(ERROR_DATA, NOWHERE, "run again, when nothing writes to it",
                      "'%s' was changed after the run was planned: its SHA-256 is %.16s..., and was %.16s...", part->part.path,
                      now, then);
    json_decref(identity);
    return e;
}
