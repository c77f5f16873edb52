import { spawn } from "node:child_process";
import { dirname } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { record, type McpConnection, type Message } from "#src/platform/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { built, envOf, integrityOf, setting, spawnServer, startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { hostsOf } from "#harness/machine/process-tree.ts";
import { outputOf, type Output } from "#harness/machine/programs.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const runs = setting("SHIM_FUZZ_RUNS", 60);
const seed = setting("SHIM_FUZZ_SEED", 1);
const settings = { seed, numRuns: runs };
const timeout = 240_000 + 500 * runs;

const nasty = fc.constantFrom(
  "",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff\ud800",
  "\u202e\u2066",
  "../../../etc/passwd",
  "'; DROP TABLE sessions; --",
  '" OR 1=1 NEAR/3 *',
  "${process.exit(1)}",
  "__proto__",
  "\r\n\r\n{}\n",
  "\u001b[2J",
  "\ufeff",
);
const text = fc.oneof(
  nasty,
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.string({ unit: "grapheme", maxLength: 50 }),
  fc.integer({ min: 100, max: 200_000 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 1, max: 5_000 }).map((length) => "\ud83d\ude00".repeat(length)),
);
const deep = fc
  .integer({ min: 1, max: 400 })
  .map((depth) => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as unknown);
const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-0, 1e308, 2 ** 53, -1, 1e-320));
const anything = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constant(null),
  deep,
  fc.array(text, { maxLength: 20 }),
  fc.jsonValue({ maxDepth: 4, noUnicodeString: false }),
);

/** Values for one property of a tool's schema: mostly such that it allows, so that most calls come to the tool itself. */
function valueFor(schema: Message, ids: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 25, arbitrary: allowed(schema, ids) }, { weight: 1, arbitrary: anything });
}

function allowed(schema: Message, ids: readonly string[]): fc.Arbitrary<unknown> {
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...(schema["enum"] as unknown[]));
  if (schema["const"] !== undefined) return fc.constant(schema["const"]);
  return byType[String(schema["type"])]?.(schema, ids) ?? anything;
}

const byType: Record<string, (schema: Message, ids: readonly string[]) => fc.Arbitrary<unknown>> = {
  string: ({ maxLength }) => text.map((one) => one.slice(0, Number(maxLength ?? 1_000)) || "x"),
  boolean: () => fc.boolean(),
  integer: ({ minimum, maximum }) => fc.integer({ min: Number(minimum ?? 0), max: Number(maximum ?? 2 ** 31) }),
  array: ({ items }, ids) => fc.array(valueFor(record(items), ids), { maxLength: 5 }),
  object: (schema, ids) => argumentsFor(schema, ids),
};

/** @param ids of what there is: some calls must hit */
function argumentsFor(schema: Message, ids: readonly string[]): fc.Arbitrary<Message> {
  const properties = Object.entries(record(schema["properties"])).map(([name, one]) => {
    if (name === "project")
      return [name, fc.constantFrom("/nowhere", "/", "/a/b/../c", "/a\u0000b", "relative")] as const;
    const value = valueFor(record(one), ids);
    const isName = name === "session" || name === "id" || name === "of";
    return [name, isName ? fc.oneof(value, ...ids.map((id) => fc.constant(id))) : value] as const;
  });
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : [];
  const whole = fc.record(Object.fromEntries(properties), { requiredKeys: required });
  const torn = fc.record(Object.fromEntries(properties), { requiredKeys: [] });
  const strange = fc.dictionary(fc.oneof(nasty, fc.string()), anything, { maxKeys: 2 });
  return fc.oneof(
    { weight: 20, arbitrary: whole },
    { weight: 1, arbitrary: torn },
    { weight: 1, arbitrary: fc.tuple(whole, strange).map(([a, b]) => Object.assign(b, a)) },
  );
}

