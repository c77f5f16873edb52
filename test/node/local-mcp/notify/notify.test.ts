import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { configSchema } from "#src/contract/config.ts";
import { deadTasks } from "#src/local-mcp/notify/due-notifications.ts";
import { notifyDesktop, Notifier } from "#src/local-mcp/notify/notifier.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import * as localSource from "#src/machine/recovery/marks.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { anotherClaude, aProject, Claude } from "#harness/machine/claude.ts";
import { aReceiver, die, looksOf } from "#harness/machine/notified.ts";
import { someReadings } from "#harness/machine/readings.ts";
import { twoChats } from "#harness/team/team-rig.ts";
import { storedBytes, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aMessage, hear } from "#harness/team/team-rows.ts";

/** Folder with a notify-send that writes down what it is given. */
function aDesktop(exit = 0): { readonly env: NodeJS.ProcessEnv; readonly shown: () => string[][] } {
  const folder = mkdtempSync(join(tmpdir(), "shim-desktop-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const out = join(folder, "out");
  const program = join(folder, "notify-send");
  writeFileSync(
    program,
    `#!/bin/sh\nfor word in "$@"; do printf '%s\\036' "$word"; done >> "${out}"\nprintf '\\035' >> "${out}"\nexit ${exit}\n`,
  );
  chmodSync(program, 0o755);
  const shown = (): string[][] => {
    const calls = existsSync(out) ? readFileSync(out, "utf8").split("\u001d") : [];
    return calls.filter(Boolean).map((call) => call.split("\u001e").slice(0, -1));
  };
  return { env: { PATH: `${folder}:/usr/bin:/bin` }, shown };
}

it("a death, a waiting message and a critical risk are sent once; what was so before is not", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const old = new Claude(runtime, { cwd: aProject(), session: "old-chat" });
  old.turn("an old one");
  old.kill();
  const look = looksOf(runtime);
  await look();
  const dead = anotherClaude(runtime, old, { session: "dead-chat" });
  dead.turn("Make the parser faster", "a secret answer");
  dead.kill();
  const living = anotherClaude(runtime, old, { session: "living-chat", pid: 9_000 });
  living.turn("write the lexer");
  runtime.store.write((sql) => {
    const high = { contextFill: 1, sinceCheckpointMs: 10_000_000, hostMemory: 1, rateLimit: 1 };
    sessions.update(sql, living.session, { readings: someReadings(high, runtime.now()) });
  });
  hear(runtime, living, aMessage("words of another"));
  for (let n = 0; n < 5; n++) await look();
  expect(receiver.bodies.map(({ event, session, title, text }) => [event, session, title, text])).toEqual([
    ["risk_critical", "living-chat", "write the lexer", '"write the lexer" is at critical risk'],
    ["chat_died", "dead-chat", "Make the parser faster", '"Make the parser faster" died (killed)'],
    ["message_waiting", "living-chat", "write the lexer", 'a message waits for "write the lexer"'],
  ]);
  expect(JSON.stringify(receiver.bodies)).not.toMatch(/secret answer|words of another|shim-project/);
  expect(Object.keys(receiver.bodies[0] ?? {})).toEqual(["event", "at", "session", "title", "text"]);
});

it("a death is sent once, also when the next chat was offered the dead one before anybody looked", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  const dead = new Claude(runtime, { cwd: aProject(), session: "dead-chat" });
  dead.turn("fix the parser");
  dead.kill();
  expect(anotherClaude(runtime, dead).start()).toContain("fix the parser");
  for (let n = 0; n < 2; n++) await look();
  expect(receiver.bodies.map(({ event, session }) => [event, session])).toEqual([["chat_died", "dead-chat"]]);
});

it("the last look of a process that ends does not wait for the time of the next one", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const notifier = new Notifier({ runtime, deadTasks: () => Promise.reject(new Error("asked at the end")) });
  await notifier.checkNow();
  die(runtime);
  recordDeaths(runtime, () => true);
  await Promise.all([notifier.checkNow(), notifier.checkNow()]);
  expect(receiver.bodies).toMatchObject([{ event: "chat_died" }]);
  expect(runtime.logged).toEqual([]);
});

it("a chat whose process cannot be seen from here died when it is silent for ten minutes, once", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  const silent = new Claude(runtime, { cwd: aProject(), session: "silent-chat" });
  silent.turn("fix the parser");
  runtime.store.write((sql) => sql.run("UPDATE sessions SET owner = NULL"));
  await look();
  expect(receiver.bodies).toEqual([]);
  runtime.wait(601_000);
  await look();
  expect(anotherClaude(runtime, silent).start()).toContain("fix the parser");
  await look();
  expect(receiver.bodies).toMatchObject([{ event: "chat_died", session: "silent-chat" }]);
});

it("a notification calls a chat by the name that its user has given it", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  const living = new Claude(runtime, { cwd: aProject(), session: "living-chat", pid: 9_000 });
  living.turn("write the lexer");
  hear(runtime, living, aMessage("words of another"));
  die(runtime);
  runtime.store.write((sql) => {
    for (const id of ["living-chat", "dead-chat"]) sessions.rename(sql, id, `named ${id}`);
    const high = { contextFill: 1, sinceCheckpointMs: 10_000_000, hostMemory: 1, rateLimit: 1 };
    sessions.update(sql, living.session, { readings: someReadings(high, runtime.now()) });
  });
  for (let n = 0; n < 5; n++) await look();
  expect(receiver.bodies.map(({ event, title, text }) => [event, title, text])).toEqual([
    ["risk_critical", "named living-chat", '"named living-chat" is at critical risk'],
    ["chat_died", "named dead-chat", '"named dead-chat" died (killed)'],
    ["message_waiting", "named living-chat", 'a message waits for "named living-chat"'],
  ]);
});

