import { expect, it } from "vitest";
import * as meta from "#src/store/meta.ts";
import * as servers from "#src/local-mcp/sessions/servers.ts";
import { aProject, Claude, journalKinds, type Printed } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { insert, column } from "#harness/store/store-rows.ts";
import { hear, aMessage, joinTeam, reservationReceived } from "#harness/team/team-rows.ts";

const serverPid = 5_000;

interface Given {
  readonly entryPoint?: string;
  readonly takesEvents?: boolean;
  readonly reserved?: "here" | "by itself" | "in another project" | null;
  readonly tokens?: number;
}

/** A chat whose MCP process has died. */
function aDeadFront({ entryPoint = "cli", takesEvents = true, reserved = "here", tokens }: Given = {}) {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: entryPoint, CLAUDE_PLUGIN_ROOT: "/plugin" } });
  const claude = new Claude(runtime, { cwd: aProject() });
  const client = runtime.processes.start(claude.pid);
  claude.start();
  joinTeam(runtime, claude);
  const serve = (): void => {
    const server = runtime.processes.start(serverPid, claude.pid);
    if (takesEvents) servers.noteEvents(runtime, server, client);
    else servers.register(runtime, server, client);
  };
  serve();
  const resource = `file:${reserved === "in another project" ? "lexer" : "parser"}/one.ts`;
  const holder = reserved === "by itself" ? { holder: claude.session } : {};
  if (reserved) reservationReceived(runtime, { resource, checkout: claude.cwd, ...holder });
  if (tokens !== undefined)
    runtime.store.write((sql) => {
      const row = { session: claude.session, task: 7, claim: 1, startedAt: 0, limitTokens: tokens };
      insert(sql, "task_spending", { ...row, tokens: 0, costMicros: 0 });
    });
  runtime.processes.kill(serverPid);
  return { runtime, claude, serve };
}

function outcome({ decision, systemMessage }: Printed): string {
  return decision ?? (systemMessage?.includes("MCP process has died") ? "warned" : "passed");
}

it("[HO63] a prompt is refused while the front is dead and files are reserved: nothing of it is stored or delivered", () => {
  const { runtime, claude, serve } = aDeadFront();
  hear(runtime, claude, aMessage("the parser is mine"));
  const refused = claude.prompt("fix the parser");
  expect(refused).toMatchObject({
    decision: "block",
    reason: expect.stringContaining("/mcp reconnect plugin:shim:shim"),
  });
  expect(outcome(claude.prompt("fix the lexer"))).toBe("block");
  expect(journalKinds(runtime, claude.session)).toEqual(["start"]);
  serve();
  const { decision, hookSpecificOutput } = claude.prompt("fix the parser");
  expect([decision, hookSpecificOutput?.additionalContext]).toEqual([undefined, expect.stringContaining("is mine")]);
  expect(journalKinds(runtime, claude.session)).toEqual(["start", "prompt"]);
});

it("[HO64] the same prompt passes the second time with the warning, and no later one is refused; the client's own passes", () => {
  const { runtime, claude } = aDeadFront();
  const outcomes = (...prompts: string[]): string[] => prompts.map((one) => outcome(claude.prompt(one)));
  expect(outcomes("<task-notification>done</task-notification>", "go on")).toEqual(["passed", "block"]);
  runtime.wait(600_000);
  expect(outcomes("go on", "go on ", "next")).toEqual(["block", "warned", "passed"]);
});

it.each<[string, Given, string]>([
  ["a budget", { reserved: null, tokens: 1_000 }, "block"],
  ["nothing to guard", { reserved: null }, "warned"],
  ["files that the chat has reserved itself", { reserved: "by itself" }, "warned"],
  ["files of another project", { reserved: "in another project" }, "warned"],
  ["a client that starts its server again", { entryPoint: "sdk-cli" }, "warned"],
  ["hooks that are processes", { takesEvents: false }, "warned"],
])("[HO63] with %s", (_, given, expected) => {
  expect(outcome(aDeadFront(given).claude.prompt("fix the parser"))).toBe(expected);
});

it("[HO63] [ID11] the marks of another boot, such as a container's, are deleted with its rows", () => {
  const { runtime, claude } = aDeadFront();
  claude.prompt("fix the parser");
  const marks = (): unknown[] =>
    runtime.store.read((sql) => column(sql, "SELECT key FROM meta WHERE key GLOB '*boot-1*' ORDER BY key"), []);
  expect(marks()).toEqual([expect.stringMatching(/^events_to:/), expect.stringMatching(/^prompt_refused:/)]);
  const prune = (before: number): void => runtime.store.write((sql) => servers.prune(sql, "boot-2", before));
  runtime.store.write((sql) => meta.write(sql, "other:boot-1", "stays"));
  prune(runtime.now() - 60_000);
  expect(marks()).toHaveLength(3);
  prune(runtime.now() + 1);
  expect(marks()).toEqual(["other:boot-1"]);
});