it(
  `every tool with generated and hostile arguments, ${runs} calls each: a right answer or a clear refusal @night`,
  { timeout },
  async () => {
    const paths = tempHome();
    const server = await startServer(paths);
    const { tools } = (await server.request("tools/list")) as { tools: { name: string; inputSchema: Message }[] };
    expect(tools).toHaveLength(14);
    const made = await server.callTool("shim_force_checkpoint", { goal: "to be hit" });
    const [session, checkpoint] = [String(made.data["session"]), String(made.data["checkpoint"])];
    const ids = [session, session, session, checkpoint];
    const said = new Map<string, number>();
    for (const { name, inputSchema } of tools) {
      await fc.assert(
        fc.asyncProperty(argumentsFor(inputSchema, ids), async (given) => {
          const answer = await call(server, name, given);
          expect(answer).not.toMatch(/internal|Internal error in SHIM|TypeError|RangeError|SqliteError|at .*\.ts:/);
          const kind = /^[\w /]*/.exec(answer)?.[0] ?? "";
          said.set(kind, (said.get(kind) ?? 0) + 1);
        }),
        settings,
      );
    }
    // Otherwise this has tested the checking of types only.
    expect(said.get("right")).toBeGreaterThan(runs);
    expect([...said.keys()]).toEqual(expect.arrayContaining(["unknown_session", "Input validation error"]));
    await expectWell(server, paths);
  },
);

it(`resources, prompts and unknown methods with hostile input`, { timeout }, async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  const methods = "resources/read prompts/get tools/call resources/list completion/complete no/such __proto__";
  const method = fc.constantFrom(...methods.split(" "));
  const params = fc.record(
    {
      uri: uriLike(),
      name: fc.oneof(text, fc.constantFrom("resume", "rescue", "undo", "who")),
      arguments: anything,
      cursor: anything,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(method, params, async (name, given) => {
      const said = await server.request(name, given).then(JSON.stringify, (error: Error) => error.message);
      expect(said).not.toMatch(/has ended|TypeError|RangeError|SqliteError|at .*\.ts:/);
    }),
    settings,
  );
  await expectWell(server, paths);
});

it("hostile bytes on stdin: the server answers the next request", { timeout }, async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  const ask = '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"shim_session_status","arguments":';
  const lines: (string | Uint8Array)[] = [
    "\n\n\r\n",
    'null\n[]\n0\n"text"\ntrue\n',
    '{\n}\n{"jsonrpc":\n',
    '{"jsonrpc":"2.0"}\n{"jsonrpc":"1.0","id":1,"method":"ping"}\n',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}\n{"jsonrpc":"2.0","id":{},"method":"ping"}\n',
    '{"jsonrpc":"2.0","id":9,"result":{}}\n{"jsonrpc":"2.0","id":9,"error":{}}\n',
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[[]]}}\n',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]\n',
    Uint8Array.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28, 0x0a]),
    Buffer.from(`${ask}{"session":"\u00ed\u00a0\u0080\u00f0("}}}\n`, "latin1"),
    `${ask}{"__proto__":{"session":"x"},"constructor":1}}}\n`,
    `${ask}${"[".repeat(200_000)}${"]".repeat(200_000)}}}\n`,
    `${ask}{"session":"${"x".repeat(5_000_000)}"}}}\n`,
    `${"x".repeat(5_000_000)}\n`,
    "\n".repeat(20_000),
    Buffer.concat([Buffer.alloc(1_000_000), Buffer.from("\n")]),
  ];
  for (const [n, line] of lines.entries()) {
    server.write(line);
    await expect(server.request("ping"), `after line ${n}`).resolves.toEqual({});
  }
  // In single bytes, cut in the middle of a character and of a word.
  for (const byte of Buffer.from(`${ask}{"session":"\u00e4\ud83d\ude00"}}}\n`)) server.write(Uint8Array.of(byte));
  await expect(server.request("ping")).resolves.toEqual({});
  await expectWell(server, paths);
  // Half a message, and then the end.
  server.write('{"jsonrpc":"2.0","id":1,"meth');
  server.process.stdin.end();
  expect(await server.ended).toEqual({ code: 0, signal: null });
  expect(server.errors).toBe("");
});

