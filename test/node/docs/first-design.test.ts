import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { expect, it } from "vitest";
import * as z from "zod";
import { defaults } from "#src/contract/config.ts";
import { machineOperations } from "#src/contract/machine/operations.ts";
import { operations } from "#src/contract/operations.ts";
import { teamTools, machineTools } from "#src/contract/tools.ts";
import { defaultSettings } from "#src/contract/workspaces.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const page = "docs/internals/first-design.md";

type Row = Readonly<Record<"now" | "setting" | "verdict", string>>;

const rows: readonly Row[] = readFileSync(join(root, page), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\| (-+|first design +) \|/.test(line))
  .map((line) => {
    const cells = line.split("|").slice(1, -1);
    expect(cells, line).toHaveLength(4);
    const [, now = "", setting = "", verdict = ""] = cells.map((cell) => cell.trim());
    return { now, setting, verdict };
  });

const spansOf = (cell: string): string[] => (cell.match(/`[^`]+`/g) ?? []).map((span) => span.slice(1, -1));
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8")) as unknown;

const { scripts } = readJson("package.json") as { readonly scripts: Readonly<Record<string, string>> };
const all = { ...operations, ...machineOperations, ...machineTools, ...teamTools };

/** Whether the program has this; paths and commands of a page are checked with those of all pages. */
function isThere(span: string): boolean {
  if (/^shim |[/]|^\.|\.(ts|json|toml|yml)$/.test(span)) return true;
  if (span.startsWith("npm ")) return Object.hasOwn(scripts, span.replace(/^npm (?:run )?/, ""));
  return Object.hasOwn(all, span);
}

type Found = Readonly<Record<"value", unknown>>;

/** @param path keys, which may hold dots themselves, joined by dots */
function valueAt(given: unknown, path: string): Found | null {
  const owner = given instanceof z.ZodType ? fieldsOf(z.toJSONSchema(given, { io: "input" })) : given;
  if (typeof owner !== "object" || owner === null) return null;
  for (const [key, value] of Object.entries(owner)) {
    if (path === key) return { value };
    const found = path.startsWith(`${key}.`) ? valueAt(value, path.slice(key.length + 1)) : null;
    if (found !== null) return found;
  }
  return null;
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The fields that a schema describes, each with its default. */
function fieldsOf({ properties, items, anyOf, default: value }: JsonSchema): unknown {
  const inside = items ?? anyOf?.[0];
  if (properties === undefined) return inside === undefined ? value : fieldsOf(inside as JsonSchema);
  return Object.fromEntries(Object.entries(properties).map(([key, field]) => [key, fieldsOf(field as JsonSchema)]));
}

/** The threshold of an alert. */
function thresholdOf(path: string, name: string): Found | null {
  const [, value] = new RegExp(`alert: ${name}\\n[^>]+> ([\\d.]+)`).exec(readFileSync(join(root, path), "utf8")) ?? [];
  return value === undefined ? null : { value };
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
  return value === undefined || String(found.value) === value ? null : `it is ${String(found.value)}`;
}

/** A sentence also quotes other words. */
const namesInVerdict = /^(?:npm run |shim_)/;

it("what the page of the first design names is in the program, with the value that it gives", async () => {
  expect(rows.length).toBeGreaterThan(80);
  const names = rows.flatMap(({ now, verdict }) =>
    spansOf(now).concat(spansOf(verdict).filter((span) => namesInVerdict.test(span))),
  );
  expect(names.filter((span) => !isThere(span))).toEqual([]);
  const settings = rows.flatMap((row) => spansOf(row.setting));
  const found = await Promise.all(settings.map(async (span) => [span, await problemOfSetting(span)] as const));
  expect(found.filter(([, problem]) => problem !== null)).toEqual([]);
});

it("each row names what is there now, and says why where it is not the same", () => {
  expect(rows.filter(({ now }) => spansOf(now).length === 0)).toEqual([]);
  const verdicts = /^(same\b|(more|differs|missed|left out): .{10})/;
  expect(rows.filter(({ verdict }) => !verdicts.test(verdict))).toEqual([]);
});
