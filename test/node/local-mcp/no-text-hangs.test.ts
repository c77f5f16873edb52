import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { supportedClients as adapters } from "#src/clients/adapters.ts";
import { hookEvents } from "#src/contract/hook-input.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import { teamTools } from "#src/contract/team-tools.ts";
import { machineTools } from "#src/contract/tools.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { attackTexts, hostileTexts } from "#harness/machine/hostile-texts.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { expressionsOf } from "../../../scripts/check-expressions.ts";

const boundMs = 3_000;
const random = seededRandom(1);
const { expressions } = await expressionsOf();
const texts = [...hostileTexts(), ...attackTexts(expressions, 120, random)];

/** Time on the processor, so that what else the machine does counts little. */
async function spend(what: string, work: () => unknown): Promise<void> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  expect((user + system) / 1_000, what).toBeLessThan(boundMs);
}

/** The budget would hide a slow expression here. */
function overBudget({ logged }: TempRuntime): string[] {
  return logged.filter((line) => line.includes("interpreted"));
}

function describe(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

type Json = Readonly<Record<string, unknown>>;
/** Names, ids and kinds, by which an event is recognised at all. */
const kept =
  /id$|event|^tool(?:_?name)?$|^type$|path|^cwd$|directory|^role$|^hook|^status$|^source$|^reason$|^trigger$/i;

function withText(value: unknown, text: string, name = ""): unknown {
  if (typeof value === "string") return kept.test(name) ? value : text;
  if (Array.isArray(value)) return value.map((one) => withText(one, text, name));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withText(one, text, key)]));
}

const payloads = join(import.meta.dirname, "..", "..", "harness", "clients", "payloads");

/** Recorded events of a client; of the others those that Claude Code sends. */
function eventsOf(client: string, events: readonly string[]): { event: string; payload: Json }[] {
  const files = globSync(join(payloads, client, "*.json"));
  if (files.length > 0)
    return files.toSorted().map((path) => {
      const { payload } = JSON.parse(readFileSync(path, "utf8")) as { payload: Json };
      const name = basename(path, ".json");
      return { event: events.find((one) => name === one || name.startsWith(`${one}-`)) ?? name, payload };
    });
  const words = { prompt: "a", last_assistant_message: "a", compact_summary: "a", message: "a", error: "a", text: "a" };
  const tool = { tool_name: "Bash", tool_input: { command: "a" }, tool_response: { stdout: "a" }, output: "a" };
  return events.map((event) => ({ event, payload: { session_id: "s", conversation_id: "s", ...words, ...tool } }));
}

it("no text of 100 KB takes an event of any client over three seconds @night", { timeout: 240_000 }, async () => {
  const all = adapters.flatMap((adapter) =>
    eventsOf(adapter.name, adapter.name === "claude-code" ? hookEvents : adapter.events).map(({ event, payload }) => {
      return { adapter, event, payload };
    }),
  );
  expect(new Set(all.map(({ adapter }) => adapter.name)).size).toBe(adapters.length);
  const runtime = tempRuntime();
  runtime.processes.start(1_000);
  const rounds = Math.max(all.length, texts.length);
  for (let round = 0; round < rounds; round++) {
    const text = texts[round % texts.length] ?? "";
    const { adapter, event, payload } = all[(round * 7) % all.length] ?? {
      adapter: adapters[0],
      event: "",
      payload: {},
    };
    const input = JSON.stringify(withText(payload, text));
    await spend(`${adapter?.name} ${event} ${describe(text)}`, () =>
      answerHook(runtime, event, () => input, 1_000, adapter),
    );
  }
  expect(overBudget(runtime)).toEqual([]);
});

it("no text takes a session of Claude Code over three seconds @night", { timeout: 240_000 }, async () => {
  const runtime = tempRuntime();
  runtime.processes.start(1_000);
  for (const [n, text] of texts.entries()) {
    const folder = temporaryFolder();
    const transcript = join(folder, "t.jsonl");
    const line = { type: "assistant", uuid: `u${n}`, message: { id: "m", content: [{ type: "text", text }] } };
    writeFileSync(transcript, `${JSON.stringify(line)}\n${text}\n`);
    const common = { session_id: `s${n}`, cwd: folder, transcript_path: transcript };
    const call = { tool_name: "Bash", tool_use_id: `t${n}`, tool_input: { command: text } };
    const events: readonly (readonly [string, Json])[] = [
      ["UserPromptSubmit", { prompt: text }],
      ["PreToolUse", call],
      ["PostToolUseFailure", { ...call, error: text }],
      ["PostToolUse", { ...call, tool_use_id: `u${n}`, tool_response: text }],
      ["PostCompact", { compact_summary: text }],
      ["Stop", { last_assistant_message: text }],
    ];
    const [one, other] = [events[n % 5], events[5]];
    for (const [event, fields] of [one, other].flatMap((given) => (given ? [given] : [])))
      await spend(`${event} ${describe(text)}`, () =>
        answerHook(runtime, event, () => JSON.stringify({ ...common, ...fields }), 1_000),
      );
  }
  expect(overBudget(runtime)).toEqual([]);
});

