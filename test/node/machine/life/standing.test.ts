import { expect, it } from "vitest";
import { readState } from "#src/machine/recovery/session-state.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { keepsTasks } from "#src/machine/sessions/activity/activity.ts";
import * as life from "#src/machine/sessions/life/row.ts";
import { asSeen } from "#src/machine/sessions/ending/ending.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { outcomeText } from "#src/machine/sessions/effects.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { reportEnd } from "#harness/machine/report-end.ts";
import { aChatAtWork, stateOf, storedSession, type Claude } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aToolResultLine, aToolUse, anAssistantLine, aUserLine } from "#harness/machine/transcripts.ts";

const deploy = { command: "npm run deploy" };
const refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected.";
const permission = { message: "Claude needs your permission to use Bash", notification_type: "permission_prompt" };

function timeOf(runtime: TempRuntime): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

/** What every surface shows of the chat. */
function shown(runtime: TempRuntime, { session }: Claude): string {
  const stored = storedSession(runtime, session);
  const { state, detail } = runtime.store.read((sql) => readState(sql, runtime, stored), null) ?? {};
  return detail ? `${state} (${detail})` : `${state}`;
}

function briefOf(runtime: TempRuntime, { session }: Claude): string {
  const restored = restoreById(runtime, session);
  return restored === null ? "" : brief(restored, runtime.now(), "ask");
}

function effectsOf(runtime: TempRuntime, { session }: Claude): string[] {
  return (stateOf(runtime, session)?.effects ?? []).map(outcomeText);
}

/** A chat whose client asks its user for leave to deploy. */
function aChatThatAsks(): { runtime: TempRuntime; claude: Claude; id: string } {
  const { runtime, claude } = aChatAtWork("deploy it");
  const id = claude.begin("Bash", deploy);
  claude.transcribe(anAssistantLine({ content: [aToolUse(id, "Bash", deploy)] }, timeOf(runtime)));
  claude.tell("PermissionRequest", { tool_name: "Bash", tool_input: deploy });
  runtime.wait(6_000);
  claude.tell("Notification", permission);
  return { runtime, claude, id };
}

/** Esc at the question: the client has no event for it. */
function refuse(runtime: TempRuntime, claude: Claude, id: string): void {
  claude.transcribe(
    aToolResultLine(id, refusal, true, timeOf(runtime)),
    aUserLine("[Request interrupted by user for tool use]", timeOf(runtime)),
  );
}

const readOn = (runtime: TempRuntime, { session }: Claude): void =>
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));

it("a call that waits for the user's leave is not told as running when its chat has died, nor its effect as begun", () => {
  const { runtime, claude } = aChatThatAsks();
  expect(shown(runtime, claude)).toBe("waits (your permission)");
  runtime.wait(22_000);
  claude.kill();
  const text = briefOf(runtime, claude);
  expect(text).toMatch(/it had asked the user for leave to run Bash npm run deploy .*; no answer was seen/);
  expect(text).not.toMatch(/running Bash npm run deploy|went away in the middle of a tool call/);
  expect(effectsOf(runtime, claude)).toEqual(["unknown (no end of it was seen, the user was asked before it)"]);
});

it("a call that the user refused is told as refused, also where the refusal is the last thing that the chat wrote", () => {
  const { runtime, claude, id } = aChatThatAsks();
  refuse(runtime, claude, id);
  runtime.wait(10_000);
  claude.kill();
  readOn(runtime, claude);
  expect(effectsOf(runtime, claude)).toEqual(["refused by the user, not run"]);
  expect(briefOf(runtime, claude)).toMatch(/how it stood.*: the user had interrupted the turn/);
});

it("Esc at a question of the client ends the wait with the next reading of the transcript", () => {
  const { runtime, claude, id } = aChatThatAsks();
  refuse(runtime, claude, id);
  readOn(runtime, claude);
  expect(shown(runtime, claude)).toBe("idle");
});

it("a refusal that is stored after the end of its turn does not set the chat to work again", () => {
  const { runtime, claude, id } = aChatThatAsks();
  const refusedAt = timeOf(runtime);
  runtime.wait(1_000);
  claude.stop("It was refused.");
  claude.transcribe(aToolResultLine(id, refusal, true, refusedAt));
  readOn(runtime, claude);
  expect(shown(runtime, claude)).toBe("idle");
});

it("a question stays open while a call beside it ends, and ends with its own call", () => {
  const { runtime, claude, id } = aChatThatAsks();
  claude.tell("PostToolUse", { tool_name: "Read", tool_input: {}, tool_use_id: "toolu_beside", tool_response: "ok" });
  expect(shown(runtime, claude)).toBe("waits (your permission)");
  claude.done(id, "Bash", deploy);
  expect(shown(runtime, claude)).toBe("works");
});

it.each(["turn_end", "interrupted"] as const)(
  "a chat whose turn was over (%s) when its client was asked to end has not died, where the client reports no end",
  (kind) => {
    const { runtime, claude } = aChatAtWork("paint it");
    claude.kill();
    const session = { ...storedSession(runtime, claude.session), client: "opencode" };
    const seen = runtime.store.write((sql) => {
      journal.append(sql, claude.session, runtime.now() + 1, "end of the turn", { kind });
      reportEnd(sql, runtime, claude.session, "sigterm");
      const ending = sessions.get(sql, claude.session)?.ending ?? null;
      return asSeen(sql, runtime, { ...session, ending });
    });
    expect(seen.ending).toMatchObject({ how: "ended", at: seen.lastSeenAt });
  },
);

it("a chat that its user stopped with Esc and closed later was closed between two turns", () => {
  const { runtime, claude } = aChatAtWork("paint it");
  claude.say("I begin.");
  runtime.wait(5_000);
  claude.transcribe(aUserLine("[Request interrupted by user]", timeOf(runtime)));
  runtime.wait(60_000);
  claude.tell("SessionEnd", { reason: "other" });
  expect(storedSession(runtime, claude.session).ending).toMatchObject({ how: "closed", isOpen: false });
});

it("a chat whose turn is over works while a sub-agent of it does, until the end of that or for two hours, and has its tasks meanwhile", () => {
  const { runtime, claude } = aChatAtWork("count them");
  const start = (agentId: string): void => void claude.use("Agent", { prompt: "count" }, { isAsync: true, agentId });
  const keeps = (): boolean => {
    const session = storedSession(runtime, claude.session);
    return runtime.store.read((sql) => keepsTasks(sql, session, life.read(sql, session.id), runtime.now()), false);
  };
  start("a1");
  claude.stop("It counts in the background.");
  runtime.wait(20 * 60_000);
  expect([shown(runtime, claude), keeps()]).toEqual(["works", true]);
  claude.tell("SubagentStop", { agent_id: "a1", agent_type: "general-purpose", last_assistant_message: "Twelve." });
  expect([shown(runtime, claude), keeps()]).toEqual(["idle", true]);
  start("a2");
  claude.stop("Once more.");
  runtime.wait(121 * 60_000);
  expect([shown(runtime, claude), keeps()]).toEqual(["idle", false]);
});
