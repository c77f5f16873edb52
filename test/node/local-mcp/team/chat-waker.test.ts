import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Runtime } from "#src/runtime/runtime.ts";
import { pause } from "#src/store/pause.ts";
import { ChatWaker } from "#src/local-mcp/team/chat-waker.ts";
import { aProject, journalKinds, aChat } from "#harness/machine/claude.ts";
import { aMessage, hear } from "#harness/team/team-rows.ts";

const inbox = { CLAUDE_CODE_MESSAGING_SOCKET: "/run/c.sock", CLAUDE_CODE_MESSAGING_TOKEN: "t0ken" };

/** A chat that has ended its turn a while ago. */
function anIdleChat(wake = "socket", env: NodeJS.ProcessEnv = inbox) {
  const { runtime, claude } = aChat({ env, config: { team: { wake } } });
  claude.turn("fix the parser");
  runtime.wait(10_000);
  /** Where the waker posted to, and what. */
  const posted: string[][] = [];
  const wakeUp = new ChatWaker(runtime, async (...one) => void posted.push(one));
  const hearOf = (text: string): void => hear(runtime, claude, aMessage(text));
  return { runtime, claude, posted, hearOf, wakeUp, check: () => wakeUp.check(claude.session) };
}

it("[HO20] an idle chat is woken once for news that need it, and its next hook delivers them", () => {
  const { runtime, claude, posted, hearOf, wakeUp, check } = anIdleChat();
  check();
  hear(runtime, claude, { kind: "leader_changed", name: "release", leader: null, isSelf: false });
  check();
  expect(posted).toEqual([]);
  hearOf("a secret plan");
  for (const session of [claude.session, claude.session, "another"]) wakeUp.check(session);
  const line = "SHIM: news waits for this chat (2); its hook brings it with this turn.";
  const user = JSON.stringify({ type: "user", message: { role: "user", content: line } });
  expect(posted).toEqual([["/run/c.sock", `{"type":"auth","token":"t0ken"}\n${user}\n`]]);
  const kinds = journalKinds(runtime, claude.session);
  expect(claude.prompt(line).hookSpecificOutput?.additionalContext).toContain("a secret plan");
  // The user has not said that line.
  expect(journalKinds(runtime, claude.session)).toEqual(kinds);
});

it("[HO51] a chat in its turn, or whose turn has just ended, is not woken, nor one while SHIM is paused", () => {
  const { runtime, claude, posted, hearOf, check } = anIdleChat();
  claude.prompt("go on");
  hearOf("hello");
  runtime.wait(60_000);
  check();
  claude.tell("Stop", { stop_hook_active: true, last_assistant_message: "Done." });
  check();
  runtime.wait(10_000);
  runtime.store.write((sql) => pause(sql, runtime.now(), runtime.now() + 5_000, claude.cwd));
  check();
  expect(posted).toEqual([]);
  runtime.wait(5_000);
  check();
  expect(posted).toHaveLength(1);
});

it("[HO50] waking counts as a continuation: three times an hour", () => {
  const { runtime, claude, posted, hearOf, check } = anIdleChat();
  for (let n = 0; n < 5; n++) {
    hearOf(`message ${n}`);
    runtime.wait(1_000);
    check();
  }
  expect(posted).toHaveLength(3);
  expect(claude.stop()).toEqual({});
});

it("[HO20] without the setting, or outside of Claude Code, no chat is woken", () => {
  for (const { posted, hearOf, check } of [anIdleChat("hooks"), anIdleChat("socket", {})]) {
    hearOf("hello");
    check();
    expect(posted).toEqual([]);
  }
});

it("[HO52] [HO20] the lines reach the socket; without a listener it is logged without the token, not tried again", async () => {
  const socket = join(aProject(), "c.sock");
  const { runtime, claude, hearOf } = anIdleChat("socket", { ...inbox, CLAUDE_CODE_MESSAGING_SOCKET: socket });
  const got = Promise.withResolvers<string>();
  const server = createServer((connection) => {
    let text = "";
    connection.setEncoding("utf8").on("data", (part: string) => (text += part));
    connection.once("end", () => got.resolve(text));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  hearOf("hello");
  new ChatWaker(runtime).check(claude.session);
  expect(await got.promise).toMatch(/^\{"type":"auth".*\n\{"type":"user".*\n$/);
  await new Promise((resolve) => server.close(resolve));
  rmSync(socket, { force: true });
  hearOf("hello again");
  const logged = Promise.withResolvers<string>();
  const log: Runtime["log"] = (_level, message, fields) => logged.resolve(message + JSON.stringify(fields));
  new ChatWaker({ ...runtime, log }).check(claude.session);
  const line = await logged.promise;
  expect(line).toContain("could not be woken");
  expect(line).not.toContain("t0ken");
});