it("no text takes a tool or the import of a transcript over three seconds @night", { timeout: 240_000 }, async () => {
  const runtime = tempRuntime();
  const client = await connect(runtime);
  let imported = 0;
  for (const [n, text] of texts.entries()) {
    const tools = Object.entries(machineTools);
    const [name = "", tool] = tools[n % tools.length] ?? [];
    const input = filled(tool?.input, text) as Json;
    await spend(`${name} ${describe(text)}`, () => client.call(name, input));
    const path = join(temporaryFolder(), "t.jsonl");
    const common = { sessionId: `s${n}`, cwd: "/p", version: "2.1.328", timestamp: "2026-11-01T00:00:00Z" };
    const lines = [
      { ...common, type: "user", uuid: "a", message: { role: "user", content: text } },
      {
        ...common,
        type: "assistant",
        uuid: "b",
        message: { role: "assistant", id: "m", content: [{ type: "text", text }] },
      },
    ].map((line) => JSON.stringify(line));
    writeFileSync(path, lines.join("\n"));
    await spend(`import ${describe(text)}`, async () => {
      if ((await importTranscript(runtime, { path, folder: "/p" })).ok) imported += 1;
    });
  }
  // White space alone, or private text, says nothing.
  expect(imported).toBeGreaterThan(texts.length / 2);
});

interface Schema {
  readonly safeParse: (value: unknown) => unknown;
  readonly _zod: { readonly def: Readonly<Record<string, unknown>> };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && "safeParse" in value && "_zod" in value;
}

/** Schemas of a module, those of its operations among them. */
function schemasIn(value: unknown, name: string, depth = 0): (readonly [string, Schema])[] {
  if (isSchema(value)) return [[name, value]];
  if (typeof value !== "object" || value === null || depth > 3) return [];
  return Object.entries(value).flatMap(([key, one]) => schemasIn(one, `${name}.${key}`, depth + 1));
}

type Def = Readonly<Record<string, unknown>>;

/** How a part of a schema is filled; the first that the part has. */
const fillers: readonly (readonly [string, (part: unknown, text: string, depth: number) => unknown])[] = [
  [
    "shape",
    (shape, text, depth) =>
      Object.fromEntries(Object.entries(shape as Json).map(([key, one]) => [key, filled(one, text, depth)])),
  ],
  ["values", ([value]: readonly unknown[]) => value] as [string, (part: unknown) => unknown],
  ["entries", (entries) => Object.values(entries as Json)[0]],
  ["options", (options, text, depth) => filled((options as readonly unknown[])[0], text, depth)],
  ["innerType", (inner, text, depth) => filled(inner, text, depth)],
  ["element", (element, text, depth) => [filled(element, text, depth)]],
  ["valueType", (value, text, depth) => ({ [text.slice(0, 100)]: filled(value, text, depth) })],
];

/** A value of the schema's shape with the text wherever a text may be. */
function filled(schema: unknown, text: string, depth = 0): unknown {
  if (!isSchema(schema) || depth > 6) return text;
  const def: Def = schema._zod.def;
  const [name, fill] = fillers.find(([one]) => def[one] !== undefined) ?? [];
  if (name !== undefined && fill) return fill(def[name], text, depth + 1);
  return { number: 1, boolean: true }[String(def["type"])] ?? text;
}

it("no text takes a schema over three seconds", { timeout: 240_000 }, async () => {
  const contract = join(import.meta.dirname, "..", "..", "..", "src", "contract");
  const modules = await Promise.all(globSync(join(contract, "*.ts")).map((path) => import(path) as Promise<Json>));
  const ofTools = Object.entries({ ...machineTools, ...teamTools }).map(([name, { input }]) => [name, input] as const);
  const schemas = [...modules.flatMap((one) => schemasIn(one, "")), ...ofTools];
  expect(schemas.length).toBeGreaterThan(100);
  for (const [n, [name, schema]] of schemas.entries()) {
    for (const text of [0, 1, 2, 3, 4].map((step) => texts[(n * 5 + step) % texts.length] ?? ""))
      await spend(`${name} ${describe(text)}`, () => {
        schema.safeParse(filled(schema, text));
        schema.safeParse(text);
      });
  }
});
