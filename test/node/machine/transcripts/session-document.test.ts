import { expect, it } from "vitest";
import { sessionDocument } from "#src/machine/transcripts/session-document.ts";
import { Claude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function aWorkedChat() {
  const runtime = tempRuntime();
  const claude = new Claude(runtime);
  claude.start();
  claude.prompt("fix the parser\n# not a heading");
  claude.use("Bash", { command: "echo `date`" });
  claude.fail("Bash", { command: "make" }, "exit code 2");
  claude.stop("The parser is fixed.");
  claude.begin("Edit", { file_path: "src/a.ts" });
  return { runtime, session: claude.session };
}

it("a session becomes Markdown whose texts are quotations", () => {
  const { runtime, session } = aWorkedChat();
  const text = sessionDocument(runtime, session) ?? "";
  expect(text).toMatch(/^# fix the parser\n\n- Session: /);
  expect(text).toContain("> fix the parser\n> # not a heading");
  expect(text).toContain("- Bash: `` echo `date` ``");
  expect(text).toContain("- Bash failed: `make`\n\n> exit code 2");
  expect(text).toContain("> The parser is fixed.");
  expect(text).not.toMatch(/^# not a heading/m);
  expect(sessionDocument(runtime, "unknown")).toBeNull();
});
