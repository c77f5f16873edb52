import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { PhoneRelay } from "#src/coordinator-client/phone-relay.ts";
import type { SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { PhoneLink } from "#src/local-mcp/host/phone-link.ts";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { changePhones, readPhones } from "#src/machine/sharing/phones/phone-file.ts";
import { randomText } from "#src/pairing/sealing.ts";
import type { PhonePush } from "#src/contract/phone-frames.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { pair, Phone } from "#harness/machine/phone.ts";
import { patience } from "#harness/machine/programs.ts";
import { madeWorkspace } from "../../../scripts/local-edge.ts";
import { aSeededHome, edgeOf, failed, ids, printed, type CliHome } from "#harness/machine/cli-home.ts";

/** A machine in a workspace of a real coordinator, and its host's connections with phones. */
async function aMachine(): Promise<{ home: CliHome; links: PhoneLinks; edge: EdgeRuntime }> {
  const home = aSeededHome();
  const edge = await EdgeRuntime.open();
  await edge.join(home.runtime.paths.home, "m1");
  const links = new PhoneLinks(home.runtime);
  onTestFinished(() => links.close());
  return { home, links, edge };
}

/** The requests of this process to the coordinator pass through here until the end of the test. */
function onRequests(pass: (method: string, send: () => Promise<Response>) => Promise<Response>): void {
  const { fetch: send } = globalThis;
  const spy = vi.spyOn(globalThis, "fetch");
  spy.mockImplementation((...request) => pass(request[1]?.method ?? "GET", () => send(...request)));
  onTestFinished(() => spy.mockRestore());
}

/** A phone that is paired and connected. */
async function aConnectedPhone() {
  const machine = await aMachine();
  const { ran, phone } = await pair(machine.home);
  machine.links.refresh();
  return { ...machine, ran, phone, page: await phone.connect() };
}

it("a phone that was paired sees the chats of its machine, learns that they have changed, and chooses its notifications, which are listed and end with it", async () => {
  const { home, links, ran, phone, page } = await aConnectedPhone();
  expect(ran).toMatchObject(printed("Pixel 9, Chrome is paired until"));
  const fleet = await page.call("page.fleet", {});
  expect(fleet).toMatchObject({ value: { rows: expect.arrayContaining([expect.objectContaining({ id: ids.dead })]) } });
  links.changed("sessions");
  await vi.waitFor(() => expect(phone.changes).not.toEqual([]), patience);
  expect(await home.shim("phones list")).toMatchObject(printed(/Pixel 9, Chrome .* view /));
  expect(readPhones(home.runtime.paths.home).phones[0]?.seenAt).toBe(home.now);
  const subscription = { endpoint: "https://push.invalid/1", keys: { p256dh: "a", auth: "b" } };
  const keys = { publicKey: "p".repeat(87), privateKey: "k".repeat(43) };
  const push: PhonePush = { subscription, keys, kinds: ["waits", "died"] };
  expect(await page.setPush(push, false)).toEqual({ ok: true, value: { last: null } });
  expect(await home.shim("phones list")).toMatchObject(printed("waits, died"));
  const tried = await page.setPush(push, true);
  expect(tried).toMatchObject({ value: { last: { ageMs: 0, problem: expect.any(String) } } });
  expect(await home.shim("phones list")).toMatchObject(printed(/waits, died; last .*ago: ./));
  await page.setPush(null, false);
  expect(readPhones(home.runtime.paths.home).phones[0]?.push).toBeNull();
});

it("a phone calls nothing that its scope does not have, and nothing that the page does not have", async () => {
  const { page } = await aConnectedPhone();
  for (const name of ["sessions.forget", "recovery.dismiss", "config.set", "tokens.create", "phones.offer", "nothing"])
    expect([name, await page.call(name as never, {} as never)]).toMatchObject([name, { error: { code: "forbidden" } }]);
});

it("the user says no: the phone gets nothing, and the link is of no more use", async () => {
  const { home, links } = await aMachine();
  const { ran, phone } = await pair(home, "pair", "n");
  expect(ran).toMatchObject(failed(1, "nothing was paired, and the link is withdrawn"));
  expect(phone.granted).toBeNull();
  links.refresh();
  expect(readPhones(home.runtime.paths.home)).toMatchObject({ phones: [], offered: [] });
});

it("Ctrl-C, and the end of its time, withdraw a link that no phone has opened", async () => {
  const { home } = await aMachine();
  const stop = new AbortController();
  const io = { isInteractive: true, interrupted: () => stop.signal };
  const late = { ...io, wait: async () => void (home.now += 3_600_000) };
  expect(await home.shimWith(late, "pair")).toMatchObject(failed(1, "in time"));
  expect(readPhones(home.runtime.paths.home).offered).toEqual([]);
  const { id = "" } = (await home.json("call phones.offer")) as { id?: string };
  home.now += 3_600_000;
  expect(await home.shim("call", "phones.opened", `id=${id}`)).toMatchObject(failed(3, "the link is over"));
  await home.json("call phones.offer");
  expect(readPhones(home.runtime.paths.home).offered).toHaveLength(1);
  home.now += 3_600_000;
  const interrupted = { ...io, wait: async () => stop.abort() };
  expect(await home.shimWith(interrupted, "pair")).toMatchObject(failed(130, "the link is withdrawn"));
  expect(readPhones(home.runtime.paths.home).offered).toEqual([]);
});

it("a coordinator that names another phone after the user has compared the number pairs none, and neither does a command that a chat has started: it might answer its own requests by it", async () => {
  const { home } = await aMachine();
  const { id = "", link = "" } = (await home.json("call phones.offer")) as { id?: string; link?: string };
  await Phone.open(link, "Pixel 9");
  const ran = await home.shim("call", "phones.decide", `id=${id}`, "number=000 000");
  expect(ran).toMatchObject(failed(2, "another phone than the one that was compared: nothing was paired"));
  const terminal = { isInteractive: true, env: { ...home.runtime.env, CLAUDE_CODE_SESSION_ID: "x" } };
  expect(await home.shimWith(terminal, "pair --answer")).toMatchObject(failed(1, "only its user may pair a phone"));
  expect(readPhones(home.runtime.paths.home)).toMatchObject({ phones: [], offered: [] });
});

it("a phone that is removed is cut off at once, also where its coordinator or its workspace is another one now", async () => {
  const { home, links, edge, phone } = await aConnectedPhone();
  expect(await home.shim("phones remove Pixel")).toMatchObject(failed(3, 'there is no phone "Pixel"'));
  expect(await home.shim("phones", "remove", "Pixel 9, Chrome")).toMatchObject(printed("is no longer paired"));
  links.refresh();
  await phone.over.promise;
  expect(await home.shim("phones list")).toMatchObject(printed("No phone is paired"));
  // Where the machine is now, nobody knows the phone, and that ends no pairing.
  const another = { url: edge.url, workspace: "another", token: await madeWorkspace(edge, "another") };
  for (const { url, ...rest } of [{ url: "http://127.0.0.1:9" }, another]) {
    await edge.join(home.runtime.paths.home, "m1");
    await pair(home);
    home.join(url, { machine: "m1", ...rest });
    const ran = await home.shim("phones", "remove", "Pixel 9, Chrome");
    expect(ran).toMatchObject(printed("The coordinator did not confirm it"));
    expect(readPhones(home.runtime.paths.home).phones).toEqual([]);
  }
});

it("without a workspace, a terminal, or a time in between, the refusal says what to do", async () => {
  const home = aSeededHome();
  expect(await home.shim("pair")).toMatchObject(failed(2, "run `shim pair` in a terminal"));
  const terminal = { isInteractive: true };
  expect(await home.shimWith(terminal, "pair")).toMatchObject(failed(1, "`shim workspace join <name>` joins one"));
  expect(await home.shimWith(terminal, "pair --for 2y")).toMatchObject({ code: 2 });
  for (const time of ["400d", "59s"])
    expect(await home.shimWith(terminal, `pair --for ${time}`)).toMatchObject(failed(2, "a minute to a year"));
});

it("a phone that is paired with the same machine again replaces its earlier pairing, which the terminal says and the phone learns; another phone replaces none", async () => {
  const { home, links } = await aMachine();
  const browser = randomText(16);
  const first = await pair(home, "pair", "y", "Pixel 9, Chrome", browser);
  expect(first.ran.err).not.toContain("already");
  await pair(home, "pair", "y", "iPhone, Safari");
  links.refresh();
  await first.phone.connect();
  const again = await pair(home, "pair --answer", "y", "Pixel 9, Chrome", browser);
  expect(again.ran.err).toContain(
    '"Pixel 9, Chrome" is paired with this machine already: this pairing replaces that one.',
  );
  expect(again.phone.granted?.replaced).toEqual([first.phone.id]);
  await first.phone.over.promise;
  const { phones } = readPhones(home.runtime.paths.home);
  expect(phones.map(({ name, scope }) => `${name}: ${scope}`)).toEqual([
    "iPhone, Safari: view",
    "Pixel 9, Chrome: answer",
  ]);
});

it("the name of a phone is one line, so that it forges none in the terminal; keys are in a file that its user alone reads, and a phone whose time is over is dropped with its key", async () => {
  const { home, links } = await aMachine();
  await pair(home, "pair --for 2h", "y", "Pixel\nis yours");
  expect(readPhones(home.runtime.paths.home).phones).toMatchObject([{ name: "Pixel is yours" }]);
  await pair(home, "pair --for 2h", "y", "Pixel\nis yours");
  const several = failed(2, '"Pixel is yours" matches several phones');
  expect(await home.shim("phones", "remove", "Pixel is yours")).toMatchObject(several);
  expect(readPhones(home.runtime.paths.home).phones).toHaveLength(2);
  expect(statSync(join(home.runtime.paths.home, "phones.json")).mode & 0o777).toBe(0o600);
  links.refresh();
  home.now += 2 * 3_600_000;
  expect(await home.shim("phones list")).toMatchObject(printed("No phone is paired"));
  expect(changePhones(home.runtime.paths.home, home.now, (same) => same).phones).toEqual([]);
});

it("a coordinator that is not reached is tried again within three seconds, one that refuses after a minute, one whose pairing is gone after ten", async () => {
  const time = new FakeTime();
  let opened: SocketEvents | null = null;
  let refusal: "gone" | "refused" | null = null;
  let connections = 0;
  const phone = { id: "p", name: "Pixel 9", key: randomText(32), scope: "view" as const, workspace: "", endsAt: 1 };
  const link = new PhoneLink({
    phone: { ...phone, own: null, browser: "", pairedAt: 0, seenAt: null, push: null, pushed: null },
    connect: (events) => {
      opened = events;
      connections += 1;
      return { send: () => undefined, close: () => undefined };
    },
    refusal: async () => refusal,
    setTimer: time.setTimer,
    now: () => time.now,
    call: async () => ({ ok: true, value: {} }),
    onPush: async () => ({ last: null }),
    onSeen: () => undefined,
    log: () => undefined,
  });
  onTestFinished(() => link.close());
  const refuse = async (ms: number): Promise<number> => {
    opened?.onClose(1006, "");
    await time.pass(ms);
    return connections;
  };
  expect(await refuse(3_000)).toBe(3);
  for (const [why, ms] of [
    ["refused", 60_000],
    ["gone", 600_000],
  ] as const) {
    refusal = why;
    const before = connections;
    expect([await refuse(ms - 1_000), await time.pass(1_000), connections]).toEqual([before, undefined, before + 1]);
  }
});

it("the list says what the coordinator says: a pairing that it no longer has, and that it confirms none; where the machine has another token, its phones are connected by it", async () => {
  const { home, links } = await aMachine();
  const { phone } = await pair(home);
  const { url, workspace, token } = edgeOf(home);
  expect(await home.shim("phones list")).toMatchObject(printed(/Pixel 9, Chrome .* view .*:\d\d +-\n$/));
  for (const [address, other] of [
    ["http://127.0.0.1:9", { workspace, token }],
    [url, { workspace: "another", token }],
    [url, { workspace, token: "not-valid" }],
  ] as const) {
    home.join(address, { machine: "m1", ...other });
    expect(await home.shim("phones list")).toMatchObject(printed("(not confirmed by the coordinator)"));
  }
  // With the token that is not valid, then with the new one.
  links.refresh();
  home.join(url, { workspace, machine: "m1", token });
  links.refresh();
  const page = await phone.connect();
  expect(await page.call("page.fleet", {})).toHaveProperty("value");
  await new PhoneRelay({ url, workspace, token }).end({ id: phone.id });
  const ended = printed("ended at the coordinator: remove the phone and pair it again");
  expect(await home.shim("phones list")).toMatchObject(ended);
  const removed = await home.shim("phones", "remove", "Pixel 9, Chrome");
  expect([removed.code, removed.out.includes("did not confirm")]).toEqual([0, false]);
});

it("a machine that connects before the phone has its grant connects again soon", async () => {
  const { home, links } = await aMachine();
  const checked = Promise.withResolvers<void>();
  let isGranting = false;
  onRequests(async (method, send) => {
    if (method === "PUT") {
      isGranting = true;
      links.refresh();
      await checked.promise;
    }
    const answer = await send();
    if (isGranting && method === "GET") checked.resolve();
    return answer;
  });
  const { phone } = await pair(home);
  const page = await phone.connect();
  expect(await page.call("page.fleet", {})).toHaveProperty("value");
});

it("where the answer to its grant is lost, a phone is paired neither here nor there", async () => {
  const { home } = await aMachine();
  let grants = 0;
  onRequests(async (method, send) => {
    const answer = await send();
    if (method !== "PUT") return answer;
    grants += 1;
    throw new TypeError("fetch failed");
  });
  const { ran, phone } = await pair(home);
  expect(ran).toMatchObject(failed(1, "does not answer"));
  expect(readPhones(home.runtime.paths.home).phones).toEqual([]);
  expect([grants > 0, phone.granted]).toEqual([true, null]);
  expect(await new PhoneRelay(edgeOf(home)).isPaired(phone.id)).toBe(false);
});
