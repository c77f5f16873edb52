import { expect, it } from "vitest";
import { openLocalCoordinator } from "#src/coordinator-client/client.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { concerns } from "#src/local-mcp/events/steps.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { aChat } from "#harness/machine/claude.ts";
import { measureWay, type Way } from "#harness/machine/measured-way.ts";
import { given } from "#harness/coordinator/peers.ts";
import { TeamRig } from "#harness/team/team-rig.ts";

/** At most this much of the source is passed. A change that shortens a way lowers its row. */
const most = {
  PostToolUse: { files: 32, functions: 120, statements: 8, transactions: 1 },
  "tasks.claim": { files: 22, functions: 136, statements: 12, transactions: 1 },
  "tasks.submit": { files: 20, functions: 135, statements: 12, transactions: 1 },
};

function report(name: keyof typeof most, way: Way): void {
  const counted = {
    files: way.files.length,
    functions: way.functions.length,
    statements: way.statements.length,
    transactions: way.transactions,
  };
  console.info(name, counted);
  if (process.env["SHIM_WAYS"]) console.info([...way.functions, ...way.statements].join("\n"));
  for (const part of Object.keys(counted) as (keyof typeof counted)[])
    expect(counted[part], `${name}: ${part}`).toBeLessThanOrEqual(most[name][part]);
}

it("the second PostToolUse of a turn passes few files, functions and statements until its answer", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("fix it");
  let left = 0;
  /** The end of a call, as a host is given it: with an id of the event. */
  const endOf = (command: string, id: string): (() => string) => {
    const call = { tool_name: "Bash", tool_input: { command } };
    const tool_use_id = claude.begin(call.tool_name, call.tool_input);
    const end = claude.input("PostToolUse", { ...call, tool_use_id, tool_response: { stdout: "ok" } });
    const input = JSON.stringify(end);
    return () =>
      answerHook(
        runtime,
        "PostToolUse",
        () => input,
        claude.pid,
        claudeCode,
        id,
        () => void (left += 1),
      );
  };
  endOf("ls", "event-1")();
  const answer = endOf("npm test", "event-2");
  report("PostToolUse", measureWay(answer));
  expect(left).toBe(2);
});

it("an event passes the concerns in the order of the journal, each of those that are for it", () => {
  const printed = concerns.map(({ name, on, has, isForLate }) =>
    [name, on?.join(" ") ?? "all", has?.join(" or ") ?? "", isForLate ? "also late" : ""].join(" | ").trim(),
  );
  expect(printed).toMatchInlineSnapshot(`
    [
      "transcript | UserPromptSubmit SessionEnd SubagentStop part turnEnd |  | also late",
      "before the prompt | UserPromptSubmit |  |",
      "guard | UserPromptSubmit PreToolUse PermissionRequest PostToolUse PostToolUseFailure |  | also late",
      "journal | all |  | also late",
      "row of the prompt | UserPromptSubmit |  | also late",
      "limit | StopFailure |  |",
      "news | UserPromptSubmit PostToolUse PostToolUseFailure Stop | conflicts or news or compactions |",
      "readings | PostCompact part |  | also late",
      "row | all |  | also late",
      "checkpoint | PreToolUse PreCompact PostCompact Stop StopFailure SessionEnd PreModelSwitch |  | also late",
      "end | SessionEnd ending |  | also late",
      "start | SessionStart |  | also late",
      "settings | SessionStart effort |  | also late",
    ]
  `);
});

it("a task given to the machine's own coordinator, and its claim, pass few files, functions and statements", () => {
  const { base } = new TeamRig();
  const { coordinator, close } = openLocalCoordinator(base);
  const submit = (requestId: string): void =>
    void given(coordinator.call("tasks.submit", { tasks: [{ type: "docs" }], requestId }));
  submit("first");
  report(
    "tasks.submit",
    measureWay(() => submit("second")),
  );
  const process = processKey(base.processes.start(4_242));
  const about = { chat: "one", session: "one", machine: "here", client: "test", process };
  const { chat, incarnation } = given(coordinator.call("chats.register", about));
  const claim = { self: { chat, incarnation }, requestId: "claim", limit: 1 };
  report(
    "tasks.claim",
    measureWay(() => void given(coordinator.call("tasks.claim", claim))),
  );
  close();
});
