import * as fc from "fast-check";
import { expect, vi } from "vitest";
import { app } from "#src/worker/app.ts";
import { isPublicName } from "#src/worker/client-documents.ts";
import { begin, pathOf } from "./oauth-client.ts";
import { bindings, it, origin, request } from "./support.ts";

/** As a person or an attacker may write them; what a URL makes of them is what is asked for. */
const privateHosts = [
  "localhost",
  "LOCALHOST.",
  "a.localhost",
  "127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "0.0.0.0",
  "10.1.2.3",
  "169.254.169.254",
  "169.254.169.254.",
  "100.64.0.1",
  "8.8.8.8",
  "[::1]",
  "[::]",
  "[fe80::1]",
  "[fd00::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "[64:ff9b::7f00:1]",
  "１２７.0.0.1",
  "metadata",
  "metadata.google.internal",
  "printer.local",
  "router.home.arpa",
  "nas.lan",
  "db.corp.",
];

it("no document of a client is asked for at an address, or at a name that is not of the public internet", async () => {
  const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(() => Promise.resolve(Response.json({})));
  vi.spyOn(console, "warn").mockReturnValue();
  const { url } = await begin();
  for (const host of privateHosts) {
    const address = `https://${host}/client.json`;
    url.searchParams.set("client_id", address);
    expect([host, (await request(pathOf(url))).status]).toEqual([host, 400]);
    const fields = { grant_type: "refresh_token", refresh_token: "a:b:c", client_id: address };
    const init = { method: "POST", body: new URLSearchParams(fields) };
    expect([host, (await request("/oauth/token", init)).status]).toEqual([host, 401]);
    expect([host, isPublicName(new URL(address).hostname)]).toEqual([host, false]);
  }
  expect(fetched).not.toHaveBeenCalled();
  const anyAddress = fc.oneof(
    fc.ipV4Extended(),
    fc.nat(0xff_ff_ff_ff).map(String),
    fc.ipV6().map((one) => `[${one}]`),
  );
  fc.assert(
    fc.property(
      anyAddress,
      (host) => !URL.canParse(`https://${host}/`) || !isPublicName(new URL(`https://${host}/`).hostname),
    ),
  );
  for (const name of ["claude.ai", "client.example", "a-b.c-d.co.uk", "xn--bcher-kva.example", "example.com."])
    expect([name, isPublicName(name)]).toEqual([name, true]);
});

it("a redirect of a document is not followed", async () => {
  const to = "https://169.254.169.254/latest/meta-data";
  const fetched = vi
    .spyOn(globalThis, "fetch")
    .mockImplementation(() => Promise.resolve(new Response(null, { status: 302, headers: { location: to } })));
  vi.spyOn(console, "warn").mockReturnValue();
  const { url } = await begin();
  url.searchParams.set("client_id", "https://client.example/oauth/redirected.json");
  expect((await request(pathOf(url))).status).toBe(400);
  expect(fetched.mock.calls.map(([, init]) => init?.redirect)).toEqual(["manual"]);
});

const executionContext = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} } as never;

it("pages of consent, and exchanges of clients that a document describes, are limited for each address", async () => {
  const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(() => Promise.resolve(Response.json({})));
  vi.spyOn(console, "warn").mockReturnValue();
  const counts = new Map<string, number>();
  const limit = ({ key }: { key: string }): Promise<{ success: boolean }> => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return Promise.resolve({ success: (counts.get(key) ?? 0) <= 20 });
  };
  const env = { ...bindings, AUTH_FAILURE_LIMITER: { limit } };
  const ask = async (path: string, init: RequestInit, address: string): Promise<number> => {
    const headers = { "cf-connecting-ip": address };
    return (await app.request(`${origin}${path}`, { ...init, headers }, env, executionContext)).status;
  };
  const client = "https://client.example/oauth/many.json";
  const forms = [
    { client_id: client },
    { client_assertion: "x.eyJpc3MiOiJodHRwczovL2NsaWVudC5leGFtcGxlL2EifQ.x", client_assertion_type: "x" },
  ];
  const page = `/authorize?client_id=${encodeURIComponent(client)}`;
  for (let count = 0; count < 20; count++) {
    expect(await ask(page, {}, "203.0.113.7")).toBe(400);
    const body = new URLSearchParams({ grant_type: "refresh_token", ...forms[count % forms.length] });
    expect(await ask("/oauth/token", { method: "POST", body }, "203.0.113.7")).toBe(401);
  }
  const before = fetched.mock.calls.length;
  for (const method of ["GET", "POST"]) expect(await ask(page, { method }, "203.0.113.7")).toBe(429);
  for (const form of forms) {
    const body = new URLSearchParams({ grant_type: "refresh_token", ...form });
    expect(await ask("/oauth/token", { method: "POST", body }, "203.0.113.7")).toBe(429);
  }
  expect(fetched.mock.calls.length).toBe(before);
  expect(await ask(page, {}, "203.0.113.8")).toBe(400);
  const registered = new URLSearchParams({ grant_type: "refresh_token", client_id: "registered" });
  expect(await ask("/oauth/token", { method: "POST", body: registered }, "203.0.113.7")).toBe(401);
});
