import type { Refusal } from "#src/contract/errors.ts";
import type { Target } from "#src/contract/messages.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Json } from "#src/contract/values.ts";
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

export async function ask<N extends EngineOperation>(host: RuleHost, name: N, input: InputOf<N>): Promise<OutputOf<N>> {
  return given(await host.call(name, input, admin));
}

export async function refusal<N extends EngineOperation>(host: RuleHost, name: N, input: InputOf<N>): Promise<Refusal> {
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

export async function pagesOf<Page extends { readonly cursor: string | null }>(
  next: (from: { cursor?: string }) => Promise<Page>,
): Promise<Page[]> {
  const pages = [await next({})];
  for (let { cursor } = pages[0]!; cursor !== null;) {
    const page = await next({ cursor });
    pages.push(page);
    ({ cursor } = page);
  }
  return pages;
}

export async function listed(host: RuleHost, prefix = "", limit = 500) {
  const pages = await pagesOf((from) => ask(host, "state.list", { prefix, limit, ...from }));
  return { entries: pages.flatMap(({ entries }) => entries), revision: pages[0]!.revision };
}

export async function pagesAfter<Page extends { readonly revision: number; readonly isMore: boolean }>(
  next: (after: number) => Promise<Page>,
  from = 0,
): Promise<Page[]> {
  const pages: Page[] = [];
  for (let [after, isMore] = [from, true]; isMore;) {
    const page = await next(after);
    pages.push(page);
    ({ revision: after, isMore } = page);
  }
  return pages;
}

export async function happened(host: RuleHost, prefix = "", after = 0) {
  const pages = await pagesAfter((at) => ask(host, "state.changes", { prefix, after: at, limit: 500 }), after);
  return pages.flatMap(({ changes }) => changes);
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

export async function rowsWritten(host: RuleHost, work: () => Promise<unknown>): Promise<number> {
  const before = await host.rowsWritten();
  await work();
  return (await host.rowsWritten()) - before;
}
