import { isRefusal } from "../../clients/adapter/harness-text.ts";
import { deedOf } from "../../clients/adapter/tools.ts";
import { stored } from "../../contract/limits.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { FailedCommand } from "../../contract/work-state.ts";
import { oneLine } from "../../shared/format.ts";
import { ranNoTests } from "../../shared/test-output.ts";
import { interruptedOutput } from "./effects.ts";

/** Pure: commands that failed, and the edits after which the same command passed. */

const limits = { failed: 10, files: 8 };

/** A line that names what failed. */
const telling = /\b(?:\w*error|fail\w*|assert\w*|expected|panic\w*|exception|cannot|not found|undefined)\b/i;
/** Lines that name nothing: the exit code, and the mark of what is left out. */
const silent = /^(?:Error: )?Exit code \d+$|\[cut, \d+ more characters\]/i;

/** Keeps the newest, oldest first. */
export function withFailures(
  known: readonly FailedCommand[],
  at: number,
  entry: JournalEntry,
): readonly FailedCommand[] {
  if (entry.kind === "tool_error") return isFailure(entry) ? withFailed(known, at, entry.input, entry.text) : known;
  if (entry.kind !== "tool_end") return known;
  const { name, input, path, action, exitCode, output = "", background, hidesFailure } = entry;
  if (path !== undefined && action !== undefined && action !== "read") return known.map((one) => withFile(one, path));
  if (deedOf(name) !== "runs" || background !== undefined) return known;
  if (exitCode !== undefined && exitCode !== 0) return withFailed(known, at, input, output);
  // The output has blanks and a stroke in place of its line ends.
  return hidesFailure || ranNoTests(output.replaceAll(" / ", "\n")) ? known : withPassed(known, at, input);
}

function isFailure({ name, text, isRefused }: Extract<JournalEntry, { kind: "tool_error" }>): boolean {
  return deedOf(name) === "runs" && !isRefused && !isRefusal(text) && !interruptedOutput.test(text);
}

function isOpen(one: FailedCommand, input: string): boolean {
  return one.input === input && one.passedAt === undefined;
}

function withFailed(known: readonly FailedCommand[], at: number, input: string, text: string) {
  const before = known.find((one) => isOpen(one, input));
  const failed: FailedCommand = { input, error: errorIn(text), at, files: before?.files ?? [] };
  return [...known.filter((one) => one !== before), failed].slice(-limits.failed);
}

/** A command that passes without an edit before it may have failed by chance. */
function withPassed(known: readonly FailedCommand[], at: number, input: string): readonly FailedCommand[] {
  const open = known.find((one) => isOpen(one, input));
  if (open === undefined) return known;
  const others = known.filter((one) => one !== open);
  return open.files.length === 0 ? others : [...others, { ...open, passedAt: at }];
}

function withFile(one: FailedCommand, path: string): FailedCommand {
  if (one.passedAt !== undefined) return one;
  return { ...one, files: [...one.files.filter((known) => known !== path), path].slice(-limits.files) };
}

function errorIn(text: string): string {
  const lines = text.split("\n").map((line) => oneLine(line));
  const said = lines.filter((line) => /\p{L}/u.test(line) && !silent.test(line));
  return oneLine(said.find((line) => telling.test(line)) ?? said.at(-1) ?? "", stored.output);
}
