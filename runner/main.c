// main.c - from the command line to a command, and from what it returns to the exit status.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/lost.h"
#include "runner/commands/command.h"
#include "runner/commands/mirror.h"
#include "runner/graph/launch.h"
#include "runner/recipe/reader.h"
#include "runner/view/errors.h"
#include "runner/view/progress.h"

// The word in front of the arguments; options alone mean help or version.
static struct error *find_command(struct call *call, const char *word)
{
    const char *names[64];
    int n = 0;
    call->command = command_find("help");
    if (!word || !strcmp(word, "--help") || !strcmp(word, "-h"))
        return NULL;
    if (!strcmp(word, "--version"))
        word = "version";
    const struct command *found = command_find(word);
    if (found) {
        call->command = found;
        return NULL;
    }
    for (int i = 0; i < n_commands; i++)
        names[n++] = commands[i].name;
    const char *near = nearest_name(word, names, n);
    const char *fix = near ? arena_printf(call->arena, "did you mean '%s'?", near) : "`retort help` lists the commands";
    return error_new(ERROR_USAGE, NOWHERE, fix, "unknown command '%s'", word);
}

static struct error *dispatch(struct call *call, int argc, char **argv)
{
    struct error *e = find_command(call, argc > 1 ? argv[1] : NULL);
    if (!e)
        e = options_read(call, argc > 1 ? argc - 1 : argc, argc > 1 ? argv + 1 : argv);
    if (e)
        return e;
    if (call->help)
        return command_help(call);
    if (!call->command->run)
        return error_new(ERROR_NOT_BUILT, NOWHERE, "`retort help` lists what is", "'%s' is not built in this version",
                         call->command->name);
    if (call->command->takes & COMPUTES && launch_waiting())
        execv("/proc/self/exe", argv); // where that fails it computes all the same
    return call->command->run(call);
}

static void report(const struct call *call, const struct error *e)
{
    const char *no_colour = getenv("NO_COLOR");
    struct json j;
    fflush(stdout);
    if (!call->json) {
        bool terminal = isatty(STDERR_FILENO);
        errors_print(stderr, e, terminal ? progress_width(stderr) : 0, terminal && !(no_colour && no_colour[0]));
        return;
    }
    answer_open(&j, call, e);
    struct error *again = answer_print(&j);
    if (again)
        errors_print(stderr, e, 0, false);
    error_free(again);
}

static void report_lost(void *self, struct error *e)
{
    report(self, e);
    fflush(NULL);
}

// Who starts us may have closed them; what we open must not get their numbers.
static void open_standard_files(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    close(fd);
}

int main(int argc, char **argv)
{
    open_standard_files();
    if (argc > 1 && !strcmp(argv[1], "_stage"))
        return stage_process(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "_mirror"))
        return mirror_process();
    struct arena arena = {0};
    struct call call = {.arena = &arena};
    lost_on_signal(report_lost, &call);
    struct error *e = dispatch(&call, argc, argv);
    int status = e ? error_exit_status(e) : call.status;
    if (e)
        report(&call, e);
    error_free(e);
    arena_release(&arena);
    if (fflush(stdout) || ferror(stdout))
        status = status ? status : 1;
    return status;
}