it(
  "a byte order mark is skipped, and a line of 64 MB is refused alone, by the host that was there",
  { timeout },
  async () => {
    const paths = tempHome();
    const server = spawnServer(paths);
    server.write("\u{FEFF}");
    await server.initialize("e2e");
    const hosts = hostsOf(paths.home);
    const long = server.request("tools/call", {
      name: "shim_force_checkpoint",
      arguments: { goal: "x".repeat(64_000_000) },
    });
    const next = server.request("ping");
    await expect(long).rejects.toThrow("10 MiB (10485760 bytes)");
    await expect(next).resolves.toEqual({});
    expect([hosts.length, hostsOf(paths.home)]).toEqual([1, hosts]);
    await expectWell(server, paths);
  },
);

const fields =
  "session_id transcript_path cwd prompt prompt_id agent_id agent_type source model tool_name tool_use_id tool_input " +
  "tool_response duration_ms error trigger compact_summary reason last_assistant_message context_tokens __proto__ other";
const field = fc.constantFrom(...fields.split(" "));
const base = { session_id: "s1", cwd: "/tmp", tool_name: "Write", tool_use_id: "t1", prompt: "p", source: "startup" };
const changed = fc.dictionary(field, anything, { maxKeys: 6 });
const hookText = fc.oneof(
  { weight: 6, arbitrary: changed.map((fields) => Buffer.from(JSON.stringify({ ...base, ...fields }))) },
  { weight: 1, arbitrary: anything.map((value) => Buffer.from(JSON.stringify(value) ?? "")) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.nat(60).map((at) => Buffer.from(JSON.stringify(base).slice(0, at))) },
  { weight: 1, arbitrary: fc.constant(Buffer.from(JSON.stringify({ ...base, prompt: "y".repeat(5_000_000) }))) },
);

it(
  `every hook with generated and hostile input, ${runs} processes: exit 0, and nothing on stdout but JSON @night`,
  { timeout },
  async () => {
    const paths = tempHome();
    const event = fc.constantFrom(...hookEvents, "NoSuchEvent", "");
    const one = fc.record({ event, bytes: hookText });
    await fc.assert(
      fc.asyncProperty(one, one, async (first, second) => {
        for (const { code, out, err } of await Promise.all([hook(paths, first), hook(paths, second)])) {
          expect([code, err]).toEqual([0, ""]);
          const keys = Object.keys(record(out === "" ? {} : JSON.parse(out)));
          expect(keys.filter((key) => key !== "systemMessage" && key !== "hookSpecificOutput")).toEqual([]);
        }
      }),
      { ...settings, numRuns: Math.ceil(runs / 2) },
    );
    expect(integrityOf(storeOf(paths))).toEqual(["ok"]);
  },
);

/** A session that the fuzz has made, an unknown one, or nonsense. */
function uriLike(): fc.Arbitrary<unknown> {
  return fc.oneof(
    text.map((id) => `shim://sessions/${id}`),
    text.map((id) => `shim://checkpoints/${encodeURIComponent(id.toWellFormed())}`),
    anything,
  );
}

/** What the server says, also when it is an error of the protocol. */
async function call(server: McpConnection, name: string, given: Message): Promise<string> {
  try {
    const { isError, text } = await server.callTool(name, given);
    return isError ? text : "right";
  } catch (error) {
    // A request that is refused by its schema is an answer; a process that has ended is none.
    const message = error instanceof Error ? error.message : String(error);
    expect(message).toMatch(/^tools\/call: \{"code":-32\d{3},/);
    return message;
  }
}

async function expectWell(server: McpConnection, paths: Paths): Promise<void> {
  expect(await call(server, "shim_session_status", {})).toBe("right");
  expect(await call(server, "shim_force_checkpoint", { goal: "after the fuzz" })).toBe("right");
  expect([server.stray, server.errors]).toEqual([[], ""]);
  expect(integrityOf(storeOf(paths))).toEqual(["ok"]);
}

function hook(paths: Paths, { event, bytes }: { event: string; bytes: Buffer }): Promise<Output> {
  const child = spawn(process.execPath, [built.hook, event], { env: envOf(paths), cwd: dirname(paths.home) });
  return outputOf(child, bytes);
}
