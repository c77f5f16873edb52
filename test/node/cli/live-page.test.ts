import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, aSeededHome, failed, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { callAs, fakeBundle, ownHeaders, sendRaw, servePage, signIn, type ServedPage } from "#harness/web/live-page.ts";

async function aPage(home: CliHome = aSeededHome(), ...args: string[]): Promise<ServedPage> {
  fakeBundle(home);
  return servePage(home, { args });
}

it("the page is served on loopback only, at the same port each time, which a file of the user keeps", async () => {
  const home = aSeededHome();
  const first = await aPage(home);
  await first.stop();
  const again = await servePage(home);
  expect(again.port).toBe(first.port);
  const file = join(home.paths.home, "web.json");
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ port: first.port });
});

it("a second page takes another port while the first one runs, and the first one's port stays remembered", async () => {
  const home = aSeededHome();
  const first = await aPage(home);
  const second = await servePage(home);
  expect(second.port).not.toBe(first.port);
  expect(JSON.parse(readFileSync(join(home.paths.home, "web.json"), "utf8"))).toEqual({ port: first.port });
  const other = aSeededHome();
  fakeBundle(other);
  expect(await other.shim("up --web --port", String(first.port))).toMatchObject(failed(1, String(first.port)));
});

it("a copy of SHIM without the built page, and options that do not fit, say so", async () => {
  const home = aCliHome();
  expect(await home.shim("up --web")).toMatchObject(failed(1, "not built"));
  await home.misuses("up", [
    ["--port 4000", /--web/],
    ["--web --once", /--once/],
  ]);
  expect(existsSync(join(home.paths.home, "web.json"))).toBe(false);
});

it("a Host that is not this server's is answered with 421 before anything else, for every path and method", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  const hosts = ["evil.test", `evil.test:${page.port}`, "127.0.0.1", `127.0.0.1:${page.port + 1}`, "0.0.0.0", ""];
  for (const host of hosts) {
    for (const path of ["/", "/api/call", "/api/sign-in", "/..%2fweb.json"]) {
      for (const method of ["GET", "POST", "OPTIONS", "PUT"]) {
        // Origin and Host that are equal prove nothing.
        const headers = ownHeaders(page, { authorization, origin: `http://${host}`, host });
        const { status, text } = await sendRaw(page.port, { method, path, headers });
        // Node itself refuses an empty Host of HTTP/1.1.
        expect([host, path, method, status]).toEqual([host, path, method, host === "" ? expect.any(Number) : 421]);
        expect(text).not.toContain(ids.alive);
      }
    }
  }
  for (const host of ["localhost", "[::1]", "LOCALHOST"]) {
    const { status } = await sendRaw(page.port, {
      method: "GET",
      path: "/",
      headers: { host: `${host}:${page.port}` },
    });
    expect(status).toBe(200);
  }
});

it("a change is refused without this server's Origin: none, null, another site, another port, a rebound name", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  const body = { name: "page.fleet", input: {} };
  const own = ownHeaders(page, { authorization });
  const { origin: _origin, ...withoutOrigin } = own;
  const cases = [
    withoutOrigin,
    { ...own, origin: "null" },
    { ...own, origin: "https://evil.test" },
    { ...own, origin: `http://127.0.0.1:${page.port + 1}` },
    { ...own, origin: `https://127.0.0.1:${page.port}` },
    { ...own, origin: `http://127.0.0.1:${page.port}.evil.test` },
    { ...own, "sec-fetch-site": "cross-site" },
    { ...own, "sec-fetch-site": "same-site" },
  ];
  for (const headers of cases) {
    const { status, text } = await sendRaw(page.port, { path: "/api/call", headers, body });
    expect([headers, status]).toEqual([headers, 403]);
    expect(text).not.toContain(ids.alive);
  }
  const upgrade = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "x",
  };
  for (const path of ["/api/live", "/api/call"]) {
    const headers = { ...own, ...upgrade, origin: "https://evil.test" };
    expect(await sendRaw(page.port, { method: "GET", path, headers })).toMatchObject({ status: 404 });
  }
  expect((await sendRaw(page.port, { path: "/api/call", headers: own, body })).status).toBe(200);
});

it("only JSON is taken, and no other site is allowed to read: a form of another site cannot send it", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
    const headers = ownHeaders(page, { authorization, "content-type": type });
    const { status } = await sendRaw(page.port, {
      path: "/api/call",
      headers,
      body: '{"name":"page.fleet","input":{}}',
    });
    expect([type, status]).toEqual([type, 415]);
  }
  const preflight = await sendRaw(page.port, { method: "OPTIONS", path: "/api/call", headers: ownHeaders(page) });
  expect(preflight.status).toBe(404);
  expect(Object.keys(preflight.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
});

it("every answer has the strict headers, and no data is ever stored by the browser", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  const requests = [
    { method: "GET", path: "/" },
    { method: "GET", path: "/app-12345678.js" },
    { method: "GET", path: "/none" },
    { path: "/api/call", body: { name: "page.fleet", input: {} } },
    { path: "/api/call", body: { name: "none", input: {} } },
    { path: "/api/sign-out", body: {} },
    { path: "/api/call", headers: { host: "evil.test" } },
  ];
  for (const request of requests) {
    const { headers } = await sendRaw(page.port, { headers: ownHeaders(page, { authorization }), ...request });
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; .*require-trusted-types-for 'script'/);
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    });
    if (request.method !== "GET") expect(headers["cache-control"]).toBe("no-store");
  }
});

