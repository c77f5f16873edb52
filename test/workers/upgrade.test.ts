import { evictDurableObject } from "cloudflare:test";
import { expect, onTestFinished, vi } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { migrations } from "#src/coordination/schema.ts";
import { bookmarkAt } from "#src/durable/restore-marks.ts";
import type { Migration } from "#src/shared/migrate.ts";
import { bindings, it, TestWorkspace, wait } from "./support.ts";

const known = migrations.length;

/** For the rest of the test the program is a newer one. */
function knowMore(migration: Omit<Migration, "id" | "name">): void {
  (migrations as Migration[]).push({ id: known + 1, name: "later", ...migration });
  onTestFinished(() => void (migrations as Migration[]).pop());
}

/** Another program was here. */
const foreign = "INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (?, 'later', ?, 0)";

async function fill(workspace: TestWorkspace): Promise<void> {
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("state.set", { key: "a", value: { b: [1] }, requestId: "once" });
  await workspace.ask("messages.send", { self, target: { to: "all" }, body: "x" });
}

it("a schema that needs a newer program is refused, and nothing is changed", async ({ workspace }) => {
  await fill(workspace);
  await workspace.rows(foreign, known + 1, known + 1);
  const [before, alarm] = [await workspace.tables(), await workspace.alarmAt()];
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  await evictDurableObject(workspace.stub);
  const answer = await workspace.call("state.set", { key: "a", value: 2 });
  expect([answer.status, answer.error?.code]).toEqual([500, "internal"]);
  expect(answer.error?.message).not.toContain("schema");
  expect(String(log.mock.calls[0])).toContain("newer program");
  // The newer program finds all as it was.
  knowMore({ statements: [] });
  expect([await workspace.tables(), await workspace.alarmAt()]).toEqual([before, alarm]);
});

it("a newer program takes over an object with its contents and connections", async ({ workspace }) => {
  await fill(workspace);
  const { connection, self } = await workspace.join("c2");
  await connection.ask("state.watch", { watch: "w", prefix: "b" });
  const { changes: _, migrations: __, ...before } = await workspace.tables();
  await evictDurableObject(workspace.stub);
  knowMore({ statements: ["CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT"], minReader: known + 1 });
  expect((await workspace.ask("health", {})).schemaVersion).toBe(known + 1);
  await workspace.ask("state.set", { key: "b", value: 1 });
  expect(await connection.next()).toMatchObject({ params: { watch: "w" } });
  await connection.ask("chats.heartbeat", { self });
  await workspace.ask("state.delete", { key: "b" });
  expect(await workspace.tables()).toMatchObject({ ...before, later: [] });
});

/** Puts the storage back to what it had when this was called, as Cloudflare does; workerd alone cannot. */
async function aPast(workspace: TestWorkspace, fails = false): Promise<void> {
  const saved = await workspace.tables();
  await workspace.inside((state) => {
    const past: Pick<DurableObjectStorage, "getBookmarkForTime" | "onNextSessionRestoreBookmark"> =
      Object.getPrototypeOf(state.storage);
    vi.spyOn(past, "getBookmarkForTime").mockResolvedValue("then");
    const restore = vi.spyOn(past, "onNextSessionRestoreBookmark");
    restore.mockImplementation(async function backTo(this: DurableObjectStorage) {
      if (fails) throw new Error("the disk is gone");
      putBack(this.sql, saved);
      await this.sync();
      return "now";
    });
  });
}

