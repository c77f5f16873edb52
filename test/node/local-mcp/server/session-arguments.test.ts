import { expect, it } from "vitest";
import { findSession } from "#src/local-mcp/sessions/session-prefix.ts";
import { aDeadClaude, anotherClaude, storedSession } from "#harness/machine/claude.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[RE56] a tool takes the beginning of an id; several that fit are named with their titles, and nothing happens", async () => {
  const runtime = tempRuntime();
  const first = aDeadClaude(runtime, "fix the parser");
  const second = anotherClaude(runtime, first, { session: `${first.session.slice(0, 8)}-other` });
  second.turn("write the lexer");
  second.kill();
  const { ask, refusal } = await connect(runtime);
  const named = await ask("shim_check_recovery", { of: first.session.slice(0, 12), take: true });
  expect(named.text).toContain("fix the parser");
  expect(storedSession(runtime, first.session).recovery).toBe("offered");
  for (const [tool, input] of [
    ["shim_check_recovery", { of: "2048", dismiss: true }],
    ["shim_force_checkpoint", { session: "2048", goal: "g" }],
    ["shim_clear_state", { scope: "session", id: "2048", confirm: "yes, delete" }],
  ] as const)
    expect(await refusal(tool, input)).toMatch(/\("write the lexer"\)[^]*\("fix the parser"\)/);
  expect(storedSession(runtime, second.session).recovery).toBeNull();
});

it("[RE56] fewer than four characters name nothing, and ses_ may be left out", () => {
  const runtime = tempRuntime();
  aDeadClaude(runtime);
  anotherClaude(runtime, aDeadClaude(runtime), { session: "ses_01a1fbb6-one" }).turn("x");
  const kinds = ["204", "", "ses_", "2048", "01a1", "ses_01a1", "nothing"].map((given) =>
    runtime.store.read((sql) => findSession(sql, given).kind, null),
  );
  expect(kinds).toEqual(["none", "none", "none", "one", "one", "one", "none"]);
});

it("[RE55] when the user says no the model dismisses the offer, and the next chat hears nothing of it", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const of = dead.session;
  const chat = anotherClaude(runtime, dead);
  expect(chat.start()).toContain(
    `shim_check_recovery (of "${of}", take true); when the user does not want it, with dismiss true`,
  );
  const { ask, refusal } = await connect(runtime, { clientPid: chat.pid });
  expect(await refusal("shim_check_recovery", { of, dismiss: true, take: true })).toContain("not both");
  const { text, output } = await ask("shim_check_recovery", { of: of.slice(0, 8), dismiss: true });
  expect(text).toContain("is no longer offered");
  expect(output["brief"]).toBeUndefined();
  expect(storedSession(runtime, of).recovery).toBe("dismissed");
  expect(anotherClaude(runtime, dead, { pid: 6_000, session: "next-session" }).start()).toBe("");
});

it("[RE55] without a name the session on offer is dismissed; what lives, has ended, or is the chat itself is not", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const chat = anotherClaude(runtime, dead);
  chat.start();
  chat.prompt("hello");
  const { call } = await connect(runtime, { clientPid: chat.pid });
  const dismissed = async (of?: string): Promise<string> =>
    (await call("shim_check_recovery", { dismiss: true, ...(of ? { of } : {}) })).text;
  expect(await dismissed()).toContain(dead.session);
  expect(storedSession(runtime, dead.session).recovery).toBe("dismissed");
  expect(await dismissed()).toContain("nothing_to_take");
  anotherClaude(runtime, dead, { pid: 6_000, session: "living-session" }).turn("x");
  const ended = anotherClaude(runtime, dead, { pid: 6_001, session: "ended-session" });
  ended.turn("x");
  ended.end();
  for (const [of, why] of [
    ["living-session", "is still running"],
    ["ended-session", "was finished"],
    [chat.session, "is this chat itself"],
  ] as const) {
    expect(await dismissed(of)).toContain(why);
    expect(storedSession(runtime, of).recovery).toBeNull();
  }
});
