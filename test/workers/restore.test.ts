import { expect, onTestFinished, vi } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { bindings, dump, it, type TestWorkspace, wait } from "./support.ts";

/** Puts the storage back to what it had when this was called, as Cloudflare does; workerd alone cannot. */
async function aPast(workspace: TestWorkspace): Promise<void> {
  const saved = await workspace.inside((state) => dump(state));
  await workspace.inside((state) => {
    const past: Pick<DurableObjectStorage, "getBookmarkForTime" | "onNextSessionRestoreBookmark"> =
      Object.getPrototypeOf(state.storage);
    const bookmark = vi.spyOn(past, "getBookmarkForTime").mockResolvedValue("then");
    const restore = vi.spyOn(past, "onNextSessionRestoreBookmark").mockImplementation(async function backTo(
      this: DurableObjectStorage,
    ) {
      putBack(this.sql, saved);
      await this.sync();
      return "now";
    });
    onTestFinished(() => {
      bookmark.mockRestore();
      restore.mockRestore();
    });
  });
}

function putBack(sql: SqlStorage, saved: string): void {
  for (const [name, rows] of JSON.parse(saved) as [string, Record<string, SqlStorageValue>[]][]) {
    sql.exec(`DELETE FROM ${name}`);
    for (const row of rows) {
      const columns = Object.keys(row);
      const marks = columns.map(() => "?").join(", ");
      sql.exec(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${marks})`, ...Object.values(row));
    }
  }
}

function to(at: number): InputOf<"workspace.restore"> {
  return { to: at, reason: "a wrong script", isDryRun: false };
}

it("a workspace is put back with a new epoch: no token of the lost time counts, and what it revoked stays revoked", async ({
  workspace,
}) => {
  const self = await workspace.register("c1");
  await workspace.ask("state.set", { key: "kept", value: 1, requestId: "one" });
  const revoked = await workspace.tokenOf("work");
  const before = await workspace.ask("health", {});
  await aPast(workspace);
  const then = Date.now();
  wait(10_000);
  await workspace.ask("state.set", { key: "lost", value: 2, requestId: "two" });
  const granted = await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("tokens.revoke", { id: revoked.id });
  const dry = await workspace.ask("workspace.restore", { to: then, reason: "a wrong script" });
  expect(dry).toMatchObject({ revoked: 1, epoch: null, lost: [{ count: 1 }, { kind: "token.revoked", count: 1 }] });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: { value: 2 } });

  const { epoch } = await workspace.ask("workspace.restore", to(then));
  expect(epoch).toBeGreaterThan(before.epoch);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "kept" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: null });
  expect(await workspace.refusal("health", {}, revoked.token)).toBe("unauthenticated");
  const token = granted.state === "granted" ? granted.lease.token : 0;
  const fenced = { key: "kept", value: 3, guard: { resource: "r", token }, requestId: "three" };
  expect(await workspace.refusal("state.set", fenced)).toBe("stale_token");
  const { entries } = await workspace.ask("audit.list", { limit: 10 });
  expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["epoch.raised", "workspace.restored"]));
});

it("a later start begins no second epoch, and a second restore does", async ({ workspace }) => {
  await aPast(workspace);
  wait(60_000);
  const { epoch } = await workspace.ask("workspace.restore", to(Date.now() - 30_000));
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  wait(60_000);
  expect((await workspace.ask("workspace.restore", to(Date.now() - 30_000))).epoch).toBeGreaterThan(epoch ?? 0);
});

it("where the storage was not put back nothing changes, and the answer says so", async ({ workspace }) => {
  await aPast(workspace);
  const { epoch } = await workspace.ask("health", {});
  await workspace.inside((state) => {
    const past = Object.getPrototypeOf(state.storage) as Pick<DurableObjectStorage, "onNextSessionRestoreBookmark">;
    vi.spyOn(past, "onNextSessionRestoreBookmark").mockRejectedValue(new Error("the disk is gone"));
  });
  wait(60_000);
  await workspace.ask("state.set", { key: "new", value: 2, requestId: "two" });
  expect(await workspace.refusal("workspace.restore", to(Date.now() - 30_000))).toBe("restore_unavailable");
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "new" })).toMatchObject({ entry: { value: 2 } });
  const { entries } = await workspace.ask("audit.list", { kind: "workspace.not_restored" });
  expect(entries).toHaveLength(1);
});

it("a runtime without a past, a time to come, and one beyond 30 days are refused; a work token may not ask", async ({
  workspace,
}) => {
  wait(60_000);
  const { error } = await workspace.call("workspace.restore", to(Date.now() - 30_000));
  expect(error).toMatchObject({
    code: "restore_unavailable",
    message: expect.stringContaining("only a deployment on"),
  });
  expect(await workspace.refusal("workspace.restore", to(Date.now() + 30_000))).toBe("bad_input");
  expect(await workspace.refusal("workspace.restore", to(Date.now() - 31 * 86_400_000))).toBe("bad_input");
  const early = await workspace.call("workspace.restore", to(Date.now() - 3_600_000));
  expect(early.error).toMatchObject({ code: "bad_input", message: "the workspace was made later than that" });
  const { token } = await workspace.tokenOf("work");
  expect(await workspace.refusal("workspace.restore", to(Date.now() - 30_000), token)).toBe("forbidden");
  const mark = await bindings.RESTORE_MARKS?.getByName(workspace.name).read();
  expect(mark).toBeNull();
});
