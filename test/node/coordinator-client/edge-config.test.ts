import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { parseAddress } from "#src/coordinator-client/edge/address.ts";
import { nodePlatform } from "#src/coordinator-client/edge/platform.ts";
import { aClient, aChat } from "#harness/edge/edge-runtime.ts";
import { edgeUrl, token as edgeToken } from "#harness/edge/fake-edge.ts";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { expect, it } from "vitest";
import { edgeConfigPath, readEdgeConfig, writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { tempHome } from "#harness/store/store-test.ts";

const url = "https://shim.example.com";
/** As the worker writes it: what it claims, and a signature. */
const token = `shim_${Buffer.from('{"m":"laptop","s":"work"}').toString("base64url")}.c2lnbmF0dXJl`;
const given = { SHIM_EDGE_URL: url, SHIM_WORKSPACE: "team", SHIM_TOKEN: token };
const ofFile = { url: "http://127.0.0.1:9", workspace: "old-team", machine: "m1", token: "shim_a.b" };

it("the environment names the coordinator before the file does, and empty settings count as absent", () => {
  const { home } = tempHome();
  const wanted = { url, workspace: "team", machine: "laptop", token };
  const empty = { SHIM_EDGE_URL: "", SHIM_WORKSPACE: "", SHIM_TOKEN: " ", SHIM_MACHINE: "laptop" };
  expect(readEdgeConfig(home, given)).toEqual({ ok: true, value: wanted });
  expect(readEdgeConfig(home, empty)).toEqual({ ok: true, value: null });
  writeEdgeConfig(home, ofFile);
  expect(readEdgeConfig(home, empty)).toEqual({ ok: true, value: ofFile });
  expect(readEdgeConfig(home, given)).toEqual({ ok: true, value: wanted });
  expect(readEdgeConfig(home, { ...given, SHIM_TOKEN: ` ${token}\n`, SHIM_MACHINE: "laptop" }).ok).toBe(true);
});

it("the machine is the token's; a token that names none takes the given one, else the host's name", () => {
  const { home } = tempHome();
  const nameless = { ...given, SHIM_TOKEN: "shim_a.b" };
  expect(readEdgeConfig(home, { ...nameless, SHIM_MACHINE: "tower" })).toMatchObject({ value: { machine: "tower" } });
  expect(readEdgeConfig(home, nameless)).toMatchObject({ value: { machine: hostname() } });
  expect(readEdgeConfig(home, { ...given, SHIM_MACHINE: "tower" })).toEqual({
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

it("a file that is damaged, or cannot be read, is reported: the machine may have joined a workspace", () => {
  const path = edgeConfigPath(tempHome().home);
  mkdirSync(path, { recursive: true });
  expect(readEdgeConfig(dirname(path))).toEqual({ ok: false, error: expect.stringContaining("cannot be read") });
  rmdirSync(path);
  writeFileSync(path, `{"token":"${token}"`);
  const damaged = readEdgeConfig(dirname(path));
  expect(damaged).toEqual({ ok: false, error: expect.stringMatching(/is damaged(?!.*shim_)/) });
});

it("commands use the coordinator of the environment, and leave a file alone that has no effect", async () => {
  const home = aCliHome();
  const env = { ...home.io().env, ...given, SHIM_EDGE_URL: "http://127.0.0.1:9" };
  expect((await home.shimWith({ env }, "team chats")).err).toContain("http://127.0.0.1:9 did not answer");
  writeEdgeConfig(home.paths.home, ofFile);
  for (const change of ["leave --yes", `join team --url ${url}`, `create team --url ${url}`]) {
    const words = change.split(" ");
    const refused = await home.shimWith({ env, readInput: () => Promise.resolve(token) }, "workspace", ...words);
    expect([change, refused]).toEqual([change, expect.objectContaining({ code: 1 })]);
    expect(refused.err).toContain("Unset them first");
  }
  expect(readEdgeConfig(home.paths.home)).toEqual({ ok: true, value: ofFile });
  expect(existsSync(home.paths.database)).toBe(false);
});

function problemOf(edge: string, workspace = "w1"): string {
  const address = parseAddress(edge, workspace);
  return address.ok ? "" : address.error;
}

it("the address of a workspace lies below the coordinator's, and so does its socket; plain http is of this machine", () => {
  const below = "a.example/shim/v1/workspaces/w1";
  const value = { http: `https://${below}`, socket: `wss://${below}/connect` };
  for (const address of ["https://a.example/shim", "https://a.example/shim//"])
    expect(parseAddress(address, "w1")).toEqual({ ok: true, value });
  for (const host of ["localhost", "localhost:8787", "127.0.0.1:1", "127.9.9.9", "127.1", "[::1]:8787"])
    expect(parseAddress(`http://${host}`, "w1"), host).toMatchObject({
      value: { socket: expect.stringMatching(/^ws:/) },
    });
  const others = ["example.com", "127.0.0.1.example.com", "localhost.example.com", "192.168.0.1", "[::2]", "0.0.0.0"];
  for (const host of others) expect(problemOf(`http://${host}`), host).toContain("only for this machine");
});

it("an address with a secret in it, and a token that no header can hold, are refused and not repeated", () => {
  for (const url of ["https://me:s3cret@a.example", "https://s3cret@a.example", "https://a.example/?key=s3cret"])
    expect(problemOf(url), url).toMatch(/^(?!.*s3cret)./);
  for (const url of ["a.example", "", "ftp://a.example", "file:///etc", "https://a.example/#x"])
    expect(problemOf(url), url).toContain("the address of the coordinator");
  for (const workspace of ["", "W1", "a/b", "..", "a".repeat(64)])
    expect(problemOf("https://a.example", workspace), workspace).toContain("the name of a workspace");
  for (const bad of ["", "two words", "line\nend", "tök", "x".repeat(5_000)]) {
    const opened = WorkspaceClient.open({ edge: edgeUrl, workspace: "w1", token: bad }, nodePlatform());
    expect(opened).toEqual({ ok: false, error: expect.stringContaining("the coordinator's token is empty") });
  }
});

it("no event and no error holds the token, whatever goes wrong", async () => {
  const { edge, client, call, events } = aClient();
  const results: unknown[] = [];
  const ask = async (): Promise<void> => void results.push(await call("state.get", { key: "a" }, 3_000));
  edge.faults.isUnreachable = true;
  await ask();
  edge.faults.isUnreachable = false;
  edge.faults.refusesSockets = true;
  results.push(await edge.time.until(client.register(aChat("a"))));
  edge.faults.refuses = () => ({ code: "internal", message: "the coordinator failed" });
  await ask();
  edge.faults.refuses = () => null;
  edge.revoke(edgeToken);
  await ask();
  await ask();
  const reported = JSON.stringify([events, results]);
  expect(reported).toContain("unauthenticated");
  expect(reported).not.toMatch(/shim_secret|Bearer/);
});
