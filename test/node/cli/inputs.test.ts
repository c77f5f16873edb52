import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";
import { RealServer } from "#harness/edge/real-server.ts";

it("what the engine refuses as bad input is wrong usage, said by field and with what is allowed", async () => {
  const home = aCliHome();
  for (const [args, said] of [
    [
      ["team", "state", "set", "$chat/x", "1"],
      /^shim: key: keys that begin with \$ are reserved for the coordinator\.$/m,
    ],
    [["team", "state", "set", "k".repeat(513), "1"], /^shim: key: 1 to 512 characters without control characters\.$/m],
    [["team", "state", "set", "k", "x".repeat(140_000)], /has 140002 characters as JSON; at most 131072\.$/m],
    [["team", "locks", "list", "p".repeat(513)], /^shim: prefix: at most 512 characters\.$/m],
    [["team", "locks", "force-release", "x", "--reason", ""], /^shim: reason: at least 1 characters\.$/m],
    [
      ["team", "locks", "run", "file:a/../b", "--", "true"],
      /^shim: resource: a path has no empty part, no \. and no \.\.$/m,
    ],
    [["team", "locks", "list", "--limit", "10001"], /1 to 10000/],
    [["team", "state", "list", "--limit", "0"], /1 to 10000/],
  ] as const) {
    const refused = await home.shimWith({ interrupted: () => new AbortController().signal }, ...args);
    expect([args[1], refused]).toMatchObject([args[1], failed(2, said)]);
    expect(refused.err).not.toMatch(/[✖→]/);
  }
});

it("without a limit a list is read to its end; with one it is a page, with the cursor to continue from", async () => {
  const home = aCliHome();
  for (const key of ["a", "b", "c"]) await home.shim("team state set", key, "1");
  const first = await home.shim("team state list --limit 2");
  const [, cursor = ""] = /^There are more: --cursor (\S+)$/m.exec(first.out) ?? [];
  const next = await home.json("team state list --limit 2 --cursor", cursor);
  expect(next).toMatchObject({ entries: [{ key: "c" }], cursor: null });
  const server = await RealServer.listen();
  const lease = { holder: "c1", incarnation: 1, token: 1, ttlMs: 1, remainingMs: 1, isBound: false, heldForMs: 0 };
  server.answer = ({ url }, response) => {
    const isLast = url.includes("cursor=a");
    const leases = [{ resource: isLast ? "b" : "a", ...lease }];
    response.end(JSON.stringify({ leases, cursor: isLast ? null : "a b" }));
  };
  home.join(server.url, { adminToken: "shim_c.d" });
  expect(await home.json("team locks list")).toMatchObject({
    leases: [{ resource: "a" }, { resource: "b" }],
    cursor: null,
  });
  expect((await home.shim("team locks list --limit 1")).out).toContain("There are more: --cursor 'a b'");
});

it("the list of tokens says until when each is valid", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const tokens = [null, 7_200_000, 0].map((expiresInMs, at) => {
    return { id: `tok_${at}`, machine: "m", scope: "work", ageMs: 1, signedAgoMs: 1, isRevoked: false, expiresInMs };
  });
  server.answer = (_request, response) => void response.end(JSON.stringify({ tokens }));
  home.join(server.url, { adminToken: "shim_c.d" });
  const { out } = await home.shim("workspace token list");
  expect(out).toMatch(/EXPIRES\ntok_0 .* good +never\ntok_1 .* good +in 2 h.*\ntok_2 .* over +-\n/);
});

it("the secret in .dev.vars is for the development server only, whatever this machine is called in its address", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, ".dev.vars"), "SHIM_ADMIN_SECRET=of-dev\n");
  const env = { ...home.runtime.env, SHIM_DEV_PORT: "9" };
  const needs = "needs the secret of the deployment";
  for (const [url, isUsed] of [
    ["http://localhost:9/", true],
    ["http://127.0.0.1:9", true],
    ["http://[::1]:9", true],
    ["http://127.0.0.1:10", false],
    ["http://127.0.0.1:9/other", false],
    ["https://localhost:9", false],
    ["https://shim.example.com:9", false],
  ] as const) {
    const tried = await home.shimWith({ env }, "workspace create team --url", url);
    expect([url, !tried.err.includes(needs)]).toEqual([url, isUsed]);
  }
});
