import { LazyRegExp, pattern } from "./pattern.ts";

/** Pure: lines that a user pastes, and did not write. */

/** Log lines, stack traces, quotations, diffs, the output of tools. */
const record = new LazyRegExp(
  pattern`
    ^\s*(?:>|\[?\d{4}-\d\d-\d\d[ T]\d|\[?\d\d:\d\d:\d\d|
    (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s{1,2}\d{1,2} \d\d:\d\d|\d{1,3}(?:\.\d{1,3}){3} - |
    [+-]{3} |@@ |diff --git |(?:TRACE|DEBUG|INFO|NOTICE|WARN|ERROR|FATAL)(?:\]|:?\s{2,}| ?[|[])|
    \[(?:trace|debug|info|notice|warn|warning|error|fatal)\]|\w*(?:Error|Exception|Warning):|
    npm (?:ERR!|error|warn|notice)|
    (?:fatal|error|warning|warn|hint|info|debug|remote|usage|err|stderr|stdout):\s|Traceback \(most|File ".+", line \d|Caused by:|goroutine \d|panic:|\.{3} \d+ more$|
    [$%] [a-z.\/]|at .+:\d|at \S+ \(.*\)$|#\d+ +0x|[\w.\/-]+(?::\d+:\d+|\(\d+,\d+\))(?::| -) |[\w.-]+: \*\*\* )
  `,
  "u",
);

/** Reads at most 1,000 characters: a line is cut. */
const code = new LazyRegExp(
  pattern`
    ^[\s{}()[\];,]+$|\{\s*$|(?:\w\(| = |^\s*return )[^\n]*;\s*$|^\s*(?:\/\/|\/\*|\*\/|#include |<\/?\w+[^>]*>\s*$|
    (?:const|let|var) [\w{[][^=\n]{0,80}= |import .{1,200} from ['"]|
    (?:export |async |public |private |static |pub )*(?:function|def|fn|func) \w+\s?\()
  `,
  "u",
);

const maxChars = 1_000;

export function isPastedLine(whole: string): boolean {
  const line = whole.slice(0, maxChars);
  return record.test(line) || code.test(line);
}