it("without settings nothing is checked, and only the named events are sent", async () => {
  const receiver = await aReceiver();
  for (const notify of [{}, { webhook: receiver.url, events: ["risk_critical"] }]) {
    const runtime = tempRuntime({ config: { notify } });
    const look = looksOf(runtime);
    await look();
    die(runtime);
    await look();
  }
  expect(receiver.bodies).toEqual([]);
});

it("a chat that its user has closed is no death, and one that died again is another", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("x", "Which one?");
  runtime.wait(60_000);
  claude.end("other");
  await look();
  expect(receiver.bodies).toEqual([]);
  for (let n = 0; n < 2; n++) {
    claude.resume();
    claude.prompt("go on");
    claude.kill();
    await look();
  }
  expect(receiver.bodies.map(({ event }) => event)).toEqual(["chat_died", "chat_died"]);
});

it("a dead task of the workspace is sent once", async () => {
  const { rig, one } = await twoChats();
  const receiver = await aReceiver();
  const runtime = tempRuntime({ beside: rig.base, config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime, { deadTasks: deadTasks(runtime.now, () => one.team.reader()) });
  await look();
  await one.ask("shim_submit", { tasks: [{ type: "build" }] });
  await one.ask("shim_next");
  await one.ask("shim_report", { outcome: "failed", note: "words of the chat", retry: false });
  runtime.wait(60_000);
  for (let n = 0; n < 3; n++) await look();
  expect(receiver.bodies).toMatchObject([{ event: "task_dead", session: null, title: null }]);
  expect(receiver.bodies[0]?.["text"]).toMatch(/^task 1 \(build\) is dead/);
});

it("each event is sent once, by the next host too, and what is stored names no session", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  die(runtime);
  for (let n = 0; n < 3; n++) await look();
  await looksOf(runtime)();
  expect(receiver.bodies).toHaveLength(1);
  expect(storedBytes(runtime.paths)).not.toContain("chat_died");
});

it("a channel that fails is logged once until it works again, and holds up no other", async () => {
  const receiver = await aReceiver();
  const desktop = aDesktop();
  const runtime = tempRuntime({ env: desktop.env, config: { notify: { webhook: receiver.url, desktop: true } } });
  const look = looksOf(runtime);
  await look();
  for (const [n, status] of [500, 500, 200, 500].entries()) {
    receiver.status = status;
    die(runtime, `chat-${n}`);
    await look();
    expect(runtime.logged).toHaveLength(n < 3 ? 1 : 2);
  }
  expect(runtime.logged[0]).toContain("the webhook answered 500");
  expect(desktop.shown()).toHaveLength(4);
});

it("a redirect is not followed", async () => {
  const receiver = await aReceiver();
  receiver.status = 307;
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  const look = looksOf(runtime);
  await look();
  die(runtime);
  await look();
  expect(receiver.bodies).toHaveLength(1);
  expect(runtime.logged[0]).toContain("the webhook answered 307");
});

it.each([
  ["https://example.org/hook?x=1", true],
  ["https://example.org:8443", true],
  ["http://localhost:3000/hook", true],
  ["http://127.0.0.1/hook", true],
  ["http://[::1]:80/", true],
  ["http://example.org/hook", false],
  ["http://localhost.example.org/", false],
  ["http://127.0.0.1.example.org/", false],
  ["https://user:word@example.org/", false],
  ["http://localhost@example.org/", false],
  ["ftp://localhost/", false],
  ["javascript:alert(1)", false],
  ["", false],
])("%s as a webhook: %s", (webhook, isAllowed) => {
  expect(configSchema().safeParse({ notify: { webhook } }).success).toBe(isAllowed);
});

it("the desktop gets the text as data, without a shell and without markup", async () => {
  const desktop = aDesktop();
  await notifyDesktop('"<b>$(touch x)</b> & \\"; -e" died', desktop.env, "linux");
  expect(desktop.shown()).toEqual([
    ["--app-name=SHIM", "--", "SHIM", '"&lt;b&gt;$(touch x)&lt;/b&gt; &amp; \\"; -e" died'],
  ]);
  await expect(notifyDesktop("x", aDesktop(3).env, "linux")).rejects.toThrow("notify-send ended with 3");
  await expect(notifyDesktop("x", { PATH: "/nonexistent" }, "linux")).rejects.toThrow("ENOENT");
  await expect(notifyDesktop("x", { PATH: "/nonexistent" }, "darwin")).rejects.toThrow("osascript");
});

it("the user is notified once that another client continues a session at its usage limit", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url, events: ["usage_limit"] } } });
  const look = looksOf(runtime);
  await look();
  const take = (session: string, client: string, failure: object): void => {
    die(runtime, session);
    const successor = { id: `after-${session}`, client, origin: "startup", owner: null, isAlive: true };
    runtime.store.write((sql) => {
      journal.append(sql, session, runtime.now(), "f", { kind: "failure", text: "no", ...failure });
      sessions.recordSighting(sql, runtime.now(), successor);
    });
    localSource.take(runtime, { session, to: successor.id, score: 100 });
    runtime.store.write((sql) => sessions.rename(sql, session, "the parser"));
  };
  const limit = { limit: { resetsAtMs: null } };
  take("same-client", "claude-code", limit);
  take("other-cause", "codex", {});
  take("at-limit", "codex", limit);
  await look();
  await look();
  expect(receiver.bodies).toMatchObject([
    { event: "usage_limit", session: "at-limit", text: '"the parser" reached a usage limit; Codex continues' },
  ]);
});
