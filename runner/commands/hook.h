// hook.h - `on_end:` and `on_fail:` of a recipe: a command for sh when a run is over, with the run as JSON on its standard input.
//
//     hook_run(&recipe, &record, &mirror);
//
// Which   on_end after exit status 0, on_fail after 1 and 3; none of a run that was stopped (75), which goes on when it is run again, and
//         none where no run began: a recipe with an error, nothing to do. Once a run; a runner that is killed starts none
// Input   {"retort":1,"name":,"run":,"state":,"exit_status":,"started":,"ended":,"seconds":,"usd":,"host":,"recipe":,"record":,
//         "stages":[{"name","kind","key","state","seconds","usd","error"}],"mirror":{…} or null}; no settings, no environment, no text of the
//         recipe, in which secrets could stand
// Time    RETORT_HOOK_SECONDS, 120; then, or at Ctrl-C, it and what it started get SIGTERM, and two seconds later SIGKILL
// Output  is the run's standard error. How it ends is at most a warning there: the run's own exit status stays
#ifndef RUNNER_COMMANDS_HOOK_H
#define RUNNER_COMMANDS_HOOK_H

#include "runner/graph/mirror.h"

void hook_run(const struct recipe *recipe, const struct run *record, const struct mirror_state *mirror);

#endif
