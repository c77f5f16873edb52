import { evictDurableObject } from "cloudflare:test";
import { expect, onTestFinished, vi } from "vitest";
import { migrations } from "#src/coordination/schema.ts";
import type { Migration } from "#src/shared/migrate.ts";
import { dump, it, TestWorkspace, wait } from "./support.ts";

const known = migrations.length;

/** For the rest of the test the program is a newer one. */
function knowMore(migration: Omit<Migration, "id" | "name">): void {
  (migrations as Migration[]).push({ id: known + 1, name: "later", ...migration });
  onTestFinished(() => void (migrations as Migration[]).pop());
}

/** Another program was here. */
const foreign = "INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (?, 'later', ?, 0)";

/** By name, from what dump() tells. */
function tables(text: string): Map<string, unknown> {
  return new Map(JSON.parse(text) as [string, unknown][]);
}

async function fill(workspace: TestWorkspace): Promise<void> {
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("state.set", { key: "a", value: { b: [1] }, requestId: "once" });
  await workspace.ask("messages.send", { self, target: { to: "all" }, body: "x" });
  await workspace.ask("messages.subscribe", { self, pattern: "**" });
}

it("a start with the same schema changes nothing", async ({ workspace }) => {
  await fill(workspace);
  const [before, alarm] = [await workspace.inside((state) => dump(state)), await workspace.alarmAt()];
  for (let times = 0; times < 2; times++) {
    await evictDurableObject(workspace.stub);
    wait(1_000);
    expect(await workspace.inside((state) => dump(state))).toBe(before);
    expect(await workspace.alarmAt()).toBe(alarm);
  }
  expect(await workspace.ask("health", {})).toMatchObject({ schemaVersion: known, chats: 1 });
});

it("a later schema that this program can read is left as it is", async ({ workspace }) => {
  await fill(workspace);
  await workspace.rows(foreign, known + 1, known);
  await workspace.rows("ALTER TABLE chats ADD COLUMN later TEXT");
  await evictDurableObject(workspace.stub);
  expect((await workspace.ask("health", {})).schemaVersion).toBe(known + 1);
  expect((await workspace.ask("state.get", { key: "a" })).entry?.value).toEqual({ b: [1] });
  await workspace.register("c2");
});

it("a schema that needs a newer program is refused, and nothing is changed", async ({ workspace }) => {
  await fill(workspace);
  await workspace.rows(foreign, known + 1, known + 1);
  const [before, alarm] = [await workspace.inside((state) => dump(state)), await workspace.alarmAt()];
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  await evictDurableObject(workspace.stub);
  for (let times = 0; times < 2; times++) {
    const answer = await workspace.call("state.set", { key: "a", value: 2 });
    expect([answer.status, answer.error?.code]).toEqual([500, "internal"]);
    expect(answer.error?.message).not.toContain("schema");
  }
  expect(String(log.mock.calls[0])).toContain("newer program");
  // The newer program finds all as it was.
  knowMore({ statements: [] });
  expect(await workspace.inside((state) => dump(state))).toBe(before);
  expect(await workspace.alarmAt()).toBe(alarm);
});

it("a newer program takes over an object with its contents and connections", async ({ workspace }) => {
  await fill(workspace);
  const { connection, self } = await workspace.join("c2");
  await connection.ask("state.watch", { watch: "w", prefix: "b" });
  const before = await workspace.inside((state) => dump(state));
  await evictDurableObject(workspace.stub);
  knowMore({ statements: ["CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT"], minReader: known + 1 });
  expect((await workspace.ask("health", {})).schemaVersion).toBe(known + 1);
  await workspace.ask("state.set", { key: "b", value: 1 });
  expect(await connection.next()).toMatchObject({ params: { watch: "w" } });
  await connection.ask("chats.heartbeat", { self });
  await workspace.ask("state.delete", { key: "b" });
  const after = tables(await workspace.inside((state) => dump(state)));
  for (const [name, rows] of tables(before)) {
    if (name !== "changes" && name !== "migrations") expect([name, after.get(name)]).toEqual([name, rows]);
  }
  expect(after.get("later")).toEqual([]);
});
