import type { OutputOf } from "#src/contract/operations.ts";
import type { Change } from "#src/contract/state.ts";
import { admin, type RuleHost } from "./engine-host.ts";
import { ask, given } from "./peers.ts";

export async function chatOf(host: RuleHost, chat: string): Promise<OutputOf<"chats.get">> {
  return given(await host.call("chats.get", { chat }));
}

export async function statusOf(host: RuleHost, chat: string): Promise<string> {
  const { status, reason } = await chatOf(host, chat);
  return status === "offline" ? `${status} ${reason}` : status;
}

export async function holders(host: RuleHost, prefix = ""): Promise<Record<string, string>> {
  const { leases } = given(await host.call("leases.list", { prefix, limit: 200 }));
  return Object.fromEntries(leases.map(({ resource, holder }) => [resource, holder]));
}

export async function check(host: RuleHost, resource: string, token: number): Promise<OutputOf<"leases.check">> {
  return given(await host.call("leases.check", { resource, token }));
}

export async function leaderOf(host: RuleHost, name: string): Promise<OutputOf<"elections.observe">["leader"]> {
  return given(await host.call("elections.observe", { name })).leader;
}

export async function changesBelow(host: RuleHost, prefix: string): Promise<Pick<Change, "key" | "op" | "value">[]> {
  const { changes } = given(await host.call("state.changes", { prefix, after: 0, limit: 500 }));
  return changes.map(({ key, op, value }) => ({ key, op, value }));
}

export async function auditOf(host: RuleHost, kind: string): Promise<OutputOf<"audit.list">["entries"]> {
  return given(await host.call("audit.list", { kind }, admin)).entries;
}

export async function get(host: RuleHost, key: string): Promise<OutputOf<"state.get">["entry"]> {
  return (await ask(host, "state.get", { key })).entry;
}

type Next<From, Page> = (from: From) => Promise<Page>;

export async function pagesOf<Page extends { cursor: string | null }>(next: Next<{ cursor?: string }, Page>) {
  const pages = [await next({})];
  for (let { cursor } = pages[0]!; cursor !== null; { cursor } = pages.at(-1)!) pages.push(await next({ cursor }));
  return pages;
}

export async function listed(host: RuleHost, prefix = "", limit = 500) {
  const pages = await pagesOf((from) => ask(host, "state.list", { prefix, limit, ...from }));
  return { entries: pages.flatMap(({ entries }) => entries), revision: pages[0]!.revision };
}

type Feed = Readonly<{ revision: number; isMore: boolean }>;

export async function pagesAfter<Page extends Feed>(next: Next<number, Page>, from = 0): Promise<Page[]> {
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

export async function rowsWritten(host: RuleHost, work: () => Promise<unknown>): Promise<number> {
  const before = await host.rowsWritten();
  await work();
  return (await host.rowsWritten()) - before;
}

/** How many rows each of these tables has. */
export async function rowCounts(host: RuleHost, tables: readonly string[]): Promise<number[]> {
  const all = await Promise.all(tables.map((table) => host.rows(`SELECT 1 FROM ${table}`)));
  return all.map(({ length }) => length);
}
