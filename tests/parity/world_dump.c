// world_dump.c - prints a world's documents: world_dump WORLD.yaml SEED FIRST N [held_out], an empty line behind each; or, with
// the name of a list behind (world_dump WORLD.yaml SEED FIRST N kept quiz), its records, field: text.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/recipe/world_file.h"

static int report(struct error *e)
{
    for (const struct error *each = e; each; each = each->next)
        fprintf(stderr, "%s:%d:%d: %s\n", each->at.file ? each->at.file : "", each->at.line, each->at.column, each->what);
    error_free(e);
    return 1;
}

static struct error *print_record(const struct world *world, const char *list, uint64_t seed, int64_t i, bool held_out)
{
    struct world_record record;
    struct error *e = world_record(world, list, seed, i, held_out, &record);
    if (e)
        return e;
    const char *s = record.text;
    for (int k = 0; k < record.template->n_fields; k++)
        for (int j = 0; j < record.template->fields[k].n_texts; j++, s += strlen(s) + 1)
            printf("%s: %s\n", record.template->fields[k].name, s);
    putchar('\n');
    block_free(record.text);
    return NULL;
}

int main(int n_args, char **args)
{
    if (n_args < 5)
        return 2;
    struct arena arena = {0};
    struct world world;
    struct error *e = world_file_read(args[1], &arena, &world);
    bool held_out = n_args > 5 && strcmp(args[5], "held_out") == 0;
    int64_t first = atoll(args[3]), n = atoll(args[4]);
    for (int64_t i = first; !e && i < first + n; i++) {
        char *text;
        size_t n_bytes;
        if (n_args > 6) {
            e = print_record(&world, args[6], strtoull(args[2], NULL, 10), i, held_out);
            continue;
        }
        if ((e = world_write(&world, strtoull(args[2], NULL, 10), i, held_out, &text, &n_bytes)))
            break;
        fwrite(text, 1, n_bytes, stdout);
        fputs("\n\n", stdout);
        block_free(text);
    }
    int status = e ? report(e) : 0;
    arena_release(&arena);
    return status;
}
