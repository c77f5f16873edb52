import { statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Granted, MachineFrame } from "#src/contract/phone-frames.ts";
import { readEdgeConfig, type EdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { PhoneRelay } from "#src/coordinator-client/phone-relay.ts";
import { nodePlatform, type Socket, type SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { PhoneLink } from "#src/local-mcp/host/phone-link.ts";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import {
  checkNumber,
  claimOf,
  newPhoneKeys,
  openGrant,
  readPairingFragment,
  sealIntroduction,
  type PairingLink,
  type PhoneKeys,
} from "#src/pairing/pairing.ts";
import { fromBase64url, randomText } from "#src/pairing/sealing.ts";
import { changePhones, readPhones } from "#src/machine/phones/phone-file.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { RealServer, type Seen } from "#harness/edge/real-server.ts";
import { aSeededHome, failed, ids, printed, type CliHome, type Ran } from "#harness/machine/cli-home.ts";

/** A phone without a browser: what its page does, over the real coordinator. */
class Phone {
  readonly #url: string;
  readonly #link: PairingLink;
  readonly #keys: PhoneKeys;
  readonly #claimant = randomText(16);
  granted: Granted | null = null;

  private constructor(url: string, link: PairingLink, keys: PhoneKeys) {
    this.#url = url;
    this.#link = link;
    this.#keys = keys;
  }

  /** One that has opened the link. */
  static async open(link: string, name: string): Promise<Phone> {
    const { origin, hash } = new URL(link);
    const read = readPairingFragment(hash);
    if (read === null) throw new Error(`no link: ${link}`);
    const phone = new Phone(origin, read, await newPhoneKeys());
    const introduction = await sealIntroduction(read, { publicKey: phone.#keys.publicKey, name });
    await phone.#post("introduction", { introduction });
    return phone;
  }

  get id(): string {
    return this.#link.id;
  }

  number(): Promise<string> {
    return checkNumber(this.#link, this.#keys.publicKey);
  }

  async takeGrant(): Promise<void> {
    const { grant } = await this.#post("grant", {});
    this.granted = typeof grant === "string" ? await openGrant(this.#link, this.#keys, grant) : null;
  }

  async #post(path: string, more: object): Promise<Record<string, unknown>> {
    const body = JSON.stringify({ claim: await claimOf(this.#link.secret), claimant: this.#claimant, ...more });
    const headers = { "content-type": "application/json" };
    const url = `${this.#url}/v1/phones/${this.#link.id}/${path}`;
    const answer = await fetch(url, { method: "POST", headers, body });
    return (await answer.json()) as Record<string, unknown>;
  }

  connect(): Promise<Connection> {
    const { access = "", key = "" } = this.granted ?? {};
    const address = `${this.#url.replace("http", "ws")}/v1/phones/${this.#link.id}/connect`;
    const headers = { origin: this.#url, "sec-websocket-protocol": `shim.phone, ${access}` };
    return Connection.open(address, headers, fromBase64url(key));
  }
}

/** A page of a phone with a session at its machine. */
class Connection {
  readonly closed: Promise<number>;
  readonly #socket: Socket;
  readonly #frames: string[] = [];
  #arrived: (() => void) | null = null;
  #channel: PhoneChannel | null = null;
  #lastId = 0;

  private constructor(address: string, headers: Record<string, string>) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.closed = promise;
    this.#socket = nodePlatform().openSocket(address, headers, {
      onOpen: () => undefined,
      onText: (text) => {
        this.#frames.push(text);
        this.#arrived?.();
      },
      onClose: (code) => resolve(code),
    });
    onTestFinished(() => this.#socket.close(1000));
  }

  static async open(address: string, headers: Record<string, string>, key: Uint8Array<ArrayBuffer>) {
    const connection = new Connection(address, headers);
    await connection.until(({ isThere }) => isThere === true);
    // As the page does: the machine may not be connected at the very moment in which it is announced.
    const ask = (): void => connection.#socket.send(JSON.stringify({ open: randomText(16) }));
    const asking = setInterval(ask, 1_000);
    ask();
    const { open: session, answer } = await connection.until((frame) => "answer" in frame);
    clearInterval(asking);
    connection.#channel = await PhoneChannel.open("phone", key, String(session), String(answer));
    return connection;
  }

  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return JSON.parse(frame) as Record<string, unknown>;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await promise;
    }
  }

  async until(isWanted: (frame: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const frame = await this.next();
      if (isWanted(frame)) return frame;
    }
  }

  async ask(name: string): Promise<MachineFrame> {
    return this.request({ name, input: {} });
  }

  async request(content: Record<string, unknown>): Promise<MachineFrame> {
    const id = (this.#lastId += 1);
    this.#socket.send(JSON.stringify(await this.#channel?.seal({ id, ...content })));
    for (;;) {
      const frame = await this.opened();
      if ("id" in frame && frame.id === id) return frame;
    }
  }

  /** The next sealed frame of the machine. */
  async opened(): Promise<MachineFrame> {
    return (await this.#channel?.open((await this.next()) as unknown as SealedFrame)) as MachineFrame;
  }
}

/** A machine in a workspace of a real coordinator, and its host's connections with phones. */
async function aMachine(): Promise<{ home: CliHome; links: PhoneLinks }> {
  const home = aSeededHome();
  const edge = await EdgeRuntime.open();
  await edge.join(home.runtime.paths.home, "m1");
  const links = new PhoneLinks(home.runtime);
  onTestFinished(() => links.close());
  return { home, links };
}

function edgeOf({ runtime: { paths, env } }: CliHome): EdgeConfig {
  const edge = readEdgeConfig(paths.home, env);
  if (!edge.ok || !edge.value) throw new Error("no workspace");
  return edge.value;
}

/** To the coordinator; the answer to a grant is lost. */
async function passOn(
  url: string,
  { method, url: path, headers, body }: Seen,
  response: ServerResponse,
): Promise<void> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { "content-type": "application/json", authorization: headers.authorization ?? "" },
    ...(body === "" ? {} : { body }),
  });
  const text = await answer.text();
  if (method === "PUT") response.destroy();
  else response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
}

interface Pairing {
  readonly ran: Ran;
  readonly phone: Phone;
}

/** `shim pair` on a terminal, whose user answers; the phone opens the link that was printed. */
async function pair(home: CliHome, words = "pair", reply = "y", name = "Pixel 9, Chrome"): Promise<Pairing> {
  const opened: Phone[] = [];
  let [asked, err] = ["", ""];
  const wait = async (): Promise<void> => {
    const [link = ""] = /http\S+#pair=\S+/.exec(err) ?? [];
    if (opened.length === 0) opened.push(await Phone.open(link, name));
  };
  const terminal = { isInteractive: true, interrupted: () => new AbortController().signal };
  const stderr = (text: string): void => void (err += text);
  const ask = async (question: string) => ((asked = question), reply);
  const ran = await home.shimWith({ ...terminal, stderr, wait, ask }, words);
  const [phone] = opened;
  if (!phone) throw new Error(`nothing was offered: ${ran.out}${err}`);
  const shown = name.replace("\n", " ");
  expect(asked).toContain(`"${shown}" has opened the link. Does it show ${await phone.number()}`);
  await phone.takeGrant();
  return { ran: { ...ran, err }, phone };
}

it("a phone that was paired sees the chats of its machine, and learns that they have changed", async () => {
  const { home, links } = await aMachine();
  const { ran, phone } = await pair(home);
  expect(ran).toMatchObject(printed("Pixel 9, Chrome is paired until"));
  links.refresh();
  const page = await phone.connect();
  const fleet = (await page.ask("page.fleet")) as { value: { rows: { id: string }[] } };
  expect(fleet.value.rows.map(({ id }) => id)).toContain(ids.dead);
  links.changed("sessions");
  expect(await page.opened()).toHaveProperty("changed");
  expect(await home.shim("phones list")).toMatchObject(printed(/Pixel 9, Chrome .* view /));
  expect(readPhones(home.runtime.paths.home).phones[0]?.seenAt).toBe(home.now);
});

it("a phone calls nothing that its scope does not have, and nothing that the page does not have", async () => {
  const { home, links } = await aMachine();
  const { phone } = await pair(home);
  links.refresh();
  const page = await phone.connect();
  for (const name of ["sessions.forget", "recovery.dismiss", "config.set", "tokens.create", "phones.offer", "nothing"])
    expect([name, await page.ask(name)]).toMatchObject([name, { error: { code: "forbidden" } }]);
});

it("the user says no: the phone gets nothing, and the link is of no more use", async () => {
  const { home, links } = await aMachine();
  const { ran, phone } = await pair(home, "pair", "n");
  expect(ran).toMatchObject(failed(1, "nothing was paired, and the link is withdrawn"));
  expect(phone.granted).toBeNull();
  links.refresh();
  expect(readPhones(home.runtime.paths.home)).toMatchObject({ phones: [], offered: [] });
});

it("a coordinator that names another phone after the user has compared the number pairs none", async () => {
  const { home } = await aMachine();
  const { id = "", link = "" } = (await home.json("call phones.offer")) as { id?: string; link?: string };
  await Phone.open(link, "Pixel 9");
  const ran = await home.shim("call", "phones.decide", `id=${id}`, "number=000 000");
  expect(ran).toMatchObject(failed(2, "another phone than the one that was compared: nothing was paired"));
  expect(readPhones(home.runtime.paths.home)).toMatchObject({ phones: [], offered: [] });
});

it("a phone that is removed is cut off at once, also where the coordinator is away", async () => {
  const { home, links } = await aMachine();
  const { phone } = await pair(home);
  links.refresh();
  const page = await phone.connect();
  expect(await home.shim("phones remove Pixel")).toMatchObject(failed(3, "no phone is paired as Pixel"));
  expect(await home.shim("phones", "remove", "Pixel 9, Chrome")).toMatchObject(printed("is no longer paired"));
  links.refresh();
  expect(await page.closed).toBe(4001);
  expect(await home.shim("phones list")).toMatchObject(printed("No phone is paired"));
  await pair(home);
  home.join("http://127.0.0.1:9", { machine: "m1" });
  const ran = await home.shim("phones", "remove", "Pixel 9, Chrome");
  expect(ran).toMatchObject(printed("The coordinator did not confirm it"));
  expect(readPhones(home.runtime.paths.home).phones).toEqual([]);
});

it("keys are in a file that its user alone reads; a phone whose time is over is dropped with its key", async () => {
  const { home, links } = await aMachine();
  await pair(home, "pair --for 2h");
  const file = join(home.runtime.paths.home, "phones.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  links.refresh();
  home.now += 2 * 3_600_000;
  expect(await home.shim("phones list")).toMatchObject(printed("No phone is paired"));
  expect(changePhones(home.runtime.paths.home, home.now, (same) => same).phones).toEqual([]);
});

it("a notification is chosen by the phone; it is listed, and ends with it", async () => {
  const { home, links } = await aMachine();
  const { phone } = await pair(home);
  links.refresh();
  const page = await phone.connect();
  const push = { endpoint: "https://push.example/1", keys: { p256dh: "a", auth: "b" } };
  expect(await page.request({ push, kinds: ["waits", "died"] })).toMatchObject({ value: {} });
  expect(await home.shim("phones list")).toMatchObject(printed("waits, died"));
  await page.request({ push: null, kinds: [] });
  expect(readPhones(home.runtime.paths.home).phones[0]?.push).toBeNull();
});

it("without a workspace, a terminal, or a time in between, the refusal says what to do", async () => {
  const home = aSeededHome();
  expect(await home.shim("pair")).toMatchObject(failed(2, "run `shim pair` in a terminal"));
  const terminal = { isInteractive: true };
  expect(await home.shimWith(terminal, "pair")).toMatchObject(failed(1, "`shim workspace join <name>` joins one"));
  expect(await home.shimWith(terminal, "pair --for 2y")).toMatchObject({ code: 2 });
  expect(await home.shimWith(terminal, "pair --for 400d")).toMatchObject(failed(2, "a minute to a year"));
});

it("a command that a chat has started pairs no phone: it might answer its own requests by it", async () => {
  const { home } = await aMachine();
  const terminal = { isInteractive: true, env: { ...home.runtime.env, CLAUDE_CODE_SESSION_ID: "x" } };
  expect(await home.shimWith(terminal, "pair --answer")).toMatchObject(failed(1, "only its user may pair a phone"));
  expect(readPhones(home.runtime.paths.home).offered).toEqual([]);
});

it("the name of a phone is one line, so that it forges none in the terminal", async () => {
  const { home } = await aMachine();
  await pair(home, "pair", "y", "Pixel\nis yours");
  expect(readPhones(home.runtime.paths.home).phones).toMatchObject([{ name: "Pixel is yours" }]);
});

it("where the machine has another token, its phones are connected by it", async () => {
  const { home, links } = await aMachine();
  const { phone } = await pair(home);
  const { url, workspace, token } = edgeOf(home);
  home.join(url, { workspace, machine: "m1", token: "not-valid" });
  links.refresh();
  home.join(url, { workspace, machine: "m1", token });
  links.refresh();
  const page = await phone.connect();
  expect(await page.ask("page.fleet")).toHaveProperty("value");
});

it("a link that is refused waits longer each time until a ping is answered, and long where its pairing is gone", async () => {
  const waits: number[] = [];
  let opened: SocketEvents | null = null;
  let isGone = false;
  const due: (() => void)[] = [];
  const phone = { id: "p", name: "Pixel 9", key: randomText(32), scope: "view" as const, workspace: "", endsAt: 1 };
  const link = new PhoneLink({
    phone: { ...phone, pairedAt: 0, seenAt: null, push: null },
    connect: (events) => {
      opened = events;
      return { send: () => undefined, close: () => undefined };
    },
    isGone: async () => isGone,
    setTimer: (work, ms) => {
      waits.push(ms);
      due.push(work);
      return () => undefined;
    },
    call: async () => ({ ok: true, value: {} }),
    onPush: () => undefined,
    onSeen: () => undefined,
    log: () => undefined,
  });
  onTestFinished(() => link.close());
  /** @param texts received; null: the connection was refused */
  const waitAfter = async (texts: readonly string[] | null): Promise<number | undefined> => {
    if (texts !== null) opened?.onOpen();
    for (const text of texts ?? []) opened?.onText(text);
    waits.length = 0;
    opened?.onClose(1006, "");
    await new Promise(setImmediate);
    due.at(-1)?.();
    return waits[0];
  };
  const waited: unknown[] = [];
  for (const texts of [[], [], null, ["pong"], []]) waited.push(await waitAfter(texts));
  isGone = true;
  waited.push(await waitAfter(null));
  expect(waited).toEqual([1_000, 2_000, 4_000, 1_000, 2_000, 600_000]);
});

it("the list says what the coordinator says: a pairing that it no longer has, and that it confirms none", async () => {
  const { home } = await aMachine();
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
  home.join(url, { workspace, machine: "m1", token });
  await new PhoneRelay({ url, workspace, token }).remove(phone.id);
  expect(await home.shim("phones list")).toMatchObject(
    printed("ended at the coordinator: remove the phone and pair it again"),
  );
});

it("a machine that connects before the phone has its grant connects again soon", async () => {
  const { home, links } = await aMachine();
  const checked = Promise.withResolvers<void>();
  const { fetch: send } = globalThis;
  let isGranting = false;
  const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (...request) => {
    const [, { method = "GET" } = {}] = request;
    if (method === "PUT") {
      isGranting = true;
      links.refresh();
      await checked.promise;
    }
    const answer = await send(...request);
    if (isGranting && method === "GET") checked.resolve();
    return answer;
  });
  onTestFinished(() => spy.mockRestore());
  const { phone } = await pair(home);
  const page = await phone.connect();
  expect(await page.ask("page.fleet")).toHaveProperty("value");
});

it("where the answer to its grant is lost, a phone is paired neither here nor there", async () => {
  const { home } = await aMachine();
  const { url, workspace, token } = edgeOf(home);
  const proxy = await RealServer.listen();
  proxy.answer = (request, response) => void passOn(url, request, response);
  home.join(proxy.url, { workspace, machine: "m1", token });
  const { ran, phone } = await pair(home);
  expect(ran).toMatchObject(failed(1, "does not answer"));
  expect(readPhones(home.runtime.paths.home).phones).toEqual([]);
  expect(proxy.seen.map(({ method }) => method)).toContain("PUT");
  expect(phone.granted).toBeNull();
  expect(await new PhoneRelay({ url, workspace, token }).isPaired(phone.id)).toBe(false);
});
