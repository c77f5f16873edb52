import { expect, it } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

const schema = { type: "object", required: ["job"], properties: { job: { type: "integer" } } };

async function onEdge(): Promise<CliHome> {
  const runtime = await EdgeRuntime.open();
  const home = aCliHome();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  const { url, workspace, adminToken } = runtime;
  writeEdgeConfig(home.paths.home, { url, workspace, machine: "m1", token, adminToken });
  return home;
}

it("[CL106] [CL108] a topic with a schema takes objects that fit it, and refuses others with where and why", async () => {
  for (const home of [aCliHome(), await onEdge()]) {
    const defined = await home.shim("topic define build.web --schema", JSON.stringify(schema));
    expect([defined.code, defined.out]).toEqual([0, expect.stringContaining("topic:build.web must fit")]);
    expect(await home.json("topic list")).toEqual({
      topics: [{ topic: "build.web", schema }],
      cursor: null,
    });
    const wrong = await home.shim("send topic:build.web --json", '{"job": "seven"}');
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(/topic build\.web does not accept the body: #\/job/),
    ]);
    expect((await home.shim("send topic:build.web hello")).code).toBe(1);
    expect((await home.shim("send topic:build.web --json", '{"job": 7}')).out).toBe("Sent to topic:build.web.\n");
    const piped = await home.shimWith({ readInput: async () => '{"job": 8}\n' }, "send topic:build.web - --json");
    expect(piped.json()).toMatchObject({ isRepeat: false });
    expect((await home.shim("topic remove build.web")).code).toBe(0);
    expect((await home.shim("topic remove build.web")).code).toBe(3);
    expect((await home.shim("topic list")).out).toBe("No topic has a schema.\n");
    expect((await home.shim("send topic:build.web hello")).code).toBe(0);
  }
});

it("[CL106] a schema comes from a file or stdin, and one that cannot be used is refused with what is wrong", async () => {
  const home = aCliHome();
  const stdin = { readInput: async () => JSON.stringify(schema) };
  expect((await home.shimWith(stdin, "topic define a -")).code).toBe(0);
  await home.misuses("topic define", [
    ["a", /give one schema/],
    ["a --schema {", /--schema is not JSON/],
    ["a --schema []", /a schema is a JSON object/],
    [["a", "--schema", '{"type": "objekt"}'], /the schema cannot be used: type/],
    [["a b", "--schema", "{}"], /topic/],
    ["a x --schema {}", /only - may follow/],
  ]);
  expect((await home.shim("topic define a --file none.json")).code).toBe(3);
  for (let at = 10; at < 75; at++) await home.shim("topic define", `t${at}`, "--schema", "{}");
  expect((await home.json("topic list"))["topics"]).toHaveLength(66);
  expect((await home.shim("topic list --limit 2")).out).toContain("--cursor t10");
});

it("[CL108] what is sent is an object, a text or stdin; what is no JSON is refused, and --json alone prints JSON", async () => {
  const home = aCliHome();
  const printed = await home.shim("send all hello --json");
  expect(printed.json()).toMatchObject({ id: 1 });
  await home.misuses("send", [
    ["all", /give a text, or an object/],
    ["all --json hello", /--json is not JSON/],
    ["all hello --json {}", /not both/],
  ]);
  const sent = await home.shimWith({ readInput: async () => '{"a": [1]}' }, "send all --json -");
  expect(sent.out).toBe("Sent to all.\n");
});
