import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { defaults } from "#src/contract/config.ts";
import { machineOperations } from "#src/contract/machine/operations.ts";
import { operations } from "#src/contract/operations.ts";
import { teamTools, machineTools } from "#src/contract/tools.ts";
import { defaultSettings } from "#src/contract/workspaces.ts";
import { idleProgram } from "#harness/machine/cli-home.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const page = "docs/internals/first-design.md";

interface Row {
  readonly name: string;
  readonly now: string;
  readonly setting: string;
  readonly verdict: string;
}

const rows: readonly Row[] = readFileSync(join(root, page), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\| (-+|first design +) \|/.test(line))
  .map((line) => {
    const cells = line.split("|").slice(1, -1);
    expect(cells, line).toHaveLength(4);
    const [name = "", now = "", setting = "", verdict = ""] = cells.map((cell) => cell.trim());
    return { name, now, setting, verdict };
  });

function spansOf(cell: string): string[] {
  return (cell.match(/`[^`]+`/g) ?? []).map((span) => span.slice(1, -1));
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), "utf8")) as unknown;
}

const { scripts } = readJson("package.json") as { readonly scripts: Readonly<Record<string, string>> };
const tools = { ...machineTools, ...teamTools };
const all = { ...operations, ...machineOperations };

/** Why no such command is in the program; null: it is. */
function problemOfCommand(program: Command, words: readonly string[]): string | null {
  let command = program;
  for (const word of words) {
    const found = command.commands.find((one) => one.name() === word);
    if (found === undefined) return `${command.name()} has no ${word}`;
    command = found;
  }
  return null;
}

/** Why the program has nothing of this name; null: it has. */
function problemOfName(program: Command, span: string): string | null {
  if (/[/]|^\.|\.(ts|json|toml|yml)$/.test(span)) return existsSync(join(root, span)) ? null : "no such path";
  if (span.startsWith("shim_")) return Object.hasOwn(tools, span) ? null : "no such tool";
  if (span.startsWith("shim ")) return problemOfCommand(program, span.split(" ").slice(1));
  if (span.startsWith("npm "))
    return Object.hasOwn(scripts, span.replace(/^npm (?:run )?/, "")) ? null : "no such script";
  return Object.hasOwn(all, span) ? null : "no such operation";
}

interface Found {
  readonly value: unknown;
}

/** The definition of a schema of zod; null: the value is none. */
function schemaOf(value: unknown): Readonly<Record<string, unknown>> | null {
  const { def } = (value ?? {}) as { readonly def?: Readonly<Record<string, unknown>> };
  return typeof def?.["type"] === "string" ? def : null;
}

/** The fields of a value, or of the objects that a schema describes. */
function fieldOf(owner: unknown, key: string): Found | null {
  const def = schemaOf(owner);
  if (def === null) {
    const isOwner = typeof owner === "object" && owner !== null && Object.hasOwn(owner, key);
    return isOwner ? { value: (owner as Readonly<Record<string, unknown>>)[key] } : null;
  }
  const inside = def["shape"] ?? def["innerType"] ?? def["element"];
  return inside === undefined ? null : fieldOf(inside, key);
}

/** @param path keys, which may hold dots themselves, joined by dots */
function valueAt(owner: unknown, path: string): Found | null {
  const whole = fieldOf(owner, path);
  if (whole !== null) return whole;
  for (let at = path.indexOf("."); at > 0; at = path.indexOf(".", at + 1)) {
    const found = fieldOf(owner, path.slice(0, at));
    const rest = found === null ? null : valueAt(found.value, path.slice(at + 1));
    if (rest !== null) return rest;
  }
  return null;
}

/** Of a field of a schema its default. */
function plain(value: unknown): unknown {
  const def = schemaOf(value);
  return def === null ? value : def["defaultValue"];
}

/** The threshold of an alert. */
function thresholdOf(path: string, name: string): Found | null {
  const { groups } = parse(readFileSync(join(root, path), "utf8")) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  };
  const expr = groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === name)?.expr;
  return expr === undefined ? null : { value: /> ([\d.]+)/.exec(expr)?.[1] };
}

async function settingAt(owner: string | null, path: string): Promise<Found | null> {
  if (owner === null) return valueAt(defaults, path) ?? valueAt(defaultSettings, path);
  if (Object.hasOwn(operations, owner)) {
    const { input, output } = operations[owner as keyof typeof operations];
    return valueAt(input, path) ?? valueAt(output, path);
  }
  if (!existsSync(join(root, owner))) return null;
  if (extname(owner) === ".yml") return thresholdOf(owner, path);
  return valueAt(extname(owner) === ".json" ? readJson(owner) : ((await import(join(root, owner))) as unknown), path);
}

const setting = /^(?:(?<owner>\S+) )?(?<path>[^\s=]+)(?: = (?<value>\S+))?$/;

/** Why the program has no such setting, or another value; null: it is so. */
async function problemOfSetting(span: string): Promise<string | null> {
  const { owner = null, path = "", value } = setting.exec(span)?.groups ?? {};
  const found = await settingAt(owner, path);
  if (found === null) return "no such setting";
  const now = plain(found.value);
  return value === undefined || String(now) === value ? null : `it is ${String(now)}`;
}

/** A sentence also quotes other words. */
const namesInVerdict = /^(?:npm run |shim[ _]|(?:src|test|docs|bench|demo|ops|scripts)\/)/;

async function problemsOf(program: Command, { name, now, setting: settings, verdict }: Row): Promise<string[]> {
  const names = spansOf(now).concat(spansOf(verdict).filter((span) => namesInVerdict.test(span)));
  const checked = names
    .map((span) => ({ span, problem: problemOfName(program, span) }))
    .concat(
      await Promise.all(spansOf(settings).map(async (span) => ({ span, problem: await problemOfSetting(span) }))),
    );
  return checked.flatMap(({ span, problem }) => (problem === null ? [] : [`${name}: ${span}: ${problem}`]));
}

it("what the page of the first design names is in the program, with the value that it gives", async () => {
  expect(rows.length).toBeGreaterThan(80);
  const program = await idleProgram(() => undefined);
  const problems = await Promise.all(rows.map((row) => problemsOf(program, row)));
  expect(problems.flat()).toEqual([]);
});

it("each row names what is there now, and says why where it is not the same", () => {
  expect(rows.filter(({ now }) => spansOf(now).length === 0)).toEqual([]);
  const verdicts = /^(same\b|(more|differs|missed|left out): .{10})/;
  expect(rows.filter(({ verdict }) => !verdicts.test(verdict))).toEqual([]);
});
