import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { expect, it } from "vitest";
import { readEdgeConfig, writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** As the worker writes them: what it claims, and a signature. */
function aToken(claims: Record<string, string>): string {
  return `shim_${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2lnbmF0dXJl`;
}

const url = "https://shim.example.com";
const token = aToken({ m: "laptop", s: "work" });
const given = { SHIM_EDGE_URL: url, SHIM_WORKSPACE: "team", SHIM_TOKEN: token };
const ofFile = { url: "http://127.0.0.1:9", workspace: "old-team", machine: "m1", token: "shim_a.b" };

it("the environment names the coordinator, before the file", () => {
  const { home } = tempHome();
  const wanted = { url, workspace: "team", machine: "laptop", token };
  expect(readEdgeConfig(home, given)).toEqual({ ok: true, value: wanted });
  writeEdgeConfig(home, ofFile);
  expect(readEdgeConfig(home, given)).toEqual({ ok: true, value: wanted });
  expect(readEdgeConfig(home, { ...given, SHIM_TOKEN: ` ${token}\n`, SHIM_MACHINE: "laptop" }).ok).toBe(true);
});

it("empty settings count as not given: the file applies, else this machine", () => {
  const { home } = tempHome();
  const empty = { SHIM_EDGE_URL: "", SHIM_WORKSPACE: "", SHIM_TOKEN: " ", SHIM_MACHINE: "laptop" };
  expect(readEdgeConfig(home, empty)).toEqual({ ok: true, value: null });
  writeEdgeConfig(home, ofFile);
  expect(readEdgeConfig(home, empty)).toEqual({ ok: true, value: ofFile });
});

it("the machine is the token's; a token that names none takes the given one, else the host's name", () => {
  const { home } = tempHome();
  const nameless = { ...given, SHIM_TOKEN: "shim_a.b" };
  expect(readEdgeConfig(home, { ...nameless, SHIM_MACHINE: "desk" })).toMatchObject({ value: { machine: "desk" } });
  expect(readEdgeConfig(home, nameless)).toMatchObject({ value: { machine: hostname() } });
  expect(readEdgeConfig(home, { ...given, SHIM_MACHINE: "desk" })).toEqual({
    ok: false,
    error: expect.stringMatching(/for the machine laptop.*leave SHIM_MACHINE empty/),
  });
});

it.each([
  [{ SHIM_TOKEN: "" }, "SHIM_TOKEN is missing; set all of SHIM_EDGE_URL, SHIM_WORKSPACE, SHIM_TOKEN, or none"],
  [{ SHIM_EDGE_URL: "", SHIM_WORKSPACE: undefined }, "SHIM_EDGE_URL and SHIM_WORKSPACE are missing"],
  [{ SHIM_EDGE_URL: "http://shim.example.com" }, "use https://"],
  [{ SHIM_WORKSPACE: "My Team" }, "the name of a workspace"],
  [{ SHIM_TOKEN: "Bearer secret-words" }, "SHIM_TOKEN is not a token"],
])("what cannot be used is refused with what to do, and shows no token: %j", (wrong, said) => {
  const { home } = tempHome();
  writeEdgeConfig(home, ofFile);
  const read = readEdgeConfig(home, { ...given, ...wrong });
  expect(read).toEqual({ ok: false, error: expect.stringContaining(said) });
  expect(JSON.stringify(read)).not.toMatch(/secret-words|shim_/);
});

it("commands use the coordinator of the environment, and leave a file alone that has no effect", async () => {
  const home = aCliHome();
  const env = { ...home.io().env, ...given, SHIM_EDGE_URL: "http://127.0.0.1:9" };
  expect((await home.shimWith({ env }, "team chats")).err).toContain("http://127.0.0.1:9 did not answer");
  expect((await home.shimWith({ env: { ...env, SHIM_TOKEN: "" } }, "team chats")).err).toContain(
    "SHIM_TOKEN is missing",
  );
  writeEdgeConfig(home.paths.home, ofFile);
  const changes = [
    ["leave", "--yes"],
    ["join", "team", "--url", url],
    ["create", "team", "--url", url],
  ];
  for (const change of changes) {
    const refused = await home.shimWith({ env, readInput: () => Promise.resolve(token) }, "workspace", ...change);
    expect([change, refused]).toEqual([change, expect.objectContaining({ code: 1 })]);
    expect(refused.err).toContain("Unset them first");
  }
  expect(readEdgeConfig(home.paths.home)).toEqual({ ok: true, value: ofFile });
  expect(existsSync(home.paths.database)).toBe(false);
});
