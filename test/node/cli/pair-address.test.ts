import * as jsqr from "jsqr";
import { expect, it, onTestFinished, vi } from "vitest";
import { aSeededHome, failed, ids, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { pair } from "#harness/machine/phone.ts";
import { pictureAfter, themes } from "#harness/machine/screen.ts";
import { fakeBundle } from "#harness/web/live-page.ts";
import { freePort, servedInTest } from "#harness/edge/real-server.ts";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { readPhones } from "#src/machine/sharing/phones/phone-file.ts";

const decode = jsqr.default as unknown as typeof jsqr.default.default;

/** A machine in no workspace, its host's connections with phones, and a port of loopback that is free. */
async function aMachine(): Promise<{ home: CliHome; links: PhoneLinks; port: number }> {
  const home = aSeededHome();
  fakeBundle(home);
  const links = new PhoneLinks(home.runtime);
  onTestFinished(() => links.stop());
  home.ownRelay = async () => links.door;
  return { home, links, port: await freePort() };
}

it("without a workspace a phone is paired over an address of the user, through this machine's own relay: it sees the chats, after a new host too, and is cut off when it is removed", async () => {
  const { home, links, port } = await aMachine();
  const { ran, phone } = await pair(home, `pair --url http://127.0.0.1:${port} --port ${port}`);
  expect(ran).toMatchObject(printed("Pixel 9, Chrome is paired until"));
  expect(ran.err).toContain("only a browser here can");
  expect(ran.err).not.toContain("does not lead here");
  links.refresh();
  const page = await phone.connect();
  const rows = expect.arrayContaining([expect.objectContaining({ id: ids.dead })]);
  expect(await page.call("page.fleet", {})).toMatchObject({ value: { rows } });
  expect(await home.shim("phones list")).toMatchObject(printed(/Pixel 9, Chrome .* view .*:\d\d +-\n$/));
  await links.stop();
  const next = new PhoneLinks(home.runtime);
  onTestFinished(() => next.stop());
  home.ownRelay = async () => next.door;
  next.refresh();
  const again = await phone.connect();
  expect(await again.call("page.fleet", {})).toMatchObject({ value: { rows } });
  expect(await home.shim("phones", "remove", "Pixel 9, Chrome")).toMatchObject(printed("is no longer paired"));
  await phone.over.promise;
  next.refresh();
});

it("what refreshes the connections with phones while a link is made leaves the relay open that its phone needs", async () => {
  const { home, links, port } = await aMachine();
  const isReachedAt = links.door.isReachedAt.bind(links.door);
  vi.spyOn(links.door, "isReachedAt").mockImplementation((url) => {
    links.refresh();
    return isReachedAt(url);
  });
  const { ran } = await pair(home, `pair --url http://127.0.0.1:${port} --port ${port}`);
  expect(ran.err).not.toContain("does not lead here");
  expect(ran).toMatchObject(printed("Pixel 9, Chrome is paired until"));
});

it("a connection that is refused ends no host when its other end is reset, and holds up no end of the relay", async () => {
  const { home, links, port } = await aMachine();
  await pair(home, `pair --url http://127.0.0.1:${port} --port ${port}`);
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const head = `GET /v1/phones/nobody/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;
  const knock = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(head);
    return socket;
  };
  // One is reset before it is answered, the other one never ends its own side.
  (await knock()).resetAndDestroy();
  const silent = await knock();
  await once(silent, "data");
  onTestFinished(() => void silent.destroy());
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
  await links.stop();
});

it("the machine's own relay has the page and the phones' requests, and nothing for another page, another phone or a guess", async () => {
  const { home, links, port } = await aMachine();
  const origin = `http://127.0.0.1:${port}`;
  const { phone } = await pair(home, `pair --url ${origin} --port ${port}`);
  links.refresh();
  const ask = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await fetch(`${origin}${path}`, init)).status;
  const json = { "content-type": "application/json" };
  const post = (more: Record<string, string>, body: object) => ({
    method: "POST",
    headers: { ...json, ...more },
    body: JSON.stringify(body),
  });
  const claim = { claim: "c".repeat(43), claimant: "d".repeat(22) };
  const grant = `/v1/phones/${phone.id}/grant`;
  const found = [
    await ask("/"),
    await ask("/app-12345678.js"),
    await ask("/../phones.json"),
    await ask("/api/call", post({ origin }, {})),
    await ask(grant, post({ origin: "https://other.example" }, claim)),
    await ask(grant, post({ origin }, claim)),
    await ask(grant, post({ origin }, {})),
    await ask(`/v1/phones/${phone.id}`, { headers: { authorization: `Bearer ${phone.granted?.access}` } }),
    await ask(`/v1/phones/${phone.id}`, { headers: { authorization: "Bearer guess" } }),
  ];
  expect(found).toEqual([200, 200, 404, 404, 403, 404, 400, 200, 404]);
  for (const [protocols, from] of [
    [["shim.phone", "guess"], origin],
    [["shim.phone", phone.granted?.access ?? ""], "https://other.example"],
  ] as const) {
    const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/phones/${phone.id}/connect`, {
      protocols,
      headers: { origin: from },
    } as never);
    const how = await new Promise((resolve) => {
      for (const name of ["open", "error"]) socket.addEventListener(name, () => resolve(name));
    });
    expect(how).toBe("error");
  }
});

it("a phone that sends without limit is cut off from the machine's own relay, and comes back when it has room again", async () => {
  const { home, links, port } = await aMachine();
  const { phone } = await pair(home, `pair --url http://127.0.0.1:${port} --port ${port}`);
  links.refresh();
  const open = async (): Promise<{ page: WebSocket; how: string }> => {
    const given = { protocols: ["shim.phone", phone.granted?.access], headers: { origin: `http://127.0.0.1:${port}` } };
    const page = new WebSocket(`ws://127.0.0.1:${port}/v1/phones/${phone.id}/connect`, given as never);
    const [{ type: how }] = await Promise.race(["open", "error"].map((name) => once(page, name)));
    return { page, how };
  };
  const { page } = await open();
  for (let sent = 0; sent < 4; sent += 1) page.send("x".repeat(900_000));
  expect(await once(page, "close")).toMatchObject([{ code: 4006 }]);
  expect((await open()).how).toBe("error");
  vi.spyOn(home.runtime, "now").mockReturnValue(home.runtime.now() + 10_000);
  expect((await open()).how).toBe("open");
});

it("an address at which a browser has no keys, one with a path, and a port that is in use are refused with what to do; one that leads elsewhere is said", async () => {
  const { home, port } = await aMachine();
  const terminal = { isInteractive: true, interrupted: () => AbortSignal.abort() };
  for (const [words, why] of [
    ["--url http://192.168.1.5", "use an https address"],
    ["--url https://x.example/shim", "an address without a path"],
    ["--url nonsense", "an address without a path"],
  ] as const)
    expect(await home.shimWith(terminal, `pair ${words}`)).toMatchObject(failed(2, why));
  const used = Number(new URL(await servedInTest(createServer())).port);
  const refused = await home.shimWith(terminal, `pair --url https://x.example --port ${used}`);
  expect(refused).toMatchObject(failed(1, `port ${used} is in use: give another one with --port`));
  const elsewhere = await servedInTest(createServer((socket) => socket.end()));
  const ran = await home.shimWith(terminal, `pair --url ${elsewhere} --port ${port}`);
  expect(ran.err).toContain(`have your tunnel or proxy pass it on to http://127.0.0.1:${port}`);
  expect(readPhones(home.runtime.paths.home).offered).toEqual([]);
  expect(await home.shimWith(terminal, "pair")).toMatchObject(failed(1, "`shim pair --url https://...`"));
});

it("at 80 columns and 24 rows the whole code is on the screen with an address as people have it, and a camera reads it in dark and in light themes", async () => {
  const { home, links, port } = await aMachine();
  vi.spyOn(links.door, "isReachedAt").mockResolvedValue(true);
  for (const address of ["https://ada-laptop.tail1234.ts.net", "https://shim-coordinator.your-name.workers.dev"]) {
    let printedTo = "";
    const terminal = {
      isInteractive: true,
      size: () => ({ columns: 80, rows: 24 }),
      stderr: (text: string): void => void (printedTo += text),
      interrupted: () => AbortSignal.abort(),
    };
    await home.shimWith(terminal, `pair --url ${address} --port ${port}`);
    const [link] = /https\S+#pair=\S+/.exec(printedTo) ?? [];
    const shown = printedTo.slice(0, printedTo.lastIndexOf("\u001b[0m\n") + 5);
    for (const theme of Object.values(themes)) {
      const { data, width, height } = pictureAfter(shown, theme);
      expect([address, decode(data, width, height, { inversionAttempts: "dontInvert" })?.data]).toEqual([
        address,
        link,
      ]);
    }
  }
});
