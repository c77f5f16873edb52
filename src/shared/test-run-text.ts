import type { TestRun } from "../contract/verification.ts";
import { age, oneLine, pluralize } from "./format.ts";

/** Pure. Such as "`npm test` ended with exit code 0 after 12 s". */
export function testRunText({ command, exitCode, trouble, ms, missingFiles }: TestRun): string {
  const how =
    exitCode === null
      ? `not run to an end (${oneLine(trouble ?? "no reason is known", 300)})`
      : `ended with exit code ${exitCode} after ${age(ms)}`;
  const without = missingFiles === 0 ? "" : `, without ${pluralize(missingFiles, "file")} that could not be written`;
  return `${command === null ? "" : `\`${command}\` `}${how}${without}`;
}
