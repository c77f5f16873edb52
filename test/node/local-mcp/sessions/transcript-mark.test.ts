import { appendFileSync } from "node:fs";
import { expect, it } from "vitest";
import { capture, currentState } from "#src/local-mcp/checkpoints/capture.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import { forget } from "#src/local-mcp/retention/forget.ts";
import { pause, resume } from "#src/store/pause.ts";
import { anotherClaude, aProject, Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

function say(claude: Claude, text: string): void {
  appendFileSync(claude.transcript, `${anAssistantLine({ content: [{ type: "text", text }] })}\n`);
}

function journalText(runtime: TempRuntime, claude: Claude): string {
  return runtime.store.read((sql) => JSON.stringify(journal.list(sql, claude.session, 0)), "");
}

it("[HO10] [JO12] what is said during a pause is not read later, in a session known before as in a new one", () => {
  for (const isKnown of [true, false]) {
    const runtime = tempRuntime();
    const claude = new Claude(runtime, { cwd: aProject() });
    if (isKnown) claude.use("Bash");
    runtime.store.write((sql) => pause(sql, runtime.now(), null, null));
    say(claude, "a secret plan");
    claude.use("Bash");
    runtime.wait(1_000);
    runtime.store.write((sql) => resume(sql, runtime.now(), null));
    say(claude, "the next step");
    claude.use("Bash");
    expect(journalText(runtime, claude)).toContain("the next step");
    expect(journalText(runtime, claude)).not.toContain("a secret plan");
  }
});

it("[ST62] a chat that goes on after it was forgotten begins anew: its transcript does not bring the old talk back", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  say(claude, "the old talk");
  claude.use("Bash");
  say(claude, "more of the old talk");
  runtime.store.write((sql) => forget(sql, { session: claude.session }));
  say(claude, "the new talk");
  claude.use("Bash");
  expect(journalText(runtime, claude)).toContain("the new talk");
  expect(journalText(runtime, claude)).not.toContain("old talk");
});

it("[ST63] what a chat was handed of a forgotten session is gone from its own checkpoints, and does not come back", () => {
  const runtime = tempRuntime();
  const recent = new Map();
  const first = new Claude(runtime, { cwd: aProject() });
  first.prompt("the forgotten goal");
  first.kill();
  const second = anotherClaude(runtime, first);
  second.start();
  second.prompt("go on");
  capture(runtime, { sessionId: second.session, trigger: "on_demand" }, recent);
  const states = (): string => JSON.stringify(runtime.store.read((sql) => currentState(sql, second.session), null));
  expect(states()).toContain("the forgotten goal");
  runtime.store.write((sql) => forget(sql, { session: first.session }));
  expect(states()).not.toContain("the forgotten goal");
  second.prompt("and on");
  capture(runtime, { sessionId: second.session, trigger: "on_demand" }, recent);
  expect(states()).not.toContain("the forgotten goal");
});
