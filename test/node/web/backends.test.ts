import { expect, it, onTestFinished, vi } from "vitest";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";
import type { Operation } from "#src/contract/operation.ts";
import { offeredOn, operations } from "#src/contract/operations.ts";
import { EdgeBackend, routeOf, workspaceOf } from "#src/web/edge-backend.ts";
import type { Granted } from "#src/contract/phone-frames.ts";
import { checkNumber, newPairingSecret, openIntroduction, sealGrant, type PairingLink } from "#src/pairing/pairing.ts";
import { randomText } from "#src/pairing/sealing.ts";
import { refused, type Answer } from "#src/web/backend.ts";
import { awaitGrant, beginPairing, introduce, numberOf, pairingTrouble, phoneName } from "#src/web/phone/pair.ts";

it("the page asks the Worker at the routes of the operations, and for none of a machine", async () => {
  for (const name of offeredOn("page")) {
    const { method, path }: Operation = operations[name];
    expect([name, routeOf(name)]).toEqual([name, `${method} ${path}`]);
  }
  const readFromWorkspace: ReadonlySet<string> = new Set(["page.fleet", "page.messages", "page.audit"]);
  const ofPage = machineOperationNames.filter(
    (name) => machineOperations[name].surfaces.includes("page") && !readFromWorkspace.has(name),
  );
  expect(ofPage).toContain("experiments.list");
  const error = { code: "unknown_operation", message: "this is only on the machine of the chat" };
  for (const name of ofPage)
    expect([name, await new EdgeBackend("team-1", "").call(name, {} as never)]).toEqual([name, { ok: false, error }]);
});

it("of a workspace the page has all chats, the cost in dollars, and what a message lacks; an action has its request's id", async () => {
  const chats = [
    { chats: [{ chat: "c1" }], cursor: "c1" },
    { chats: [{ chat: "c2" }], cursor: null },
  ];
  const message = { id: 1, text: "hello", isClipped: true, expiresInMs: 0, target: { to: "chat", chat: "c2" } };
  const asked: string[] = [];
  vi.stubGlobal("location", { host: "team.example" });
  vi.stubGlobal("fetch", async (url: string, { method, body = "" }: { method: string; body?: string }) => {
    asked.push(`${method} ${url} ${body}`);
    if (url.includes("/chats")) return Response.json(chats.shift());
    return Response.json({ today: { costMicros: 1_250_000 }, messages: [message], isReleased: true });
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  const page = new EdgeBackend("team-1", "token");
  const fleet = await page.call("page.fleet", {});
  expect(fleet).toMatchObject({ value: { chats: [{ chat: "c1" }, { chat: "c2" }], costUsdToday: 1.25 } });
  const messages = [{ text: "hello …", to: "c2", topic: null, status: "expired" }];
  expect(await page.call("page.messages", {})).toMatchObject({ value: { messages } });
  await page.call("chats.drain", { chat: "c1", reason: "no" }, "r1");
  await page.call("tokens.revoke", { id: "t1" }, "r2");
  const base = "/v1/workspaces/team-1";
  expect(asked).toEqual([
    `GET ${base}/chats?limit=200 `,
    `GET ${base}/chats?limit=200&cursor=c1 `,
    `GET ${base}/budgets `,
    `GET ${base}/messages?limit=200 `,
    `POST ${base}/chats/drain {"chat":"c1","reason":"no","requestId":"r1"}`,
    `POST ${base}/tokens/revoke {"id":"t1"}`,
  ]);
});

it("the workspace is read from the token; anything else is none", () => {
  const payload = Buffer.from(JSON.stringify({ w: "team-1", i: "tok" })).toString("base64url");
  expect(workspaceOf(`shim_${payload}.signature`)).toBe("team-1");
  for (const wrong of ["", "shim_", "shim_e30.x", "hello", "shim_%%%.x"]) expect(workspaceOf(wrong)).toBe(null);
});

const link: PairingLink = { id: "i".repeat(44), secret: newPairingSecret() };
const of = { machine: "ada-laptop", scope: "answer", endsAt: 1, replaced: [] } as const;
const granted: Granted = { ...of, key: randomText(32), access: randomText(32) };

const browser = randomText(16);

/** A coordinator that gives these answers, one after the other. */
function answering(...answers: Answer<unknown>[]) {
  const asked: [path: string, body: Record<string, string>][] = [];
  const post = async (path: string, body: object): Promise<Answer<unknown>> => {
    asked.push([path, body as Record<string, string>]);
    return answers.shift() ?? refused("internal", "no answer is left");
  };
  return { asked, post, wait: async () => undefined, now: () => 7 };
}

it("a phone introduces itself sealed, shows the number of the terminal, and waits for the grant through failures", async () => {
  const pairing = await beginPairing(link, "Pixel 9, Chrome", browser);
  const deps = answering(
    { ok: true, value: null },
    { ok: true, value: { grant: null } },
    refused("unreachable", "offline"),
    refused("throttled", "slow down"),
    { ok: true, value: { grant: await sealGrant(link, pairing.keys.publicKey, granted) } },
  );
  await introduce(pairing, deps);
  const [path, body] = deps.asked[0] ?? ["", {}];
  expect(path).toBe(`/v1/phones/${link.id}/introduction`);
  const introduction = await openIntroduction(link, body["introduction"] ?? "");
  expect(introduction).toMatchObject({ name: "Pixel 9, Chrome", browser });
  expect(await numberOf(pairing)).toBe(await checkNumber(link, introduction?.publicKey ?? ""));
  const { key, ...rest } = granted;
  const answer = await awaitGrant(pairing, deps, new AbortController().signal);
  expect(answer).toMatchObject({ ok: true, value: { ...rest, id: link.id, heardAt: 7 } });
  expect(answer.ok && answer.value.key.extractable).toBe(false);
  expect(JSON.stringify([answer, deps.asked])).not.toContain(key);
  expect(JSON.stringify(deps.asked)).not.toContain(link.secret);
  expect(new Set(deps.asked.slice(1).map(([to]) => to))).toEqual(new Set([`/v1/phones/${link.id}/grant`]));
});

it("a link that is over, one that another phone has opened, and a grant of another machine end the wait, in words", async () => {
  const pairing = await beginPairing(link, "phone", browser);
  const forged = await sealGrant({ ...link, secret: newPairingSecret() }, pairing.keys.publicKey, granted);
  const ends = [
    [refused("unknown_phone", "over"), "expired"],
    [refused("phone_claimed", "claimed"), "Another phone"],
    [{ ok: true, value: { grant: forged } }, "not from your machine"],
  ] as const;
  for (const [answer, words] of ends) {
    const found = await awaitGrant(pairing, answering(answer), new AbortController().signal);
    expect([words, found.ok ? "" : pairingTrouble(found.error)]).toEqual([words, expect.stringContaining(words)]);
  }
});

it("a phone names itself by its model and its browser", () => {
  const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";
  const android = "Mozilla/5.0 (Linux; Android 16; K) Chrome/150.0.0.0";
  expect([
    phoneName(`${iphone} Version/18.0 Mobile/1 Safari/604.1`),
    phoneName(`${iphone} CriOS/150.0 Mobile/1 Safari/604.1`),
    phoneName(android, "Pixel 9"),
    phoneName(`${android.replace("K", "SM-S931B")} EdgA/150.0.0.0`),
    phoneName(""),
  ]).toEqual(["iPhone, Safari", "iPhone, Chrome", "Pixel 9, Chrome", "SM-S931B, Edge", "a device, a browser"]);
});