function putBack(sql: SqlStorage, saved: Awaited<ReturnType<TestWorkspace["tables"]>>): void {
  for (const [name, rows] of Object.entries(saved)) {
    sql.exec(`DELETE FROM ${name}`);
    for (const row of rows) {
      const columns = Object.keys(row);
      const marks = columns.map(() => "?").join(", ");
      sql.exec(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${marks})`, ...Object.values(row));
    }
  }
}

const to = (at: number): InputOf<"workspace.restore"> => ({ to: at, reason: "a wrong script", isDryRun: false });

it("after a restore no token of the lost time counts, and what it revoked stays revoked", async ({ workspace }) => {
  const self = await workspace.register("c1");
  await workspace.ask("state.set", { key: "kept", value: 1 });
  const revoked = await workspace.tokenOf("work");
  const before = await workspace.ask("health", {});
  await aPast(workspace);
  const then = Date.now();
  wait(10_000);
  await workspace.ask("state.set", { key: "lost", value: 2 });
  const granted = await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("tokens.revoke", { id: revoked.id });
  const dry = await workspace.ask("workspace.restore", { ...to(then), isDryRun: true });
  expect(dry).toMatchObject({ revoked: 1, epoch: null, lost: [{ count: 1 }, { kind: "token.revoked", count: 1 }] });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: { value: 2 } });
  const { epoch } = await workspace.ask("workspace.restore", to(then));
  expect(epoch).toBeGreaterThan(before.epoch);
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "kept" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: null });
  expect(await workspace.refusal("health", {}, revoked.token)).toBe("unauthenticated");
  const token = granted.state === "granted" ? granted.lease.token : 0;
  const fenced = { key: "kept", value: 3, guard: { resource: "r", token } };
  expect(await workspace.refusal("state.set", fenced)).toBe("stale_token");
  const { entries } = await workspace.ask("audit.list", { limit: 10 });
  expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["epoch.raised", "workspace.restored"]));
});

it("where the storage was not put back nothing changes, and the answer says so", async ({ workspace }) => {
  await aPast(workspace, true);
  const { epoch } = await workspace.ask("health", {});
  wait(60_000);
  await workspace.ask("state.set", { key: "new", value: 2 });
  expect(await workspace.refusal("workspace.restore", to(Date.now() - 30_000))).toBe("restore_unavailable");
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "new" })).toMatchObject({ entry: { value: 2 } });
  expect((await workspace.ask("audit.list", { kind: "workspace.not_restored" })).entries).toHaveLength(1);
});

it("a restore is refused without a past, to a time that is not there, and to a work token", async ({ workspace }) => {
  wait(60_000);
  const { token } = await workspace.tokenOf("work");
  const now = Date.now();
  for (const [at, code, by] of [
    [now - 30_000, "restore_unavailable"],
    [now + 30_000, "bad_input"],
    [now - 31 * 86_400_000, "bad_input"],
    // The workspace was made later than that.
    [now - 3_600_000, "bad_input"],
    [now - 30_000, "forbidden", token],
  ] as const)
    expect([at, await workspace.refusal("workspace.restore", to(at), by)]).toEqual([at, code]);
  expect(await bindings.RESTORE_MARKS?.getByName(workspace.name).read()).toBeNull();
  // Of 30 days Cloudflare keeps what there was.
  const past = { getBookmarkForTime: () => Promise.resolve("then") };
  const days = 30 * 86_400_000;
  expect(await bookmarkAt(past, now - days, now)).toEqual({ ok: true, value: "then" });
  expect(await bookmarkAt(past, now - days - 1, now)).toMatchObject({ error: { code: "bad_input" } });
});

it("a deleted workspace leaves no row, alarm, token or connection, and its name is free", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  const { token } = await workspace.tokenOf("work");
  expect(await workspace.refusal("workspace.delete", { name: "another" })).toBe("bad_input");
  expect(await workspace.refusal("workspace.delete", { name: workspace.name }, token)).toBe("forbidden");
  expect(await workspace.ask("health", {})).toMatchObject({ chats: 1 });
  expect(await workspace.ask("workspace.delete", { name: workspace.name })).toEqual({ isDeleted: true });
  expect(await connection.closed).toMatchObject({ code: 4001 });
  expect([await workspace.tables(), await workspace.alarmAt()]).toEqual([{}, null]);
  expect(await workspace.refusal("health", {})).toBe("unknown_workspace");
  wait(60_000);
  const again = await TestWorkspace.create(workspace.name);
  expect(await again.ask("tasks.list", {})).toMatchObject({ tasks: [] });
  expect(await workspace.refusal("health", {})).toBe("unauthenticated");
});
