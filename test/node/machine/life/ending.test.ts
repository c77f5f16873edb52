import * as fc from "fast-check";
import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { endSigns } from "#src/contract/ending.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { asSeen, note } from "#src/machine/sessions/ending/ending.ts";
import { offerable } from "#src/machine/recovery/offers.ts";
import { aChat, aLiveClaude, anotherClaude, aProject, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

/** Where the chat stands when its client ends. */
const stands = {
  idle: ["UserPromptSubmit", "Stop"],
  "in mid-call": ["UserPromptSubmit", "PreToolUse"],
  "at a permission": ["UserPromptSubmit", "PreToolUse", "PermissionRequest"],
} as const satisfies Record<string, readonly HookEvent[]>;

const fields: Partial<Record<HookEvent, object>> = {
  UserPromptSubmit: { prompt: "fix it" },
  PreToolUse: { tool_name: "Bash", tool_input: { command: "sleep 600" }, tool_use_id: "t1" },
  PermissionRequest: { tool_name: "Bash", tool_input: { command: "sleep 600" } },
  Stop: { last_assistant_message: "Fixed." },
};

function tell(runtime: TempRuntime, client: string, event: HookEvent, more: object = {}): void {
  runtime.wait(100);
  const adapter = adapterOf(client);
  const about = { session_id: "s1", cwd: aProject(), hook_event_name: event, ...fields[event], ...more };
  if (adapter) answerHook(runtime, event, () => JSON.stringify(about), 700, adapter);
}

const cases = (["copilot", "qwen"] as const).flatMap((client) =>
  Object.entries(stands).map(([stood, events]) => [client, stood, events] as const),
);

it.each(cases)(
  "%s gives one reason for every end: of a chat that is %s it is the user's own act only after a turn",
  (...given) => {
    const [client, stood, events] = given;
    const runtime = tempRuntime();
    runtime.processes.start(700);
    tell(runtime, client, "SessionStart", { source: "startup" });
    for (const event of events) tell(runtime, client, event);
    runtime.wait(10_000);
    tell(runtime, client, "SessionEnd", { reason: adapterOf(client)?.endReason ?? "" });
    runtime.processes.kill(700);
    const how = stood === "idle" ? "ended" : "died";
    expect(storedSession(runtime, "s1").ending).toMatchObject({ how, isOpen: how === "died" });
    expect(offerable(runtime, { except: "s2" })).toHaveLength(how === "died" ? 1 : 0);
  },
);

it.each([
  ["its turn was ended as it was closed, and then its call", ["PreToolUse"], 200, "died"],
  ["its turn was ended as it was closed, at a permission", ["PreToolUse", "PermissionRequest"], 200, "died"],
  ["its user had stopped the turn a while before", ["PreToolUse"], 60_000, "ended"],
] as const)("OpenCode reports no end: %s", (_what, events, waited, how) => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  runtime.store.write((sql) => sql.run("UPDATE sessions SET client = 'opencode' WHERE id = ?", claude.session));
  for (const event of events) claude.tell(event, { ...fields[event] });
  claude.tell("Stop", { last_assistant_message: "" });
  runtime.wait(waited);
  claude.kill();
  const front = { at: runtime.now(), reason: "stdin_end" };
  const ending = runtime.store.write((sql) =>
    note(sql, runtime, claude.session, { front, gone: { at: runtime.now(), reason: "gone" } }),
  );
  expect(ending).toMatchObject({ how });
});

it("a script that goes on with a person's chat does not finish the person's work; its own chat is finished", () => {
  const script = { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" };
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("migrate the store");
  claude.begin("Bash", { command: "make migrate" });
  claude.kill();
  const asScript = { ...runtime, env: { ...runtime.env, ...script } };
  const run = (session: string, source: string): void => {
    const pid = 900 + session.length;
    runtime.processes.start(pid);
    const event = (name: HookEvent, more: object): string => {
      const about = { session_id: session, cwd: claude.cwd, hook_event_name: name, ...more };
      return answerHook(asScript, name, () => JSON.stringify(about), pid);
    };
    event("SessionStart", { source });
    event("UserPromptSubmit", { prompt: "status?" });
    event("Stop", { last_assistant_message: "All is well." });
    event("SessionEnd", { reason: "other" });
    runtime.processes.kill(pid);
  };
  runtime.wait(60_000);
  run("script-session", "startup");
  run(claude.session, "resume");
  expect(storedSession(runtime, "script-session").ending).toMatchObject({ how: "ended" });
  expect(storedSession(runtime, claude.session).ending).toMatchObject({ how: "closed", isOpen: true });
  const next = anotherClaude(runtime, claude, { pid: claude.pid + 50 });
  expect(next.start()).toContain("migrate the store");
});

const sign = fc.record({ kind: fc.constantFrom(...endSigns), ms: fc.integer({ min: 0, max: 9_000 }) });

it("the signs of an end, doubled and in any order of arrival, are judged alike", () => {
  fc.assert(
    fc.property(
      fc.array(sign, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat()),
      (signs, isIdle, order) => {
        const endings = [
          signs,
          signs.toSorted(() => (order.next().value % 2 === 0 ? 1 : -1)),
          [...signs, ...signs],
        ].map((all) => {
          const runtime = tempRuntime();
          const claude = aLiveClaude(runtime);
          if (isIdle) claude.stop();
          const from = runtime.now();
          if (signs.some(({ kind }) => kind === "gone")) claude.kill();
          for (const { kind, ms } of all)
            runtime.store.write((sql) =>
              note(sql, runtime, claude.session, { [kind]: { at: from + ms, reason: kind } }),
            );
          const session = storedSession(runtime, claude.session);
          const { ending } = runtime.store.read((sql) => asSeen(sql, runtime, session), session);
          return [ending?.how, ending?.at, ending?.isOpen, ending?.cause];
        });
        expect(endings[1]).toEqual(endings[0]);
        expect(endings[2]).toEqual(endings[0]);
      },
    ),
    { numRuns: 12 },
  );
});
