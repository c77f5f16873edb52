import { expect, it } from "vitest";
import { sessionDocument, type Trajectory } from "#src/local-mcp/portable/session-document.ts";
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

it("[PO1] a session becomes Markdown whose texts are quotations", () => {
  const { runtime, session } = aWorkedChat();
  const text = sessionDocument(runtime, session, "markdown") ?? "";
  expect(text).toMatch(/^# fix the parser\n\n- Session: /);
  expect(text).toContain("> fix the parser\n> # not a heading");
  expect(text).toContain("- Bash: `` echo `date` ``");
  expect(text).toContain("- Bash failed: `make`\n\n> exit code 2");
  expect(text).toContain("> The parser is fixed.");
  expect(text).not.toMatch(/^# not a heading/m);
});

it("[PO2] a session becomes a trajectory: steps in order, each result at its call, an open call without one", () => {
  const { runtime, session } = aWorkedChat();
  const trajectory = JSON.parse(sessionDocument(runtime, session, "atif") ?? "") as Trajectory;
  expect(trajectory).toMatchObject({
    schema_version: "ATIF-v1.7",
    session_id: session,
    agent: { name: "claude-code" },
  });
  expect(trajectory.steps.map(({ step_id: step }) => step)).toEqual(trajectory.steps.map((_, at) => at + 1));
  expect(trajectory.final_metrics.total_steps).toBe(trajectory.steps.length);
  const [user, work, answer] = trajectory.steps;
  expect(user).toMatchObject({ source: "user", message: "fix the parser\n# not a heading" });
  expect(work).toMatchObject({ source: "agent", message: "" });
  const calls = (work?.tool_calls ?? []).map(({ tool_call_id: id }) => id);
  expect(work?.observation?.results).toMatchObject([
    { source_call_id: calls[0] },
    { source_call_id: calls[1], content: "exit code 2", extra: { isError: true } },
  ]);
  expect(answer).toMatchObject({ message: "The parser is fixed.", tool_calls: [{ function_name: "Edit" }] });
  expect(answer).not.toHaveProperty("observation");
  expect(sessionDocument(runtime, "unknown", "atif")).toBeNull();
});
