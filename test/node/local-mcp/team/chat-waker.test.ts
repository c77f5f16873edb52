import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { pause } from "#src/store/pause.ts";
import { ChatWaker } from "#src/local-mcp/team/chat-waker.ts";
import { aProject, Claude, journalKinds, aChat } from "#harness/machine/claude.ts";
import { aMessage, hear } from "#harness/team/team-rows.ts";
import { type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Idle {
  readonly runtime: TempRuntime;
  readonly claude: Claude;
  readonly wakeUp: ChatWaker;
  /** Where it was posted to, and what. */
  readonly posted: string[][];
}

const inbox = { CLAUDE_CODE_MESSAGING_SOCKET: "/run/c.sock", CLAUDE_CODE_MESSAGING_TOKEN: "t0ken" };

/** A chat that has ended its turn a while ago. */
function anIdleChat(wake: string = "socket", env: NodeJS.ProcessEnv = inbox): Idle {
  const { runtime, claude } = aChat({ env, config: { team: { wake } } });
  claude.turn("fix the parser");
  runtime.wait(10_000);
  const posted: string[][] = [];
  const wakeUp = new ChatWaker(runtime, async (...one) => void posted.push(one));
  return { runtime, claude, wakeUp, posted };
}

it("[HO20] an idle chat is woken once for news that need it, and its next hook delivers them", () => {
  const { runtime, claude, wakeUp, posted } = anIdleChat();
  wakeUp.check(claude.session);
  hear(runtime, claude, { kind: "leader_changed", name: "release", leader: null, isSelf: false });
  wakeUp.check(claude.session);
  expect(posted).toEqual([]);
  hear(runtime, claude, aMessage("a secret plan"));
  for (const look of [1, 2, 3]) wakeUp.check(look === 3 ? "another" : claude.session);
  const line = "SHIM: news waits for this chat (2); its hook brings it with this turn.";
  const user = JSON.stringify({ type: "user", message: { role: "user", content: line } });
  expect(posted).toEqual([["/run/c.sock", `{"type":"auth","token":"t0ken"}\n${user}\n`]]);
  const kinds = journalKinds(runtime, claude.session);
  expect(claude.prompt(line).hookSpecificOutput?.additionalContext).toContain("a secret plan");
  // Nobody has said that line.
  expect(journalKinds(runtime, claude.session)).toEqual(kinds);
});

it("[HO51] a chat in its turn, or whose turn has just ended, is not woken, nor one while SHIM is paused", () => {
  const { runtime, claude, wakeUp, posted } = anIdleChat();
  claude.prompt("go on");
  hear(runtime, claude, aMessage("hello"));
  runtime.wait(60_000);
  wakeUp.check(claude.session);
  claude.tell("Stop", { stop_hook_active: true, last_assistant_message: "Done." });
  wakeUp.check(claude.session);
  runtime.wait(10_000);
  runtime.store.write((sql) => pause(sql, runtime.now(), runtime.now() + 5_000, claude.cwd));
  wakeUp.check(claude.session);
  expect(posted).toEqual([]);
  runtime.wait(5_000);
  wakeUp.check(claude.session);
  expect(posted).toHaveLength(1);
});

it("[HO50] waking counts as a continuation: three times an hour", () => {
  const { runtime, claude, wakeUp, posted } = anIdleChat();
  for (let n = 0; n < 5; n++) {
    hear(runtime, claude, aMessage(`message ${n}`));
    runtime.wait(1_000);
    wakeUp.check(claude.session);
  }
  expect(posted).toHaveLength(3);
  expect(claude.stop()).toEqual({});
});

it("[HO20] without the setting, or outside of Claude Code, no chat is woken", () => {
  for (const idle of [anIdleChat("hooks"), anIdleChat("socket", {})]) {
    hear(idle.runtime, idle.claude, aMessage("hello"));
    idle.wakeUp.check(idle.claude.session);
    expect(idle.posted).toEqual([]);
  }
});

it("[HO52] [HO20] the lines reach the socket; without a listener it is logged without the token, not tried again", async () => {
  const folder = aProject();
  const socket = join(folder, "c.sock");
  const env = { ...inbox, CLAUDE_CODE_MESSAGING_SOCKET: socket };
  const { runtime, claude } = anIdleChat("socket", env);
  const got = Promise.withResolvers<string>();
  const server = createServer((connection) => {
    let text = "";
    connection.setEncoding("utf8").on("data", (part: string) => (text += part));
    connection.once("end", () => got.resolve(text));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  hear(runtime, claude, aMessage("hello"));
  new ChatWaker(runtime).check(claude.session);
  expect((await got.promise).split("\n").map((line) => line.slice(0, 14))).toEqual([
    '{"type":"auth"',
    '{"type":"user"',
    "",
  ]);
  await new Promise((resolve) => server.close(resolve));
  rmSync(socket, { force: true });
  hear(runtime, claude, aMessage("hello again"));
  const logged = Promise.withResolvers<string>();
  const wakeUp = new ChatWaker({
    ...runtime,
    log: (_level, message, fields) => logged.resolve(message + JSON.stringify(fields)),
  });
  wakeUp.check(claude.session);
  const line = await logged.promise;
  expect(line).toContain("could not be woken");
  expect(line).not.toContain("t0ken");
});
