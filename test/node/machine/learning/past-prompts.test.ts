import { join } from "node:path";
import { expect, it } from "vitest";
import { pastPrompts } from "#src/machine/learning/past-prompts.ts";
import { aChat } from "#harness/machine/claude.ts";

it("an earlier prompt has the calls and the edited files of its turn, once that has ended; that of a task has its payload's words", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("Write the parser");
  claude.write(join(claude.cwd, "parser.ts"), "export {};");
  claude.write(join(claude.cwd, "parser.ts"), "export const a = 1;");
  claude.fail("Bash", { command: "npm test" }, "exit 1");
  claude.stop();
  const mark = "shim-task-0123456789abcdef";
  const data = JSON.stringify({ type: "fix", payload: { what: "Mend the lexer" }, task: 3 }, null, 2);
  claude.prompt(`Do task 3 (fix):\n<${mark}>\n${data}\n</${mark}>\n\nThe text between the marks`);
  claude.stop();
  claude.prompt("And now the rest");
  const past = runtime.store.read(pastPrompts, []);
  expect(past).toEqual([
    { text: "Mend the lexer", calls: 0, edits: 0 },
    { text: "Write the parser", calls: 3, edits: 1 },
  ]);
});
