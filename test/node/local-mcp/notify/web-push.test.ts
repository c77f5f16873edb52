import { createDecipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import type { PushKind } from "#src/contract/phone-frames.ts";
import { changePhones, readPhones, newPushKeys } from "#src/machine/phones/phone-file.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { looksOf } from "#harness/machine/host-rig.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

/** The browser's keys of a subscription. */
const browser = createECDH("prime256v1");
browser.generateKeys();
const auth = randomBytes(16);

interface Pushed {
  readonly data: { readonly title: string; readonly body: string; readonly tag: string; readonly url: string };
  readonly raw: string;
  readonly headers: IncomingMessage["headers"];
}

/** A push service on loopback, which opens what it gets with the browser's keys. */
async function aPushService(): Promise<{ url: string; pushed: Pushed[]; answer: { status: number } }> {
  const pushed: Pushed[] = [];
  const answer = { status: 201 };
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    pushed.push({ data: opened(body) as Pushed["data"], raw: body.toString("latin1"), headers: request.headers });
    response.writeHead(answer.status).end();
  };
  const server = createServer((request, response) => void receive(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, pushed, answer };
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
function withPhone(runtime: TempRuntime, endpoint: string, kinds: readonly PushKind[]): void {
  const subscription = {
    endpoint,
    keys: { p256dh: browser.getPublicKey("base64url"), auth: auth.toString("base64url") },
  };
  const now = runtime.now();
  const phone = {
    id: "p1",
    name: "Pixel 9",
    key: "k",
    scope: "view" as const,
    workspace: "http://127.0.0.1:1 team",
    pairedAt: now,
    seenAt: null,
    endsAt: now + 86_400_000,
    push: { subscription, kinds: [...kinds] },
  };
  changePhones(runtime.paths.home, now, () => ({ pushKeys: newPushKeys(), offered: [], phones: [phone] }));
}

async function aRig(kinds: readonly PushKind[], options: Parameters<typeof looksOf>[1] = {}, address = "") {
  const service = await aPushService();
  const runtime = tempRuntime();
  withPhone(runtime, `${address || service.url}/sub`, kinds);
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
});

it("kinds that were not chosen, short turns, and what was so before, are not sent", async () => {
  const { runtime, look, chat, told } = await aRig(["done"]);
  chat.turn("A short one");
  chat.prompt("Which?");
  chat.tell("Notification", { notification_type: "permission_prompt" });
  runtime.wait(120_000);
  await look();
  chat.kill();
  await look();
  expect(told()).toEqual([]);
});

it("the coordinator is not asked for dead tasks while only phones are notified, which show none", async () => {
  let asked = 0;
  const { look, chat, told } = await aRig(["died"], { deadTasks: async () => ((asked += 1), []) });
  chat.turn("x");
  chat.kill();
  await look();
  expect([told(), asked]).toEqual([['"x" died (killed)'], 0]);
});

it("the machine signs for the push service (VAPID), and a subscription that has ended is dropped", async () => {
  const { pushed, answer, runtime, look, chat } = await aRig(["died"]);
  answer.status = 410;
  chat.turn("x");
  chat.kill();
  await look();
  const { phones, pushKeys } = readPhones(runtime.paths.home);
  expect(phones).toMatchObject([{ name: "Pixel 9", push: null }]);
  const [, key] = /^(?:vapid|WebPush) t=[\w.-]+, ?k=(.+)$/.exec(pushed[0]?.headers.authorization ?? "") ?? [];
  expect(key).toBe(pushKeys?.publicKey);
});

it("a phone cannot have the machine send to an address of its own network", async () => {
  const service = await aPushService();
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
