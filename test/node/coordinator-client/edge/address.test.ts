import { expect, it } from "vitest";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { parseAddress } from "#src/coordinator-client/edge/address.ts";
import { aClient, aChat, platformOf } from "#harness/edge/edge-clients.ts";
import { edgeUrl, FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { Machine } from "#harness/clock/fake-time.ts";

function problemOf(edge: string, workspace = "w1"): string {
  const address = parseAddress(edge, workspace);
  return address.ok ? "" : address.error;
}

it("the address of a workspace lies below the coordinator's, and so does its socket", () => {
  const http = "https://a.example/v1/workspaces/w1";
  const socket = "wss://a.example/v1/workspaces/w1/connect";
  expect(parseAddress("https://a.example", "w1")).toEqual({ ok: true, value: { http, socket } });
  expect(parseAddress("https://a.example/", "w1")).toEqual({ ok: true, value: { http, socket } });
  expect(parseAddress("https://a.example/shim//", "w1")).toMatchObject({
    value: { http: "https://a.example/shim/v1/workspaces/w1" },
  });
});

it("plain http goes to this machine only", () => {
  for (const host of ["localhost", "localhost:8787", "127.0.0.1:1", "127.9.9.9", "127.1", "[::1]:8787"]) {
    expect(parseAddress(`http://${host}`, "w1"), host).toMatchObject({ ok: true });
    expect(parseAddress(`http://${host}`, "w1"), host).toMatchObject({
      value: { socket: expect.stringMatching(/^ws:/) },
    });
  }
  const others = ["example.com", "127.0.0.1.example.com", "localhost.example.com", "192.168.0.1", "[::2]", "0.0.0.0"];
  for (const host of others) expect(problemOf(`http://${host}`), host).toContain("only for this machine");
});

it("an address with a secret in it is refused, and not repeated", () => {
  for (const url of ["https://me:s3cret@a.example", "https://s3cret@a.example", "https://a.example/?key=s3cret"]) {
    expect(problemOf(url), url).not.toBe("");
    expect(problemOf(url), url).not.toContain("s3cret");
  }
  for (const url of ["a.example", "", "ftp://a.example", "file:///etc", "https://a.example/#x"]) {
    expect(problemOf(url), url).toContain("the address of the coordinator");
  }
  for (const workspace of ["", "W1", "a/b", "..", "a".repeat(64)]) {
    expect(problemOf("https://a.example", workspace), workspace).toContain("the name of a workspace");
  }
});

it("a token that no header can hold is refused, and not repeated", () => {
  const edge = new FakeEdge();
  for (const bad of ["", "two words", "line\nend", "tök", "x".repeat(5_000)]) {
    const outside = platformOf(edge, new Machine(edge.time));
    const opened = WorkspaceClient.open({ edge: edgeUrl, workspace: "w1", token: bad }, outside);
    expect(opened).toEqual({ ok: false, error: expect.stringContaining("the coordinator's token is empty") });
  }
});

it("no event and no error holds the token, whatever goes wrong", async () => {
  const { edge, ...made } = aClient();
  const { client, events } = made;
  const results: unknown[] = [];
  const ask = async (): Promise<void> => {
    results.push(await edge.time.until(client.call("state.get", { key: "a" }, 3_000)));
  };
  edge.faults.isUnreachable = true;
  await ask();
  edge.faults.isUnreachable = false;
  edge.faults.refusesSockets = true;
  results.push(await edge.time.until(client.register(aChat("a"))));
  edge.faults.refuses = () => ({ code: "internal", message: "the coordinator failed" });
  await ask();
  edge.faults.refuses = () => null;
  edge.revoke(token);
  await ask();
  await ask();
  const told = JSON.stringify([events, results]);
  expect(told).toContain("unauthenticated");
  expect(told).not.toContain("shim_secret");
  expect(told).not.toContain("Bearer");
});
