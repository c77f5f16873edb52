import type { Mutant } from "../mutant.ts";
import type { Project } from "../project.ts";
import type { TestStyle } from "./test-style.ts";

/** Payload of a task for a worker; its text is data, which the worker's prompt fences. */
export interface TestTask {
  readonly goal: string;
  /** Source file. */
  readonly file: string;
  /** The only file to write. */
  readonly write: string;
  readonly mutants: readonly { readonly line: number; readonly before: string; readonly after: string }[];
  readonly example: { readonly file: string; readonly text: string } | null;
  readonly rules: readonly string[];
}

const maxMutants = 40;
const maxSnippetChars = 200;
const maxExampleChars = 4_000;

/** Pure. [MU30] Asks a worker for tests of one file, which are judged as all proposals are. */
export function testTask(
  project: Pick<Project, "read">,
  style: TestStyle,
  { file, write, survivors }: { readonly file: string; readonly write: string; readonly survivors: readonly Mutant[] },
): TestTask {
  const { example, framework } = style;
  return {
    goal: `Write ${framework} tests for ${file} into ${write}. Each of the listed changes of ${file} must make at least one of them fail; none of the present tests notices these changes.`,
    file,
    write,
    mutants: survivors
      .slice(0, maxMutants)
      .map(({ range, before, after }) => ({ line: range.line, before: cut(before), after: cut(after) })),
    example: example === null ? null : { file: example, text: project.read(example).slice(0, maxExampleChars) },
    rules: [
      `Change no other file than ${write}, and install nothing.`,
      "Write the tests as the example does: the same imports, the same names.",
      "Test what the code is for, by its exports; no test depends on another one, on time, on chance or on the network.",
      "All tests must pass on the present code. If the present code is wrong, say so at the end and leave that test out.",
      "A listed change may have no effect that a test can see: leave it out.",
    ],
  };
}

function cut(text: string): string {
  return text.slice(0, maxSnippetChars);
}