it("the link's token works once, within a minute, and is exchanged for a secret; nothing sets a cookie or takes one", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  const exchange = (token: unknown) =>
    sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body: { token } });
  const token = page.token();
  const first = await exchange(token);
  expect([first.status, first.headers["set-cookie"]]).toEqual([200, undefined]);
  const { secret } = JSON.parse(first.text) as { secret: string };
  expect(secret).toMatch(/^[\w-]{43}$/);
  const body = { name: "page.fleet", input: {} };
  for (const name of [`shim-${page.port}`, "shim-secret", "authorization"]) {
    const headers = ownHeaders(page, { cookie: `${name}=${secret}` });
    expect((await sendRaw(page.port, { path: "/api/call", headers, body })).status).toBe(401);
  }
  expect((await callAs(page, `Bearer ${secret}`, body)).status).toBe(200);
  expect((await exchange(token)).status).toBe(401);
  expect((await exchange("")).status).toBe(401);
  expect(page.token()).not.toBe(token);
  home.now += 60_000;
  expect((await exchange(page.token())).status).toBe(401);
  for (const wrong of ["", "x", 7, null, { $ne: "" }]) expect((await exchange(wrong)).status).toBe(401);
  expect((await exchange(page.token())).status).toBe(200);
});

it("signing out ends the stream of hints that was opened under its secret, and no other", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  await sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body: {} });
  const other = await signIn(page);
  const follow = (one: string) =>
    sendRaw(page.port, { path: "/api/live", headers: ownHeaders(page, { authorization: one }), body: {} });
  const [ended, kept] = [follow(authorization), follow(other)];
  await sendRaw(page.port, { path: "/api/sign-out", headers: ownHeaders(page, { authorization }), body: {} });
  expect((await ended).text.trim()).toBe('{"changed":"all"}');
  const signOut = { path: "/api/sign-out", headers: ownHeaders(page, { authorization: other }), body: {} };
  expect(await Promise.race([kept, callAs(page, other, { name: "page.fleet" })])).toMatchObject({ value: {} });
  await sendRaw(page.port, signOut);
  expect((await kept).status).toBe(200);
});

it("a page that needs to sign in makes the terminal print a new link once the last one is used or too old", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  const links = (): number => page.out().match(/#t=/g)?.length ?? 0;
  const ask = () => sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body: {} });
  const first = page.token();
  await ask();
  await ask();
  expect([links(), page.token()]).toEqual([1, first]);
  await signIn(page);
  await ask();
  await ask();
  expect(links()).toBe(2);
  home.now += 60_000;
  await ask();
  expect(links()).toBe(3);
  expect((await callAs(page, await signIn(page), { name: "page.fleet" })).status).toBe(200);
});

it("without a secret of this server nothing is answered; signing out ends it", async () => {
  const page = await aPage();
  const call = { name: "page.fleet" };
  const authorization = await signIn(page);
  const wrong = ["", "Bearer", "Bearer ", `${authorization}x`, authorization.slice(0, -1), authorization.slice(7)];
  for (const one of wrong) expect([one, (await callAs(page, one, call)).status]).toEqual([one, 401]);
  expect((await callAs(page, authorization, call)).status).toBe(200);
  for (const path of ["/api/live", "/api/sign-out"])
    expect((await sendRaw(page.port, { path, headers: ownHeaders(page), body: {} })).status).toBe(401);
  await sendRaw(page.port, { path: "/api/sign-out", headers: ownHeaders(page, { authorization }), body: {} });
  expect((await callAs(page, authorization, call)).status).toBe(401);
});

it("GET answers the files of the bundle only: no path leaves it, and none holds a token or data", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  const paths = [
    "/..%2f..%2fweb.json",
    "/../../shim/web.json",
    "/%2e%2e/%2e%2e/shim/web.json",
    "//evil.test/",
    "/_headers",
    "/index.html",
    "/api/call",
    "/api/live",
    "/api/sign-in",
    "/app-12345678.js/../../x",
  ];
  for (const path of paths) {
    const headers = ownHeaders(page, { authorization });
    const { status, text } = await sendRaw(page.port, { method: "GET", path, headers });
    expect([path, status]).toEqual([path, 404]);
    expect(text).toBe('{"error":{"code":"unknown_operation","message":"there is nothing here"}}');
  }
  const root = await sendRaw(page.port, { method: "GET", path: "/", headers: ownHeaders(page, { authorization }) });
  expect(root.text).toBe("<!doctype html><title>SHIM</title>");
});

it("the page may call what its views need: operations that make tokens, tasks or messages are refused", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  for (const name of ["tokens.create", "tasks.submit", "state.set", "messages.send", "settings.set", "toString"]) {
    const { status, value } = await callAs(page, authorization, { name });
    expect([name, status, value]).toMatchObject([name, 404, { error: { code: "unknown_operation" } }]);
  }
  expect(await callAs(page, authorization, { name: "tasks.list", input: { limit: 0 } })).toMatchObject({ status: 400 });
  expect(await callAs(page, authorization, { name: "page.session", input: {} })).toMatchObject({ status: 400 });
  const headers = ownHeaders(page, { authorization });
  for (const body of ["[]", "{", "null", '{"name":1}', `"${"x".repeat(1_100_000)}"`])
    expect((await sendRaw(page.port, { path: "/api/call", headers, body })).status).toBe(400);
});
