import type { Refusal } from "#src/contract/errors.ts";
import type { Target } from "#src/contract/messages.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/json.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Result } from "#src/shared/result.ts";
import { admin, type RuleHost } from "./engine-host.ts";

export const minute = 60_000;
export const hour = 3_600_000;
export const day = 86_400_000;

export function given<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

export function refused(result: Result<unknown, Refusal>): Refusal {
  if (result.ok) throw new Error(`not refused: ${JSON.stringify(result.value)}`);
  return result.error;
}

export async function ask<Name extends EngineOperation>(
  host: RuleHost,
  name: Name,
  input: InputOf<Name>,
): Promise<OutputOf<Name>> {
  return given(await host.call(name, input, admin));
}

export async function refusal<Name extends EngineOperation>(
  host: RuleHost,
  name: Name,
  input: InputOf<Name>,
): Promise<Refusal> {
  return refused(await host.call(name, input, admin));
}

export async function set(
  host: RuleHost,
  key: string,
  value: Json,
  more: Omit<InputOf<"state.set">, "key" | "value"> = {},
): Promise<number> {
  return (await ask(host, "state.set", { key, value, ...more })).version;
}

export async function get(host: RuleHost, key: string): Promise<OutputOf<"state.get">["entry"]> {
  return (await ask(host, "state.get", { key })).entry;
}

/** All entries below a prefix, page by page. */
export async function listed(host: RuleHost, prefix = "", limit = 500) {
  const first = await ask(host, "state.list", { prefix, limit });
  const entries = [...first.entries];
  for (let { cursor } = first; cursor !== null;) {
    const page = await ask(host, "state.list", { prefix, limit, cursor });
    entries.push(...page.entries);
    cursor = page.cursor;
  }
  return { entries, revision: first.revision };
}

export type Changes = OutputOf<"state.changes">["changes"];

/** All changes below a prefix after a revision, page by page. */
export async function happened(host: RuleHost, prefix = "", after = 0, limit = 500): Promise<Changes> {
  const changes: Changes = [];
  for (let at = after; ;) {
    const page = await ask(host, "state.changes", { prefix, after: at, limit });
    changes.push(...page.changes);
    if (!page.isMore) return changes;
    at = page.revision;
  }
}

export async function revision(host: RuleHost): Promise<number> {
  return (await ask(host, "state.list", { limit: 1 })).revision;
}

/** The next full hour, at which housekeeping is done. */
export function waitForFullHour(host: RuleHost): void {
  host.wait(hour - (host.now() % hour));
}

export const toAll = { to: "all" } as const;

export function toChat({ chat }: { chat: string }): Target {
  return { to: "chat", chat };
}

export function toTopic(topic: string): Target {
  return { to: "topic", topic };
}

/** Rows that a piece of work inserts, updates or deletes. */
export async function rowsWritten(host: RuleHost, work: () => Promise<unknown>): Promise<number> {
  const before = await host.rowsWritten();
  await work();
  return (await host.rowsWritten()) - before;
}
