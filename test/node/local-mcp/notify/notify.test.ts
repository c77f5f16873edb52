import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { configSchema } from "#src/contract/config.ts";
import { deadTasks } from "#src/local-mcp/notify/due-notifications.ts";
import { notifyDesktop } from "#src/local-mcp/notify/notifier.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aDeadClaude, anotherClaude, aProject, Claude } from "#harness/machine/claude.ts";
import { servedInTest } from "#harness/edge/real-server.ts";
import { aReceiver, looksOf } from "#harness/machine/host-rig.ts";
import { someReadings, storedBytes, tempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";
import { aMessage, hear, twoChats } from "#harness/team/team-rig.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { PushKind } from "#src/contract/phone-frames.ts";
import { changePhones, readPhones } from "#src/machine/sharing/phones/phone-file.ts";

/** A folder with this program alone. */
function aProgram(name: string, script = ""): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}`, { mode: 0o755 });
  return folder;
}

/** A folder with a notify-send that writes down what it is given. */
function aDesktop(exit = 0): { readonly env: NodeJS.ProcessEnv; readonly shown: () => string[][] } {
  const out = join(temporaryFolder(), "out");
  const words = `for word in "$@"; do printf '%s\\036' "$word"; done`;
  const folder = aProgram("notify-send", `${words} >> "${out}"\nprintf '\\035' >> "${out}"\nexit ${exit}\n`);
  const shown = (): string[][] => {
    const calls = existsSync(out) ? readFileSync(out, "utf8").split("\u001d") : [];
    return calls.filter(Boolean).map((call) => call.split("\u001e").slice(0, -1));
  };
  return { env: { PATH: `${folder}:/usr/bin:/bin` }, shown };
}

/** A machine that notifies a webhook, after the host's first look. */
async function aWatch(more: object = {}, options: Omit<TempRuntimeOptions, "config"> = {}) {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ ...options, config: { notify: { webhook: receiver.url, ...more } } });
  const look = looksOf(runtime);
  await look();
  return { receiver, runtime, look };
}

it("a death, a waiting message and a critical risk are sent once, by the next host too; what was so before is not", async () => {
  const before = tempRuntime();
  const old = aDeadClaude(before, "an old one", { session: "old-chat" });
  const { receiver, runtime, look } = await aWatch({}, { beside: before });
  const dead = anotherClaude(runtime, old, { session: "dead-chat" });
  dead.turn("Make the parser faster", "a secret answer");
  hear(runtime, dead, aMessage("words of another"));
  dead.kill();
  const living = anotherClaude(runtime, old, { session: "living-chat", pid: 9_000 });
  living.turn("write the lexer");
  runtime.store.write((sql) => {
    const high = { contextFill: 1, sinceCheckpointMs: 10_000_000, hostMemory: 1, rateLimit: 1 };
    sessions.update(sql, living.session, { readings: someReadings(high, runtime.now()) });
  });
  hear(runtime, living, aMessage("words of another"));
  for (let n = 0; n < 5; n++) await look();
  await looksOf(runtime)();
  expect(receiver.bodies.map(({ event, session, title, text }) => [event, session, title, text])).toEqual([
    ["risk_critical", "living-chat", "write the lexer", '"write the lexer" is at critical risk'],
    ["chat_died", "dead-chat", "Make the parser faster", '"Make the parser faster" died (killed)'],
    ["message_waiting", "living-chat", "write the lexer", 'a message waits for "write the lexer"'],
  ]);
  expect(JSON.stringify(receiver.bodies)).not.toMatch(/secret answer|words of another|shim-project/);
  expect(Object.keys(receiver.bodies[0] ?? {})).toEqual(["event", "at", "session", "title", "text"]);
  expect(storedBytes(runtime.paths)).not.toContain("chat_died");
});

it("a chat whose process cannot be seen from here died when it is silent for ten minutes, once", async () => {
  const { receiver, runtime, look } = await aWatch();
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

it("a chat that its user has closed is no death, and one that died again is another", async () => {
  const { receiver, runtime, look } = await aWatch();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("x", "Which one?");
  runtime.wait(60_000);
  claude.end("other");
  for (const count of [0, 1, 2]) {
    await look();
    expect(receiver.bodies.map(({ event }) => event)).toEqual(Array(count).fill("chat_died"));
    claude.resume();
    claude.prompt("go on");
    claude.kill();
  }
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

it("a channel that fails is logged once until it works again, and holds up no other", async () => {
  const desktop = aDesktop();
  const { receiver, runtime, look } = await aWatch({ desktop: true }, { env: desktop.env });
  for (const [n, status] of [500, 307, 200, 500].entries()) {
    receiver.status = status;
    aDeadClaude(runtime, "x", { session: `chat-${n}` });
    await look();
    expect(runtime.logged).toHaveLength(n < 3 ? 1 : 2);
  }
  expect(runtime.logged[0]).toContain("the webhook answered 500");
  // A redirect is not followed.
  expect([receiver.bodies.length, desktop.shown().length]).toEqual([4, 4]);
});

const isAllowed = (webhook: string): boolean => configSchema().safeParse({ notify: { webhook } }).success;

it("a webhook is an https address, or one of this machine, without a password in it", () => {
  const allowed =
    "https://example.org/hook?x=1 https://example.org:8443 http://localhost:3000/hook http://127.0.0.1/hook http://[::1]:80/";
  const refused =
    "http://example.org/hook http://localhost.example.org/ http://127.0.0.1.example.org/ ftp://localhost/ " +
    "https://user:word@example.org/ http://localhost@example.org/ javascript:alert(1) ";
  expect(allowed.split(" ").filter((url) => !isAllowed(url))).toEqual([]);
  expect(refused.split(" ").filter(isAllowed)).toEqual([]);
});

it("the desktop gets the text as data, without a shell and without markup, and none of SHIM's secrets", async () => {
  const out = join(temporaryFolder(), "env");
  const PATH = `${aProgram("notify-send", `env > "${out}"`)}:/usr/bin:/bin`;
  await notifyDesktop("x", { PATH, SHIM_TOKEN: "shim1.secret" }, "linux");
  expect(readFileSync(out, "utf8")).not.toContain("shim1.secret");
  const desktop = aDesktop();
  await notifyDesktop('"<b>$(touch x)</b> & \\"; -e" died', desktop.env, "linux");
  expect(desktop.shown()).toEqual([
    ["--app-name=SHIM", "--", "SHIM", '"&lt;b&gt;$(touch x)&lt;/b&gt; &amp; \\"; -e" died'],
  ]);
  await expect(notifyDesktop("x", aDesktop(3).env, "linux")).rejects.toThrow("notify-send ended with 3");
  await expect(notifyDesktop("x", { PATH: "/nonexistent" }, "linux")).rejects.toThrow("ENOENT");
  await expect(notifyDesktop("x", { PATH: "/nonexistent" }, "darwin")).rejects.toThrow("osascript");
});

/** The browser's keys of a subscription. */
const browser = createECDH("prime256v1");
browser.generateKeys();
const auth = randomBytes(16);
const signer = createECDH("prime256v1");
signer.generateKeys();
/** The keys that the phone gives its machines. */
const vapid = { publicKey: signer.getPublicKey("base64url"), privateKey: signer.getPrivateKey("base64url") };

type Shown = Readonly<Record<"title" | "body" | "tag" | "url", string>>;
type Pushed = Readonly<{ data: Shown; raw: string; headers: IncomingMessage["headers"] }>;

/** A push service on loopback, which opens what it gets with the browser's keys. */
async function aPushService(): Promise<{ url: string; pushed: Pushed[]; answer: object }> {
  const pushed: Pushed[] = [];
  const answer = { status: 201, location: "" };
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    pushed.push({ data: opened(body) as Shown, raw: body.toString("latin1"), headers: request.headers });
    response.writeHead(answer.status, { location: answer.location }).end();
  };
  const url = await servedInTest(createServer((request, response) => void receive(request, response)));
  return { url, pushed, answer };
}

/** RFC 8291 and RFC 8188: salt (16), record size (4), key length (1), key, one record. */
function opened(body: Buffer): unknown {
  const [salt, length] = [body.subarray(0, 16), body[20] ?? 0];
  const sender = body.subarray(21, 21 + length);
  const record = body.subarray(21 + length);
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), browser.getPublicKey(), sender]);
  const secret = Buffer.from(hkdfSync("sha256", browser.computeSecret(sender), auth, info, 32));
  const derive = (use: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync("sha256", secret, salt, `Content-Encoding: ${use}\0`, bytes));
  const decipher = createDecipheriv("aes-128-gcm", derive("aes128gcm", 16), derive("nonce", 12));
  decipher.setAuthTag(record.subarray(-16));
  const text = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]).toString();
  return JSON.parse(text.slice(0, text.lastIndexOf("}") + 1));
}

/** A phone that is paired over a coordinator on loopback, and wants these kinds. */
async function aRig(kinds: readonly PushKind[], options: Parameters<typeof looksOf>[1] = {}, address = "") {
  const service = await aPushService();
  const runtime = tempRuntime();
  const now = runtime.now();
  const keys = { p256dh: browser.getPublicKey("base64url"), auth: auth.toString("base64url") };
  const subscription = { endpoint: `${address || service.url}/sub`, keys };
  const push = { subscription, keys: vapid, kinds: [...kinds] };
  const times = { pairedAt: now, seenAt: null, endsAt: now + 86_400_000 };
  const about = { id: "p1", name: "Pixel 9", browser: "b", key: "k", scope: "view" as const };
  const workspace = "http://127.0.0.1:1 team";
  const phones = [{ ...about, workspace, own: null, ...times, push, pushed: null }];
  changePhones(runtime.paths.home, now, () => ({ port: null, offered: [], phones }));
  const look = looksOf(runtime, options);
  await look();
  const chat = new Claude(runtime, { cwd: aProject(), session: "chat-1" });
  const told = (): string[] => service.pushed.map(({ data }) => data.body);
  return { ...service, runtime, look, chat, told };
}

it("a phone is notified once of each kind that it has chosen, and its browser alone can read it", async () => {
  const { pushed, runtime, look, chat, told } = await aRig(["waits", "died", "done"]);
  chat.prompt("Write the parser");
  runtime.wait(120_000);
  chat.stop("It is written.");
  for (let n = 0; n < 2; n++) await look();
  chat.prompt("And the lexer");
  chat.tell("Notification", { notification_type: "permission_prompt" });
  for (let n = 0; n < 2; n++) await look();
  chat.kill();
  for (let n = 0; n < 2; n++) await look();
  expect(told()).toEqual([
    '"Write the parser" is done',
    '"Write the parser" asks for a permission',
    '"Write the parser" died (killed)',
  ]);
  const [first] = pushed;
  expect(first?.data).toMatchObject({ title: "SHIM", url: "/#/chat/chat-1" });
  expect(first?.raw).not.toContain("parser");
  expect(first?.headers).toMatchObject({ "content-encoding": "aes128gcm", ttl: "3600" });
  expect(readPhones(runtime.paths.home).phones).toMatchObject([{ pushed: { at: expect.any(Number), problem: null } }]);
});

it("kinds that were not chosen, short turns, and what was so before, are not sent, and nothing after the end of a pairing", async () => {
  const { runtime, look, chat, told } = await aRig(["done"]);
  chat.turn("A short one");
  chat.prompt("Which?");
  chat.tell("Notification", { notification_type: "permission_prompt" });
  runtime.wait(120_000);
  await look();
  chat.kill();
  await look();
  runtime.wait(86_400_000);
  chat.resume();
  chat.prompt("Write the parser");
  runtime.wait(120_000);
  chat.stop("It is written.");
  await look();
  expect(told()).toEqual([]);
});

it("the machine signs for the push service (VAPID), drops a subscription that has ended, and asks for no dead tasks, which a phone does not show", async () => {
  let asked = 0;
  const options = { deadTasks: async () => ((asked += 1), []) };
  const { pushed, answer, runtime, look, chat, told } = await aRig(["died"], options);
  Object.assign(answer, { status: 410 });
  chat.turn("x");
  chat.kill();
  await look();
  expect([told(), asked]).toEqual([['"x" died (killed)'], 0]);
  const pushed410 = { at: expect.any(Number), problem: expect.stringContaining("takes no more notifications") };
  expect(readPhones(runtime.paths.home).phones).toMatchObject([{ name: "Pixel 9", push: null, pushed: pushed410 }]);
  const [, key] = /^(?:vapid|WebPush) t=[\w.-]+, ?k=(.+)$/.exec(pushed[0]?.headers.authorization ?? "") ?? [];
  expect(key).toBe(vapid.publicKey);
});

it("a phone cannot have the machine send to an address of its own network", async () => {
  const service = await aPushService();
  const redirecting = await aRig(["died"]);
  Object.assign(redirecting.answer, { status: 307, location: service.url });
  redirecting.chat.turn("x");
  redirecting.chat.kill();
  await redirecting.look();
  expect([redirecting.pushed.length, service.pushed]).toEqual([1, []]);
  const own = [service.url.replace("127.0.0.1", "localhost"), service.url.replace("http:", "https:")];
  const others = ["https://router/", "https://[::1]/", "https://printer.local/", "https://10.0.0.1/"];
  for (const address of [...own, ...others]) {
    const { runtime, look, chat } = await aRig(["died"], {}, address);
    chat.turn("x");
    chat.kill();
    await look();
    expect(service.pushed, address).toEqual([]);
    expect(runtime.logged.join()).toMatch(/is no public push service|begins with https/);
  }
});
