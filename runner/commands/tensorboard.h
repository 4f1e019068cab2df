// tensorboard.h - numbers over steps in the event files that TensorBoard reads.
//
//     e = tensorboard_begin(&out);                        // the first record says which version of the format it is
//     e = tensorboard_stage(&out, "base", &tables);       // a record a number: base/loss, base_eval/core (a suite), base_eval/core/copa
//
// Layout  records, one after the other: u64 length, masked CRC-32C of these 8 bytes, the bytes, their masked CRC-32C; all little endian.
//         The bytes are the message Event in protobuf: wall_time double = 1, step int64 = 2, file_version string = 3, or summary = 5
//         {value = 1 {tag string = 1, simple_value float = 2}}
// Times   a number's time is that of the stage's first event plus the seconds of its steps; 0 where there is none
// Source  TensorFlow's record format and event.proto, summary.proto; CRC-32C: RFC 3720, appendix B.4
#ifndef RUNNER_COMMANDS_TENSORBOARD_H
#define RUNNER_COMMANDS_TENSORBOARD_H

#include "core/text/buffer.h"
#include "runner/graph/run_record.h"

struct error *CHECKED tensorboard_begin(struct bytes *out);
struct error *CHECKED tensorboard_stage(struct bytes *out, const char *stage, const struct run_tables *tables);

#endif
